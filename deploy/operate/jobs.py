"""Jobs that build images: started, looked at, removed. With the termination message and the last log lines of a pod.

The Job controller's own conditions decide (`Complete`, `Failed`); a pod only tells why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from deploy.cluster import Cluster
from deploy.errors import Absent, Conflict, PlatformError
from deploy.objects import Body, collection_path
from deploy.rebuild import CONTAINER
from deploy.seen.podkinds import Ended, Pod
from milepost.settings import setting
from milepost.units import Seconds


@dataclass(frozen=True, slots=True)
class RebuildSettings:
    """How images of custom servers are built anew."""

    template: str = setting("", "`namespace/name` of the ConfigMap with the Job template (key job.yaml); empty: none")
    timeout: Seconds = setting(Seconds(3600), "A build that takes longer fails, where its template sets no deadline")
    lines: int = setting(20, "How many log lines are shown of a failed build")


class _Condition(msgspec.Struct, frozen=True):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class _JobStatus(msgspec.Struct, frozen=True):
    active: int = 0
    failed: int = 0
    ready: int = 0
    conditions: list[_Condition] = []


class _Job(msgspec.Struct, frozen=True):
    status: _JobStatus = _JobStatus()


@dataclass(frozen=True, slots=True)
class Build:
    """One look at a Job. `message` is the termination message once it is complete, and why when it has failed."""

    state: Literal["running", "complete", "failed"]
    told: str
    message: str = ""


class Jobs:
    """The Jobs of one cluster, with one identity's rights."""

    def __init__(self, cluster: Cluster, settings: RebuildSettings) -> None:
        self._cluster = cluster
        self._settings = settings

    async def start(self, body: Body, *, dry_run: bool = False) -> None:
        """Create the Job; one that exists is the same one, since its name is its deed's. Raises PlatformError."""
        params: dict[str, str | int | bool] = {"fieldValidation": "Strict", "fieldManager": "milepost"}
        if dry_run:
            params["dryRun"] = "All"
        collection = collection_path("batch/v1", "jobs", body["metadata"]["namespace"])
        try:
            await self._cluster.request("POST", collection, params=params, body=msgspec.json.encode(body))
        except Conflict:
            return

    async def remove(self, body: Body) -> None:
        """Delete the Job and its pods; one that is gone is no error."""
        body_of_delete = msgspec.json.encode({"propagationPolicy": "Background"})
        try:
            await self._cluster.request("DELETE", _path(body), body=body_of_delete)
        except Absent:
            return

    async def look(self, body: Body) -> Build | None:
        """Return how the Job stands; None when it does not exist. Raises PlatformError."""
        name = body["metadata"]["name"]
        try:
            status = msgspec.json.decode(await self._cluster.request("GET", _path(body)), type=_Job).status
        except Absent:
            return None
        ended = {one.type: one for one in status.conditions if one.status == "True"}
        if "Complete" not in ended and "Failed" not in ended:
            return Build("running", f"Job {name}: {status.ready} of {status.active} pods run, {status.failed} failed")
        pods = await self._pods(body)
        pod, end = _last(pods)
        if "Complete" in ended:
            return Build("complete", f"Job {name}: complete", end.message)
        condition = ended["Failed"]
        return Build("failed", f"Job {name}: failed", await self._why(body, condition, pod, end))

    async def _why(self, body: Body, condition: _Condition, pod: Pod | None, end: Ended) -> str:
        told = f"Job {body['metadata']['name']} failed: {condition.reason}: {condition.message}"
        if pod is None:
            return f"{told} (no pod of it is left)"
        told += f"; {CONTAINER} of {pod.metadata.name} ended with {end.exit_code} {end.reason}".rstrip()
        lines = end.message.strip() or await self._log(pod)
        shown = "\n".join(lines.splitlines()[-self._settings.lines :])
        return f"{told}\n{shown}" if shown else told

    async def _log(self, pod: Pod) -> str:
        collection = collection_path("v1", "pods", pod.metadata.namespace)
        params: dict[str, str | int | bool] = {"tailLines": self._settings.lines}
        try:
            raw = await self._cluster.request("GET", f"{collection}/{pod.metadata.name}/log", params=params)
        except PlatformError as error:
            return f"(no log lines: {error})"
        return raw.decode(errors="replace").rstrip()

    async def _pods(self, body: Body) -> list[Pod]:
        metadata = body["metadata"]
        selector = f"batch.kubernetes.io/job-name={metadata['name']}"
        return await self._cluster.items(collection_path("v1", "pods", metadata["namespace"]), selector, Pod)


def _last(pods: list[Pod]) -> tuple[Pod | None, Ended]:
    """Return the newest pod and how its container `build` (else its first one) ended."""
    newest = max(pods, key=lambda pod: pod.metadata.creation_timestamp or "", default=None)
    statuses = newest.status.container_statuses if newest else []
    chosen = next((one for one in statuses if one.name == CONTAINER), statuses[0] if statuses else None)
    return newest, (chosen.ended if chosen else None) or Ended()


def _path(body: Body) -> str:
    metadata = body["metadata"]
    return f"{collection_path('batch/v1', 'jobs', metadata['namespace'])}/{metadata['name']}"
