"""A node's containers as the kubelet and containerd leave them below /var/log, and their pods in the API server.

Formats: the kubelet's `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTARTS.log` and its links in `/var/log/containers`
(kubernetes `pkg/kubelet/kuberuntime/legacy.go`), the lines of the CRI (`TIME STREAM P|F TEXT`), which containerd cuts
into parts of 16 KiB.
"""

from __future__ import annotations

import datetime
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from milepost.kube import KubeClient, resource_path
from tests.parts.objects import create, set_status, wait_for

PART_BYTES = 16 * 1024


class Container:
    """One container's log files, below `logs` (the node's /var/log)."""

    def __init__(self, logs: Path, pod: Mapping[str, Any], name: str) -> None:
        meta = pod["metadata"]
        ids = {each["name"]: each["containerID"] for each in pod["status"]["containerStatuses"]}
        self.id: str = ids[name].partition("://")[2]
        self.pod, self.namespace, self.name = meta["name"], meta["namespace"], name
        folder = f"pods/{self.namespace}_{self.pod}_{meta['uid']}/{name}"
        self.file = logs / folder / "0.log"
        self.file.parent.mkdir(parents=True)
        self.file.touch()
        self.link = logs / "containers" / f"{self.pod}_{self.namespace}_{name}-{self.id}.log"
        self.link.symlink_to(f"/var/log/{folder}/0.log")

    def print(self, text: str | bytes, stream: str = "stdout") -> None:
        """Write what the container printed, a line at a time, as containerd does."""
        lines = (text.encode() if isinstance(text, str) else text).split(b"\n")
        with self.file.open("ab") as out:
            for line in lines:
                now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S.%f}000Z {stream}"
                parts = [line[at : at + PART_BYTES] for at in range(0, len(line), PART_BYTES)] or [b""]
                for part in parts[:-1]:
                    out.write(f"{now} P ".encode() + part + b"\n")
                out.write(f"{now} F ".encode() + parts[-1] + b"\n")

    def rotate(self) -> None:
        """Begin a new file, as the kubelet does."""
        self.file.rename(self.file.with_name(f"0.log.{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"))
        self.file.touch()

    def remove(self) -> None:
        """Remove its files, as the kubelet does after the pod."""
        self.link.unlink()
        shutil.rmtree(self.file.parent.parent)


async def run_pod(client: KubeClient, namespace: str, pod: Mapping[str, Any]) -> dict[str, Any]:
    """Create a pod and wait until it runs; its containers get the ids that kwok leaves out of their status."""
    await create(client, resource_path("", "v1", "pods", namespace=namespace), pod)
    path = _path(namespace, pod["metadata"]["name"])
    running = await wait_for(client, path, lambda found: bool(found["status"].get("containerStatuses")))
    statuses = running["status"]["containerStatuses"]
    for each in statuses:
        each["containerID"] = f"containerd://{uuid.uuid4().hex}{uuid.uuid4().hex}"
    return await set_status(client, path, {"containerStatuses": statuses})


async def end_pod(client: KubeClient, namespace: str, name: str) -> None:
    """Let a pod's containers fail and delete it."""
    path = _path(namespace, name)
    statuses = msgspec.json.decode(await client.request("GET", path))["status"]["containerStatuses"]
    for each in statuses:
        each["state"] = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "containerID": each["containerID"]}}
    await set_status(client, path, {"phase": "Failed", "containerStatuses": statuses})
    await client.request("DELETE", path, params={"gracePeriodSeconds": 0})


def _path(namespace: str, pod: str) -> str:
    return f"{resource_path('', 'v1', 'pods', namespace=namespace)}/{pod}"
