"""The exporter and the platform as processes of their own on a real API server, with a model that seems to work.

    kube-apiserver, controller-manager, kwok ──▶ milepost exporter, milepost platform ──▶ the web UI
    pages of TF Serving at the pods' addresses ─┘
    a node exporter's page at its pod's address ─┘

The pages are those of tests/exporter with the numbers of a model that answers 40 requests a second; what reads, adds up
and shows them is real. All of it lives in an event loop of its own, since the tests block on a browser.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import aiohttp
import msgspec
from aiohttp import web

from milepost.kube import ContentType, KubeClient, resource_path
from tests.deploy.seldon_controller import seldon_controller
from tests.exporter.program import ExporterProgram
from tests.parts import crds
from tests.parts.addresses import NODE_ADDRESS
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import Object, create, create_namespace, grant, node, wait_for
from tests.parts.ports import free_port
from tests.parts.process import Process, python

MODEL = "fraud"
IMAGE = "registry.example/team/tensorflow-serving"
SERVING_PORT = 8501
READ = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
QUICK = {"MILEPOST_OPERATIONS_POLL": "200ms", "MILEPOST_OPERATIONS_ROUTE_SETTLE": "1s"}
WAIT_S = 120.0
_Result = TypeVar("_Result")


BOUNDS_US = (15_000, 30_000, 60_000, 120_000, 240_000)


@dataclass
class Traffic:
    """What the models' pages tell: requests since the start, some of them failed; the figures may change on the way."""

    per_second: float = 40.0
    error_ratio: float = 0.02
    latency_s: float = 0.03
    started: float = field(default_factory=time.monotonic)
    counted_until: float = field(default_factory=time.monotonic)
    counts: dict[str, float] = field(default_factory=dict)

    def serving_page(self) -> str:
        """Return TF Serving's page (microseconds, cumulative buckets)."""
        self._count()
        family, labels = ":tensorflow:serving:request_latency", 'model_name="m",API="predict",entrypoint="REST"'
        rows = [f'{family}_bucket{{{labels},le="{bound}"}} {int(self.counts[str(bound)])}' for bound in BOUNDS_US]
        requests, failed = int(self.counts["requests"]), int(self.counts["failed"])
        return "\n".join([
            "# TYPE :tensorflow:serving:request_count counter",
            f':tensorflow:serving:request_count{{model_name="m",status="OK"}} {requests - failed}',
            f':tensorflow:serving:request_count{{model_name="m",status="INTERNAL"}} {failed}',
            f"# TYPE {family} histogram", *rows, f'{family}_bucket{{{labels},le="+Inf"}} {requests}',
            f"{family}_sum{{{labels}}} {self.counts['us']:.0f}", f"{family}_count{{{labels}}} {requests}\n",
        ])  # fmt: skip

    def _count(self) -> None:
        now = time.monotonic()
        requests = (now - self.counted_until) * self.per_second
        self.counted_until = now
        new = {"requests": requests, "failed": requests * self.error_ratio, "us": requests * self.latency_s * 1e6}
        new |= {str(bound): requests * (1 - math.exp(-1.5 * bound / self.latency_s / 1e6)) for bound in BOUNDS_US}
        self.counts = {name: self.counts.get(name, 0.0) + value for name, value in new.items()}

    def node_page(self, pods: list[Object]) -> str:
        """Return a node exporter's page: 0.8 cores, 1.5 GiB and 0.4 of a card for each container."""
        spent = time.monotonic() - self.started
        cpu, memory, busy, card = [], [], [], []
        for pod in pods:
            meta, labels = pod["metadata"], pod["metadata"].get("labels", {})
            for container in pod["spec"]["containers"]:
                who = (f'namespace="{meta["namespace"]}",model="{labels.get("seldon-deployment-id", "")}",'
                       f'predictor="{labels.get("version", "")}",pod="{meta["name"]}",container="{container["name"]}",'
                       f'node="{pod["spec"].get("nodeName", "")}"')  # fmt: skip
                cpu.append(f"milepost_container_cpu_usage_seconds_total{{{who}}} {spent * 0.8:.3f}")
                memory.append(f"milepost_container_memory_working_set_bytes{{{who}}} {1.5 * 2**30 + spent * 2**20:.0f}")
                gpu = f'{who},gpu="GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52",source="nvml"'
                busy.append(f"milepost_gpu_container_utilization_ratio{{{gpu}}} 0.4")
                card.append(f"milepost_gpu_container_memory_used_bytes{{{gpu}}} {3 * 2**30}")
        return "\n".join([*cpu, *memory, *busy, *card, ""])


@dataclass
class Neighbours:
    """What runs: the addresses, a namespace of its own, an owner's and a reader's tokens."""

    namespace: str
    exporter_url: str
    platform_url: str
    owner: str
    reader: str
    platform: Process
    client: KubeClient
    traffic: Traffic
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Do something in the neighbours' loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WAIT_S)

    def ask(self, method: str, path: str, document: Any = None, *, token: str = "") -> Any:
        """Ask the platform; a change is waited for to its end."""
        return self.run(self._ask(method, path, document, token or self.owner))

    def deploy(self, version: str, replicas: int = 2) -> None:
        """Apply a spec of the model and wait until it serves."""
        self.ask("PUT", f"models/{self.namespace}/{MODEL}", self.spec(version, replicas))

    def start_canary(self, version: str) -> None:
        """Begin a rollout that waits at 30 % for somebody."""
        plan = {"steps": [{"split": {"percent": 30}, "hold_s": 0.0}], "judged": False, "auto_promote": False}
        document = {"spec": self.spec(version), "plan": plan}
        self.ask("POST", f"models/{self.namespace}/{MODEL}/rollout", document)

    def spec(self, version: str, replicas: int = 2) -> Object:
        """Return a spec of the model."""
        return {"name": MODEL, "namespace": self.namespace, "image": f"{IMAGE}:{version}", "replicas": replicas,
                "drainSeconds": 1, "graceSeconds": 5}  # fmt: skip

    def pods(self, model: str = MODEL) -> list[str]:
        """Return the names of a model's pods."""
        return sorted(pod["metadata"]["name"] for pod in self.run(_pods(self.client, self.namespace, model)))

    def crash(self, pod: str) -> None:
        """Let a pod of the model look as if its server needs instructions that its node does not have."""
        self.run(_crash(self.client, self.namespace, pod))

    async def _ask(self, method: str, path: str, document: Any, token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.platform_url}/api/v1/{path}"
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.request(method, url, json=document) as answer:
                found = await answer.json()
                assert answer.status < 300, found
            if answer.status != 202:
                return found
            async with session.get(f"{self.platform_url}/api/v1/jobs/{found['id']}/events") as events:
                told = await events.text()
            assert '"state":"failed"' not in told, told
            return found


@contextlib.contextmanager
def neighbours(cluster: ControlPlane, folder: Path) -> Iterator[Neighbours]:
    """Start the exporter and the platform and deploy the model; all ends with the block."""
    started: Future[tuple[Neighbours, asyncio.Event]] = Future()

    async def live() -> None:
        try:
            async with _running(cluster, folder) as running:
                stopping = asyncio.Event()
                started.set_result((running, stopping))
                await stopping.wait()
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = Thread(target=asyncio.run, args=(live(),), name="neighbours")
    thread.start()
    try:
        running, stopping = started.result(timeout=4 * WAIT_S)
        running.deploy("1")
        yield running
    finally:
        if started.done() and started.exception() is None:
            running.loop.call_soon_threadsafe(stopping.set)
        thread.join(timeout=60)


@contextlib.asynccontextmanager
async def _running(cluster: ControlPlane, folder: Path) -> AsyncIterator[Neighbours]:
    traffic, node_port = Traffic(), free_port(NODE_ADDRESS)
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(cluster.client())
        await crds.apply_definitions(client, await asyncio.to_thread(crds.definitions))
        name = await create_namespace(client, "ui")
        await create(client, resource_path("", "v1", "nodes"), node(f"gpu-{name}"))
        await create(client, resource_path("", "v1", "pods", namespace=name), _node_exporter(name, node_port))
        await grant(client, f"owner-{name}", [EVERYTHING], namespace=name)
        await grant(client, f"reader-{name}", [READ], namespace=name)
        await stack.enter_async_context(seldon_controller(client, name, port=SERVING_PORT))
        serving = asyncio.create_task(_serve_pages(client, name, traffic, node_port))
        stack.push_async_callback(_cancelled, serving)
        exporter = ExporterProgram(
            folder / "exporter", f"--kube-config={cluster.kubeconfig()}", "--auth-mode=kubernetes",
            "--history-interval=1s", "--usage-metrics-api=false",
        )  # fmt: skip
        port = free_port()
        flags = (f"--kube-config={cluster.kubeconfig()}", "--auth-mode=kubernetes", f"--platform-port={port}")
        platform = Process(python("milepost.cli", "platform", *flags), log=folder / "platform.log", env=QUICK)
        stack.callback(exporter.stop)
        stack.callback(platform.stop)
        await asyncio.to_thread(exporter.start)
        platform.start()
        await asyncio.to_thread(platform.wait_port, port, WAIT_S)
        owner, reader = (cluster.token(f"{who}-{name}") for who in ("owner", "reader"))
        url, loop = f"http://127.0.0.1:{port}", asyncio.get_running_loop()
        yield Neighbours(name, exporter.url, url, owner, reader, platform, client, traffic, loop)
        if serving.done():
            serving.result()
        await client.request("DELETE", resource_path("", "v1", "namespaces", name=name))


def _node_exporter(namespace: str, port: int) -> Object:
    labels = {"app.kubernetes.io/part-of": "milepost", "app.kubernetes.io/name": "exporter"}
    ports = [{"name": "metrics", "containerPort": port}]
    return {
        "metadata": {"name": "node-exporter", "labels": {**labels, "app.kubernetes.io/component": "node"}},
        "spec": {
            "nodeName": f"gpu-{namespace}",
            "containers": [{"name": "exporter", "image": "registry.example/milepost:1", "ports": ports}],
        },
    }


async def _serve_pages(client: KubeClient, namespace: str, traffic: Traffic, node_port: int) -> None:
    """Serve the page of every pod at its address, of those that come too."""
    shown: list[Object] = []

    async def serving_page(_: web.Request) -> web.Response:
        return web.Response(text=traffic.serving_page())

    async def node_page(_: web.Request) -> web.Response:
        return web.Response(text=traffic.node_page(shown))

    app = web.Application()
    app.router.add_get("/monitoring/prometheus/metrics", serving_page)
    app.router.add_get("/metrics", node_page)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    served: set[str] = set()
    try:
        while True:
            everything = msgspec.json.decode(
                await client.request("GET", resource_path("", "v1", "pods", namespace=namespace))
            )["items"]
            shown[:] = [pod for pod in everything if pod["metadata"]["name"] != "node-exporter"]
            for pod in everything:
                address = pod["status"].get("podIP", "")
                port = node_port if pod["metadata"]["name"] == "node-exporter" else SERVING_PORT
                if address and address not in served and await _started(web.TCPSite(runner, address, port)):
                    served.add(address)
            await asyncio.sleep(0.2)
    finally:
        await runner.cleanup()


async def _started(site: web.TCPSite) -> bool:
    """Start it; False when another run on this machine has the address just now."""
    try:
        await site.start()
    except OSError:
        await site.stop()
        return False
    return True


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _pods(client: KubeClient, namespace: str, model: str) -> list[Object]:
    raw = await client.request(
        "GET",
        resource_path("", "v1", "pods", namespace=namespace),
        params={"labelSelector": f"seldon-deployment-id={model}"},
    )
    return list(msgspec.json.decode(raw)["items"])


async def _crash(client: KubeClient, namespace: str, pod: str) -> None:
    path = resource_path("", "v1", "pods", namespace=namespace, name=pod)
    found = msgspec.json.decode(await client.request("GET", path))
    ended = {"exitCode": 132, "reason": "Error", "startedAt": "2026-11-24T00:00:00Z", "finishedAt": _stamp()}
    statuses = [
        {
            **status, "ready": False, "restartCount": 4, "lastState": {"terminated": ended},
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
        }
        for status in found["status"]["containerStatuses"]
    ]  # fmt: skip
    false = {"status": "False", "reason": "ContainersNotReady", "lastTransitionTime": _stamp()}
    conditions = [
        {**condition, **false} if condition["type"] in ("Ready", "ContainersReady") else condition
        for condition in found["status"]["conditions"]
    ]
    body = msgspec.json.encode({"status": {"containerStatuses": statuses, "conditions": conditions}})
    await client.request("PATCH", f"{path}/status", body=body, content_type=ContentType.MERGE)
    await wait_for(client, path, lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] == 4)


def _stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
