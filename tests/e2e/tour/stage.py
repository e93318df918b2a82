"""Everything that the tour needs, started: the programs, what they watch, and what watches them.

Order: the objects of the cluster, the pages of what runs there, the exporters, the platform, the log-server, Prometheus
and Alertmanager; the end is its mirror. The log-server loses a position on its way up (see `_lose_a_position`), so that
what is about lost positions has something to show.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from dashboards.alerts.generate import FOLDER as RULES
from tests.deploy.platform_process import PlatformProcess
from tests.e2e.server import LogServer
from tests.e2e.tour.node import Node
from tests.e2e.tour.objects import CONTROLLER, GPU_MANAGER, MODEL, NODE_EXPORTER, Placed, create_objects
from tests.e2e.tour.pages import Pages
from tests.e2e.tour.replica import Replica, ingress_page
from tests.exporter.program import ExporterProgram
from tests.parts.kafka import KafkaBroker
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import Object
from tests.parts.ports import free_port
from tests.parts.prometheus import Alertmanager, Prometheus

ROOT = Path(__file__).parents[3]
WRAPPER_PAGE = ROOT / "tests" / "exporter" / "sources" / "pages" / "wrapper.txt"
PARTITIONS = 4
SCRAPE = "5s"
REQUESTS_PER_S, FAILURES, TICK_S = {"default": 16, "canary": 4}, 0.6, 0.25
WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Notification:
    """An alert as Alertmanager told it to a receiver."""

    receiver: str
    alert: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """What is running."""

    namespace: str
    replicas: tuple[Replica, ...]
    logserver: LogServer
    prometheus: Prometheus
    alertmanager: Alertmanager
    told: list[Notification]


@contextlib.asynccontextmanager
async def stage(folder: Path, kafka: KafkaBroker, cluster: ControlPlane, namespace: str) -> AsyncIterator[Stage]:
    """Start everything; the model is healthy and gets traffic. Raises Unavailable when a part is missing."""
    exporter_port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        async with cluster.client() as client:
            placed = await create_objects(client, namespace, exporter_port=exporter_port)
        replicas = tuple(Replica(pod, seed=number) for number, pod in enumerate(placed.replicas))
        node = Node(replicas, folder / "node")
        kubelet = _serve_pages(stack, replicas, node, placed)
        topic = await kafka.create_topic(f"tour-{uuid.uuid4().hex[:8]}", partitions=PARTITIONS)
        producer = await stack.enter_async_context(AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=20))
        exporter = ExporterProgram(
            folder / "exporter", f"--kube-config={cluster.kubeconfig()}", "--usage-metrics-api=false",
            "--history-interval=2s",
        )  # fmt: skip
        on_node = ExporterProgram(
            folder / "exporter-node", "--exporter-mode=node", f"--exporter-node={placed.node}",
            f"--kube-config={cluster.kubeconfig()}", f"--kubelet-url=http://{kubelet.address}",
            "--kubelet-token-file=", f"--gpu-proc={node.proc}", "--gpu-nvml=on",
            f"--exporter-host={placed.address(NODE_EXPORTER)}", f"--exporter-port={exporter_port}",
            env=node.driver.env,
        )  # fmt: skip
        await _start(stack, exporter.start, exporter.stop)
        await _start(stack, on_node.start, on_node.stop)
        platform = PlatformProcess(folder, cluster.kubeconfig())
        await _start(stack, platform.start, platform.kill)
        logserver = LogServer(
            folder, kafka.bootstrap, topic, "--ui-exporter-url", exporter.url, "--retention-interval", "5s",
            # Always exceeded: the day of the old line goes, today's stays.
            "--retention-disk-bytes-max", "64KiB",
        )  # fmt: skip
        stack.callback(logserver.kill)
        await _lose_a_position(kafka, topic, producer, logserver, replicas)
        told: list[Notification] = []
        alertmanager = _alertmanager(folder, stack, told)
        await _start(stack, alertmanager.start, alertmanager.stop)
        targets = {
            "milepost-exporter-cluster": exporter.url,
            "milepost-logserver": logserver.url,
            "milepost-platform": platform.url,
        }
        config = prometheus_config(targets, placed.pods, alertmanager.url)
        # The configuration names them relative to itself.
        shutil.copytree(RULES, folder / "prometheus" / RULES.relative_to(ROOT))
        prometheus = Prometheus(folder / "prometheus", config)
        await _start(stack, prometheus.start, prometheus.stop)
        await _send_odd_documents(producer, topic, replicas[0])
        traffic = asyncio.create_task(_traffic(producer, topic, replicas), name="traffic")
        stack.push_async_callback(_end, traffic)
        yield Stage(namespace, replicas, logserver, prometheus, alertmanager, told)


def prometheus_config(urls: Mapping[str, str], pods: Sequence[Object], alertmanager: str) -> str:
    """Return the configuration of docs/alerts.md, with this tour's addresses and a scrape every two seconds.

    Debian builds Prometheus without its Kubernetes discovery, so the job that looks for pods is given all of ours, with
    the labels that discovery would put on them; which of them it keeps is its own relabelling's doing.
    """
    page = (ROOT / "docs" / "alerts.md").read_text()
    (block,) = re.findall(r"```yaml\n# prometheus\.yml\n(.*?)```", page, re.DOTALL)
    config = yaml.safe_load(block)
    config["global"] = {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE}
    for job in config["scrape_configs"]:
        for static in job.get("static_configs", ()):
            static["targets"] = [urls[job["job_name"]].removeprefix("http://")]
        if job.pop("kubernetes_sd_configs", None):
            job["static_configs"] = [target for pod in pods for target in _discovered(pod)]
    receiver = {"static_configs": [{"targets": [alertmanager.removeprefix("http://")]}]}
    config["alerting"] = {"alertmanagers": [receiver]}
    return yaml.safe_dump(config)


def _discovered(pod: Object) -> Iterator[dict[str, Any]]:
    """Yield what Prometheus' discovery of pods makes of one: a target for each port that its containers declare."""
    labels = {
        f"__meta_kubernetes_pod_label_{re.sub('[^a-zA-Z0-9_]', '_', name)}": value
        for name, value in pod["metadata"].get("labels", {}).items()
    }
    for container in pod["spec"]["containers"]:
        for port in container.get("ports", ()):
            yield {"targets": [f"{pod['status']['podIP']}:{port['containerPort']}"], "labels": labels}


def _serve_pages(stack: contextlib.AsyncExitStack, replicas: tuple[Replica, ...], node: Node, placed: Placed) -> Pages:
    """Serve the pages of the cluster at the pods' own addresses; return the kubelet's server."""

    def serve(pages: dict[str, Callable[[], str]], host: str = "127.0.0.1", port: int = 0) -> Pages:
        server = Pages({path: lambda _, page=page: page() for path, page in pages.items()}, host, port)  # type: ignore[misc]
        stack.callback(server.close)
        return server

    for replica in replicas:
        serve({"/prometheus": replica.executor_page}, replica.address, 8000)
        serve({"/prometheus": WRAPPER_PAGE.read_text}, replica.address, 6000)
    serve({"/metrics": lambda: ingress_page(list(replicas), MODEL)}, placed.address(CONTROLLER), 10254)
    serve({"/metric": node.gpu_manager_page}, placed.address(GPU_MANAGER), 5678)
    return serve({"/metrics/resource": node.resource_page, "/metrics/cadvisor": node.cadvisor_page})


def _alertmanager(folder: Path, stack: contextlib.AsyncExitStack, told: list[Notification]) -> Alertmanager:
    """Return one with the shipped routing, whose receivers are this tour's and which waits for no more of a group."""
    config = yaml.safe_load((RULES / "alertmanager.example.yml").read_text())

    def listen(receiver: str) -> Callable[[bytes], str]:
        def hear(body: bytes) -> str:
            told.extend(Notification(receiver, alert) for alert in json.loads(body)["alerts"])
            return ""

        return hear

    receivers = Pages({f"/{each['name']}": listen(each["name"]) for each in config["receivers"]})
    stack.callback(receivers.close)
    config["route"]["group_wait"] = "1s"
    for each in config["receivers"]:
        if each.pop("email_configs", None) or each.pop("webhook_configs", None):
            url = f"http://{receivers.address}/{each['name']}"
            each["webhook_configs"] = [{"url": url, "send_resolved": True}]
    return Alertmanager(folder / "alertmanager", yaml.safe_dump(config))


async def _start(stack: contextlib.AsyncExitStack, start: Callable[[], object], stop: Callable[[], None]) -> None:
    stack.callback(stop)
    await asyncio.to_thread(start)


async def _lose_a_position(
    kafka: KafkaBroker, topic: str, producer: AIOKafkaProducer, logserver: LogServer, replicas: tuple[Replica, ...]
) -> None:
    """Start the log-server, stop it, and let Kafka delete what it has not read: retention was faster than it."""

    async def print_lines(count: int) -> None:
        for replica in replicas:
            for number in range(count):
                await producer.send_and_wait(topic, replica.document(f"INFO: warming up, step {number}"), replica.key)

    await print_lines(10)
    logserver.start()
    await asyncio.to_thread(logserver.wait_ready)
    await until(lambda: logserver.metric("lines_total") >= 10 * len(replicas), "the first lines")
    await asyncio.to_thread(logserver.stop)
    await print_lines(10)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        # -1 is the end of the partition.
        gone = {TopicPartition(topic, number): RecordsToDelete(before_offset=-1) for number in range(PARTITIONS)}
        await admin.delete_records(gone)
    finally:
        await admin.close()
    logserver.start()
    await asyncio.to_thread(logserver.wait_ready)


async def _send_odd_documents(producer: AIOKafkaProducer, topic: str, replica: Replica) -> None:
    """Send what is not a line, a line twice, and one of a day that the bound on the disk takes away."""
    await producer.send_and_wait(topic, b"this is not JSON", replica.key)
    twice = replica.document("INFO: model loaded in 3.2 s")
    for document in (twice, twice):
        await producer.send_and_wait(topic, document, replica.key)
    old = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=30)
    await producer.send_and_wait(topic, replica.document("INFO: an old line", at=old), replica.key)


async def _traffic(producer: AIOKafkaProducer, topic: str, replicas: tuple[Replica, ...]) -> None:
    while True:
        for replica in replicas:
            for _ in range(round(REQUESTS_PER_S[replica.predictor] * TICK_S)):
                for document in replica.answer(FAILURES):
                    await producer.send(topic, document, replica.key)
        await asyncio.sleep(TICK_S)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def until(holds: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
    """Ask in a thread until the answer is yes; raises AssertionError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not await asyncio.to_thread(holds):
        assert loop.time() < deadline, f"waited {timeout_s:g} s for {what}"
        await asyncio.sleep(0.3)
