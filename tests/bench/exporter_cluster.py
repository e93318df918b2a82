"""The exporter on a real kube-apiserver: `python -m tests.bench.exporter_cluster [models] [churn s] [pages|no-pages]`.

Five pods of each model, in Seldon's shape, run by kwok on 50 nodes; one SeldonDeployment, Service and Ingress of each
model; every pod's two pages, an orchestrator's and an empty one, answered over HTTP at the pod's address by a process
of its own. Printed: the scrape of the cluster page, in seconds and in CPU seconds, resident memory, the same while pods
come and go, what reading the pages costs, and whether a killed API server and expired resource versions (410) were
survived. How many pods come and go is up to what the API server and kwok manage beside it; each is heard of several
times (made, running, ready, deleted). Beside it stand kube-state-metrics' published figures (its README.md and docs,
issue #995): it serves other and more families than we do, on other machines.
"""

from __future__ import annotations

import asyncio
import gzip
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from milepost.kube import KubeClient, resource_path
from tests.bench._page_server import page_server
from tests.exporter.program import ExporterProgram
from tests.exporter.workload import ingress, seldon_deployment, seldon_pod, service
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import Object, create, create_nodes, create_pods, node
from tests.parts.ports import free_port

PODS_PER_MODEL = 5
NODES = 50
NAMESPACES = 10
CHANGES_PER_S = 100
CHURN_AT_ONCE = 8
SCRAPES = 15
SCRAPE_EVERY_S = 2.0
REST_S = 20.0
IDLE_S = 30.0
SCRAPE_LIMIT_S = 1.0
RESIDENT_LIMIT_MIB = 150.0
CRD = Path(__file__).parents[1] / "parts" / "seldon_crd.yaml"


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    pods: int
    series: int
    page_mib: float
    scrape_s: list[float]
    resident_mib: float
    churn_s: float
    resident_after_churn_mib: float
    peak_mib: float
    changes_per_s: float
    events_per_s: float
    scrape_in_churn_s: float
    scrape_cpu_s: float
    reading_cpu: float
    pages: int
    pages_age_s: float


async def populate(client: KubeClient, models: int, ports: tuple[int, int], prefix: str = "bench") -> list[str]:
    """Create the nodes, models and pods; return the namespaces."""
    namespaces = [f"{prefix}-{number}" for number in range(min(NAMESPACES, models))]
    await create(client, resource_path("apiextensions.k8s.io", "v1", "customresourcedefinitions"), _crd())
    for namespace in namespaces:
        await create(client, resource_path("", "v1", "namespaces"), {"metadata": {"name": namespace}})
    await create_nodes(client, [node(f"{prefix}-{number}") for number in range(NODES)])
    for number, namespace in enumerate(namespaces):
        mine = [f"model-{index:04}" for index in range(models) if index % len(namespaces) == number]
        pods = [
            seldon_pod(f"{m}-default-0-classifier-{replica}", namespace=namespace, model=m,
                       node=f"{prefix}-{(int(m[6:]) + replica) % NODES}", engine_port=ports[0], metrics_port=ports[1],
                       image=f"registry.example.test:5000/team/{m}:1.4.2")
            for m in mine for replica in range(PODS_PER_MODEL)
        ]  # fmt: skip
        await create_pods(client, namespace, pods)
        for model in mine:
            await _create_model(client, namespace, model)
    return namespaces


async def wait_until_running(client: KubeClient, count: int, timeout_s: float = 600) -> None:
    """Wait until kwok runs all the pods."""
    async with asyncio.timeout(timeout_s):
        while await _running(client) < count:  # noqa: ASYNC110 - what is waited for is on the server
            await asyncio.sleep(1)


async def churn(client: KubeClient, namespaces: list[str], models: int, seconds: float) -> float:
    """Create and delete pods, 100 changes a second; return the changes made each second."""
    started = time.perf_counter()
    made = 0
    while (elapsed := time.perf_counter() - started) < seconds:
        if 2 * made > elapsed * CHANGES_PER_S:
            await asyncio.sleep(0.01)
            continue
        await asyncio.gather(*(_come_and_go(client, namespaces, models, made + n) for n in range(CHURN_AT_ONCE)))
        made += CHURN_AT_ONCE
    return 2 * made / (time.perf_counter() - started)


def watch_events(page: bytes) -> float:
    """Return how many changes of pods the exporter has heard of."""
    rows = [line for line in page.splitlines() if line.startswith(b'milepost_watch_events_total{resource="pods"')]
    return sum(float(row.rpartition(b" ")[2]) for row in rows)


def scrape(exporter: ExporterProgram) -> tuple[float, bytes]:
    """Return (seconds, the page) of one scrape as Prometheus makes it."""
    started = time.perf_counter()
    packed = exporter.get("/metrics", headers={"Accept-Encoding": "gzip", "X-Prometheus-Scrape-Timeout-Seconds": "10"})
    return time.perf_counter() - started, gzip.decompress(packed)


async def measure(plane: ControlPlane, folder: Path, models: int, churn_s: float, *, pages: bool) -> Figures:
    """Populate the cluster, run the exporter and measure it."""
    ports = (free_port(), free_port())
    async with plane.client() as client:
        namespaces = await populate(client, models, ports)
        await wait_until_running(client, models * PODS_PER_MODEL)
        with page_server(ports):
            flags = () if pages else ("--pages-enabled=false",)
            exporter = ExporterProgram(folder, f"--kube-config={plane.kubeconfig()}", *flags).start()
            if pages:
                await _first_turn(exporter)
            figures = await _figures(exporter, client, namespaces, models, churn_s)
            await survive(plane, client, exporter)
            exporter.stop()
    return figures


async def _figures(
    exporter: ExporterProgram, client: KubeClient, namespaces: list[str], models: int, churn_s: float
) -> Figures:
    await asyncio.sleep(REST_S)
    cpu = exporter.cpu_s()
    await asyncio.sleep(IDLE_S)
    reading_cpu = (exporter.cpu_s() - cpu) / IDLE_S
    times, page, cpu = [], b"", exporter.cpu_s()
    began = time.perf_counter()
    for _ in range(SCRAPES):
        seconds, page = await asyncio.to_thread(scrape, exporter)
        times.append(seconds)
        await asyncio.sleep(SCRAPE_EVERY_S)
    busy = exporter.cpu_s() - cpu - reading_cpu * (time.perf_counter() - began)
    resident, heard = exporter.resident_mib(), watch_events(page)
    under_churn = asyncio.create_task(churn(client, namespaces, models, churn_s))
    await asyncio.sleep(churn_s / 2)
    in_churn_s, _ = await asyncio.to_thread(scrape, exporter)
    changes_per_s = await under_churn
    events_per_s = (watch_events(await _page(exporter)) - heard) / churn_s
    return Figures(
        models * PODS_PER_MODEL, page.count(b"\n") - page.count(b"\n#") - 1, len(page) / 2**20, times, resident,
        churn_s, exporter.resident_mib(), exporter.resident_mib("VmHWM"), changes_per_s, events_per_s, in_churn_s,
        busy / SCRAPES, reading_cpu, int(_value(page, b'milepost_source_targets{source="model-pages"}')),
        _value(page, b'milepost_source_age_seconds{source="model-pages"}'),
    )  # fmt: skip


def _value(page: bytes, series: bytes) -> float:
    """Return the value of a series, 0 where it is not on the page."""
    _, found, rest = page.partition(b"\n" + series + b" ")
    return float(rest.partition(b"\n")[0]) if found else 0.0


async def survive(plane: ControlPlane, client: KubeClient, exporter: ExporterProgram) -> None:
    """Kill the API server, then expire all versions; the exporter must catch up with the truth each time."""
    for break_it in (plane.restart_apiserver, plane.expire_versions):
        await asyncio.to_thread(break_it)
        namespace = f"after-{break_it.__name__.replace('_', '-')}"
        await create(client, resource_path("", "v1", "namespaces"), {"metadata": {"name": namespace}})
        await create_pods(client, namespace, [seldon_pod("born-later", namespace=namespace, node="bench-0")])
        async with asyncio.timeout(120):
            while f'namespace="{namespace}"'.encode() not in await _page(exporter):  # noqa: ASYNC110
                await asyncio.sleep(0.5)


def report(figures: Figures) -> str:
    """Return the table."""
    times = sorted(figures.scrape_s)
    rows = [
        ("scrape of the cluster page, median", f"{statistics.median(times):.2f} s", "260 ms P50 at 100 nodes"),
        ("scrape of the cluster page, slowest", f"{times[-1]:.2f} s", "907 ms P99 at 100 nodes"),
        ("CPU of one scrape", f"{figures.scrape_cpu_s:.2f} s", ""),
        ("CPU of all else (watches, pages)", f"{figures.reading_cpu * 100:.0f} % of a core", ""),
        ("resident memory", f"{figures.resident_mib:.0f} MiB", "250 MiB rule of thumb; 400 MiB at 254 nodes"),
        ("resident after churn", f"{figures.resident_after_churn_mib:.0f} MiB", ""),
        ("resident at most", f"{figures.peak_mib:.0f} MiB", ""),
        ("scrape during churn", f"{figures.scrape_in_churn_s:.2f} s", "lock contention reported in #995"),
    ]
    head = (
        f"cluster page: {figures.pods} pods, {figures.series} series, {figures.page_mib:.1f} MiB; "
        f"{figures.pages} pages of model servers, the oldest read {figures.pages_age_s:.0f} s ago; "
        f"churn for {figures.churn_s:.0f} s: {figures.changes_per_s:.0f} pods made or deleted a second, "
        f"{figures.events_per_s:.0f} changes of pods heard; API server killed, 410: survived\n"
    )
    table = "\n".join(f"| {what} | {ours} | {theirs} |" for what, ours, theirs in rows)
    return f"{head}| | Milepost | kube-state-metrics, published |\n| --- | --- | --- |\n{table}"


async def _first_turn(exporter: ExporterProgram) -> None:
    async with asyncio.timeout(300):
        while b"milepost_model_request_time_seconds_count{" not in await _page(exporter):  # noqa: ASYNC110
            await asyncio.sleep(1)


async def _page(exporter: ExporterProgram) -> bytes:
    return (await asyncio.to_thread(scrape, exporter))[1]


async def _come_and_go(client: KubeClient, namespaces: list[str], models: int, number: int) -> None:
    index = number % models
    namespace, name = namespaces[index % len(namespaces)], f"model-{index:04}-{number}-new"
    path = resource_path("", "v1", "pods", namespace=namespace)
    await create(
        client, path, seldon_pod(name, namespace=namespace, model=f"model-{index:04}", node=f"bench-{index % NODES}")
    )
    await client.request("DELETE", f"{path}/{name}", params={"gracePeriodSeconds": 0})


async def _create_model(client: KubeClient, namespace: str, model: str) -> None:
    seldon = resource_path("machinelearning.seldon.io", "v1", "seldondeployments", namespace=namespace)
    await create(client, seldon, seldon_deployment(model, namespace=namespace, replicas=PODS_PER_MODEL))
    services = resource_path("", "v1", "services", namespace=namespace)
    headless = service(f"{model}-default", model=model, namespace=namespace)
    headless["spec"]["clusterIP"] = "None"
    await create(client, services, headless)
    ingresses = resource_path("networking.k8s.io", "v1", "ingresses", namespace=namespace)
    await create(client, ingresses, ingress(model, f"{model}-default", namespace=namespace))


async def _running(client: KubeClient) -> int:
    path = resource_path("", "v1", "pods")
    found = 0
    async for page in client.list_pages(path, {"fieldSelector": "status.phase=Running"}):
        found += len(msgspec.json.decode(page)["items"])
    return found


def _crd() -> Object:
    content: Object = yaml.safe_load(CRD.read_text())
    return content


def main() -> int:
    """Measure and print; the exit status says whether the limits hold."""
    models = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    churn_s = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    pages = len(sys.argv) <= 3 or sys.argv[3] != "no-pages"
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as name:
        plane = ControlPlane(Path(name) / "cluster").start()
        try:
            figures = asyncio.run(measure(plane, Path(name), models, churn_s, pages=pages))
        finally:
            plane.stop()
    print(report(figures))  # noqa: T201
    slow = statistics.median(figures.scrape_s) > SCRAPE_LIMIT_S
    large = figures.peak_mib > RESIDENT_LIMIT_MIB
    return int(slow or large)


if __name__ == "__main__":
    sys.exit(main())
