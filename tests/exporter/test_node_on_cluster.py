"""The exporter in node mode as a process: a kubelet of the tests, the pods of one node, a peer that reads its page."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from milepost.kube import KubeClient, resource_path
from tests.exporter.live import MODELS, account_kubeconfig, answer, scrape
from tests.exporter.program import ExporterProgram
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create_pods, wait_for
from tests.parts.ports import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


class Kubelet:
    """A kubelet's two pages over TLS with a certificate of its own making, for who shows the right token."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = 0.0
        self.pods: list[tuple[str, str]] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    def certify(self) -> ssl.SSLContext:
        key, crt = self.folder / "kubelet.key", self.folder / "kubelet.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kubelet",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", crt],
            check=True, capture_output=True,
        )  # fmt: skip
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(crt, key)
        return tls

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/metrics/resource", self._resource)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.certify()).start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _resource(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer node-token":
            return web.Response(status=401)
        self.seconds += 1
        now_ms = int(time.time() * 1000)
        rows = [
            f'{family}{{container="classifier",namespace="{namespace}",pod="{pod}"}} {value} {now_ms}'
            for family, value in (
                ("container_cpu_usage_seconds_total", self.seconds),
                ("container_memory_working_set_bytes", 2**30),
            )
            for namespace, pod in self.pods
        ]
        return web.Response(text="\n".join(rows) + "\n")


@pytest.fixture
async def kubelet(namespace: str, tmp_path: Path) -> AsyncIterator[Kubelet]:
    served = Kubelet(tmp_path)
    served.pods = [(namespace, f"m{n % MODELS}-default-0-classifier-{n}") for n in range(4)]
    (tmp_path / "kubelet-token").write_text("node-token\n")
    await served.start()
    yield served
    await served.stop()


def node_flags(kubelet: Kubelet, namespace: str, kubeconfig: Path) -> list[str]:
    return [
        "--exporter-mode=node", f"--exporter-node={namespace}-a", f"--kube-config={kubeconfig}",
        f"--kubelet-url={kubelet.url}", f"--kubelet-token-file={kubelet.folder / 'kubelet-token'}",
        "--kubelet-cadvisor=false",
    ]  # fmt: skip


async def test_a_node_exporter_shows_the_containers_of_its_node_and_the_cluster_exporters_history_has_them(
    cluster: ControlPlane, exporter: ExporterProgram, kubelet: Kubelet, namespace: str, tmp_path: Path
) -> None:
    async with cluster.client() as client:
        kubeconfig = await account_kubeconfig(client, cluster, namespace, "exporter-node", tmp_path / "node.kubeconfig")
        address, port = await node_exporter_pod(client, namespace)
    program = ExporterProgram(
        tmp_path / "node", *node_flags(kubelet, namespace, kubeconfig),
        f"--kubelet-ca-file={tmp_path / 'kubelet.crt'}", f"--exporter-host={address}", f"--exporter-port={port}",
    )  # fmt: skip
    await asyncio.to_thread(program.start)
    try:
        page = await scrape(program)
        assert page.value("milepost_source_up", 'source="kubelet"') == 1
        # Pods 1 and 3 run on the other node: this one's kubelet has no business with them.
        used = page.of("milepost_container_cpu_usage_seconds_total", 'model="m', f'node="{namespace}-a"')
        assert len(used) == page.count("milepost_container_memory_limit_ratio") == 2
        assert page.value("milepost_container_memory_limit_ratio", 'pod="m0-default-0-classifier-0"') == 0.5
        admin = cluster.token("admin", ["system:masters"])
        async with asyncio.timeout(30):
            while True:
                (pod, *_) = (await answer(exporter, f"/api/v1/pods?namespace={namespace}&model=m0", admin))["items"]
                if pod["now"]["cpu_cores"]:
                    break
                await asyncio.sleep(0.3)
        assert pod["now"]["memory_bytes"] == 2**30
        assert (await scrape(exporter)).count("milepost_container_cpu_usage_seconds_total") == 0
    finally:
        await asyncio.to_thread(program.stop)


async def node_exporter_pod(client: KubeClient, namespace: str) -> tuple[str, int]:
    """Create the pod that a node exporter of this test pretends to be; return its address and port."""
    port = free_port()
    labels = {"app.kubernetes.io/part-of": "milepost", "app.kubernetes.io/name": "exporter",
              "app.kubernetes.io/component": "node"}  # fmt: skip
    containers = [{"name": "exporter", "image": "milepost", "ports": [{"name": "metrics", "containerPort": port}]}]
    spec = {"nodeName": f"{namespace}-a", "containers": containers}
    await create_pods(client, namespace, [{"metadata": {"name": "node-exporter", "labels": labels}, "spec": spec}])
    path = f"{resource_path('', 'v1', 'pods', namespace=namespace)}/node-exporter"
    found = await wait_for(client, path, lambda pod: bool(pod["status"].get("podIP")))
    return found["status"]["podIP"], port


async def test_a_kubelet_whose_certificate_nobody_vouches_for_is_not_told_the_token(
    cluster: ControlPlane, kubelet: Kubelet, namespace: str, tmp_path: Path
) -> None:
    flags = node_flags(kubelet, namespace, cluster.kubeconfig())
    program = ExporterProgram(tmp_path / "node", *flags)
    await asyncio.to_thread(program.start)
    try:
        page = await scrape(program)
        assert page.value("milepost_source_up", 'source="kubelet"') == 0
        assert page.value("milepost_source_errors_total", 'source="kubelet"', 'reason="tls"') >= 1
        assert page.count("milepost_container_cpu_usage_seconds_total") == 0
        assert kubelet.seconds == 0
    finally:
        await asyncio.to_thread(program.stop)
