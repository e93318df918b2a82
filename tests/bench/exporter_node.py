"""The node page of a full node: `python -m tests.bench.exporter_node [pods]`.

A kubelet's two pages for 110 pods of two containers, in about their real size (some 60 rows of each container, sandbox
and pod cgroup on cAdvisor's, of which four are read), served by a process of its own over loopback HTTP. The exporter
reads them anew at each scrape. CPU seconds are the exporter's and the scraper's together: they are one process here.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from exporter.api import create_app
from exporter.cluster.podindex import PodIndex
from exporter.collector import Collection, Collector
from exporter.history.ring import Ring
from exporter.page.render import SeriesBound
from exporter.read.fetch import Fetcher
from exporter.read.kubelet import CADVISOR_PATH, RESOURCE_PATH, KubeletAccess, KubeletSource
from exporter.read.watching import KubernetesSource
from exporter.serving import Exporter, process_registry
from exporter.settings import ScrapeSettings
from milepost.auth import AllowAll
from milepost.kube import KubeClient
from tests.exporter.workload import ENGINE, running, seldon_pod
from tests.parts.asgi import serve

SCRAPES = 30
WARM_UP = 3
LIMIT_S = 0.050
NODE = "node-1"
CONTAINERS = ("classifier", ENGINE)
OTHER_FAMILIES = 56
READ = ("container_memory_rss", "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total",
        "container_oom_events_total")  # fmt: skip


def names(pods: int) -> list[str]:
    """The names of the pods."""
    return [f"model-{number:04}-default-0-classifier-7d9c6b5f4d-{number:05}" for number in range(pods)]


def resource_page(pods: int) -> bytes:
    """A page of `/metrics/resource`."""
    rows = []
    for family in ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes"):
        rows += [
            f'{family}{{container="{container}",namespace="models",pod="{pod}"}} 1.7340032e+07 1795507193123'
            for pod in names(pods)
            for container in CONTAINERS
        ]
    for family in ("pod_cpu_usage_seconds_total", "pod_memory_working_set_bytes"):
        rows += [f'{family}{{namespace="models",pod="{pod}"}} 15.9 1795507193123' for pod in names(pods)]
    return ("\n".join(rows) + "\n").encode()


def cadvisor_page(pods: int) -> bytes:
    """A page of `/metrics/cadvisor`: every family, in alphabetical order, has a row of each container and cgroup."""
    rows = []
    others = [f"container_{'blkio' if number % 2 else 'spec'}_{number}_total" for number in range(OTHER_FAMILIES)]
    for family in sorted([*others, *READ]):
        rows.append(f"# HELP {family} Something that cAdvisor counts.\n# TYPE {family} counter")
        for pod in names(pods):
            scope = (
                f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{hash(pod) & 0xFFFFFFFF:032x}.slice"
            )
            for container in ("", "POD", *CONTAINERS):
                rows.append(  # noqa: PERF401
                    f'{family}{{container="{container}",id="{scope}/cri-containerd-{"ab" * 32}.scope",'
                    f'image="registry.example.test:5000/team/classifier:1.4.2",name="{"cd" * 32}",'
                    f'namespace="models",pod="{pod}"}} 1.7340032e+07 1795507193000'
                )
    return ("\n".join(rows) + "\n").encode()


def serve_kubelet(pages: dict[str, bytes], port: Connection) -> None:
    """Serve the pages for ever; the port is sent once it listens."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=pages[request.path])

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


async def measure(url: str, pods: int, folder: Path) -> tuple[list[float], list[float], int]:
    """Return (seconds of each scrape, CPU seconds of each, series)."""
    index = PodIndex(render=False)
    for number, name in enumerate(names(pods)):
        pod = running(seldon_pod(name, model=f"model-{number:04}", node=NODE), f"198.18.{number // 250}.{number % 250}")
        index.apply(msgspec.json.encode(pod), deleted=False)
    async with Fetcher(connections=4, body_max=64 << 20) as fetcher:
        source = KubeletSource(KubeletAccess(url, None, True), fetcher, index, NODE)
        times_s, cpu_s, page = await _scrape(_exporter(index, source, folder))
    return times_s, cpu_s, sum(not line.startswith(b"#") for line in page.splitlines())


def _exporter(index: PodIndex, source: KubeletSource, folder: Path) -> Exporter:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: x, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "users: [{name: x, user: {token: x}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n"
    )
    kubernetes = KubernetesSource(KubeClient.load(kubeconfig), (), lambda _: None, stale_max_s=60, absent_retry_s=60)
    ring = Ring(window_s=900, interval_s=15, pods_max=1000, models_max=1000)

    def remember(found: Collection) -> None:
        ring.offer(time.time(), found)

    return Exporter(
        mode="node", pods=index, cluster=None, kubernetes=kubernetes,
        collector=Collector([kubernetes, source], on_collected=remember),
        ring=ring, bound=SeriesBound(1_000_000), process=process_registry(),
    )  # fmt: skip


async def _scrape(exporter: Exporter) -> tuple[list[float], list[float], bytes]:
    times_s, cpu_s, page = [], [], b""
    async with serve(create_app(exporter, AllowAll(), ScrapeSettings())) as url, aiohttp.ClientSession() as session:
        for _ in range(WARM_UP + SCRAPES):
            started, busy = time.perf_counter(), time.process_time()
            async with session.get(f"{url}/metrics") as answer:
                page = await answer.read()
            times_s.append(time.perf_counter() - started)
            cpu_s.append(time.process_time() - busy)
    return times_s[WARM_UP:], cpu_s[WARM_UP:], page


def main() -> int:
    """Measure and print; the exit status says whether the limit holds."""
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 110
    pages = {RESOURCE_PATH: resource_page(pods), CADVISOR_PATH: cadvisor_page(pods)}
    mib = sum(map(len, pages.values())) / 2**20
    told, tell = multiprocessing.Pipe(duplex=False)
    kubelet = multiprocessing.Process(target=serve_kubelet, args=(pages, tell), daemon=True)
    kubelet.start()
    url = f"http://127.0.0.1:{told.recv()}"
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as folder:
        times_s, cpu_s, series = asyncio.run(measure(url, pods, Path(folder)))
    kubelet.terminate()
    median_s = statistics.median(times_s)
    print(  # noqa: T201
        f"node page: {pods} pods, {series} series from {mib:.1f} MiB of kubelet pages: "
        f"median {median_s * 1000:.0f} ms, quickest {min(times_s) * 1000:.0f} ms, slowest {max(times_s) * 1000:.0f} ms "
        f"(limit {LIMIT_S * 1000:.0f} ms); CPU median {statistics.median(cpu_s) * 1000:.0f} ms, "
        f"least {min(cpu_s) * 1000:.0f} ms"
    )
    return int(median_s > LIMIT_S * max(1.0, pods / 110))


if __name__ == "__main__":
    sys.exit(main())
