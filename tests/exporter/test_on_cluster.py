"""The exporter as a process on a real API server: its rights, real pages at pods' addresses, a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from aiohttp import web

from milepost.kube import KubeClient, resource_path
from tests.exporter.program import ExporterProgram
from tests.exporter.workload import ingress, seldon_deployment, seldon_pod, service
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import RBAC, Object, create, create_namespace, create_nodes, create_pods, grant, node, wait_for
from tests.parts.ports import free_port
from tests.parts.prometheus import Prometheus

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SELDON_GROUP = "machinelearning.seldon.io"
PODS, MODELS = 60, 12
ENGINE_PORT, UNIT_PORT = 18000, 16000


async def apply_rbac(client: KubeClient, namespace: str) -> None:
    """Create the objects of the shipped rbac.yaml in this namespace, with names of this test's own."""
    for body in yaml.safe_load_all((ROOT / "deploy/kustomize/base/exporter/rbac.yaml").read_text()):
        kind, meta = body["kind"], body["metadata"]
        if kind == "ServiceAccount":
            await create(client, resource_path("", "v1", "serviceaccounts", namespace=namespace), body)
            continue
        meta["name"] = f"{meta['name']}-{namespace}"
        if kind == "ClusterRoleBinding":
            body["roleRef"]["name"] += f"-{namespace}"
            body["subjects"][0]["namespace"] = namespace
        await create(client, resource_path(RBAC, "v1", f"{kind.lower()}s"), body)


async def account_kubeconfig(client: KubeClient, plane: ControlPlane, namespace: str, account: str, to: Path) -> Path:
    """Return a kubeconfig with a real token of a service account."""
    path = resource_path("", "v1", "serviceaccounts", namespace=namespace, name=account)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = (await create(client, f"{path}/token", asked))["status"]["token"]
    content = yaml.safe_load(plane.kubeconfig().read_text())
    content["users"][0]["user"] = {"token": token}
    to.write_text(yaml.safe_dump(content))
    return to


@pytest.fixture(scope="module")
def plane(cluster: ControlPlane) -> ControlPlane:
    return cluster


@pytest.fixture
async def namespace(plane: ControlPlane) -> AsyncIterator[str]:
    """A namespace with 12 models of five pods each, on two nodes."""
    async with plane.client() as client:
        name = await create_namespace(client, "expo")
        crds = resource_path("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        crd = yaml.safe_load((ROOT / "tests/parts/seldon_crd.yaml").read_text())
        installed = msgspec.json.decode(await client.request("GET", crds))["items"]
        if crd["metadata"]["name"] not in {each["metadata"]["name"] for each in installed}:
            await create(client, crds, crd)
        await wait_for(client, f"{crds}/{crd['metadata']['name']}", _established)
        await create_nodes(client, [node(f"{name}-a", capacity={"nvidia.com/gpu": "4"}), node(f"{name}-b")])
        pods = [
            seldon_pod(f"m{n % MODELS}-default-0-classifier-{n}", namespace=name, model=f"m{n % MODELS}",
                       node=f"{name}-{'ab'[n % 2]}", engine_port=ENGINE_PORT, metrics_port=UNIT_PORT)
            for n in range(PODS)
        ]  # fmt: skip
        await create_pods(client, name, pods)
        for n in range(MODELS):
            seldon = resource_path(SELDON_GROUP, "v1", "seldondeployments", namespace=name)
            await create(client, seldon, seldon_deployment(f"m{n}", namespace=name))
        services = resource_path("", "v1", "services", namespace=name)
        await create(client, services, service("m0-renamed", model="m0", namespace=name))
        routes = resource_path("networking.k8s.io", "v1", "ingresses", namespace=name)
        await create(client, routes, ingress("m0", "m0-renamed", namespace=name))
        await wait_for(client, resource_path("", "v1", "pods", namespace=name), _all_running, timeout_s=120)
        yield name
        await client.request("DELETE", resource_path("", "v1", "namespaces", name=name))


@pytest.fixture
async def exporter(plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[ExporterProgram]:
    """The exporter in cluster mode, with the rights that we ship and no others."""
    async with plane.client() as client:
        await apply_rbac(client, namespace)
        kubeconfig = await account_kubeconfig(client, plane, namespace, "exporter", tmp_path / "exporter.kubeconfig")
    program = ExporterProgram(
        tmp_path / "exporter", f"--kube-config={kubeconfig}", "--auth-mode=kubernetes", "--history-interval=1s",
        "--watch-absent-retry=1s", "--usage-metrics-api=false",
    )  # fmt: skip
    await asyncio.to_thread(program.start)
    yield program
    await asyncio.to_thread(program.stop)


class Page:
    """A scraped page."""

    def __init__(self, body: bytes) -> None:
        self.lines = body.decode().splitlines()

    def count(self, family: str, *labels: str) -> int:
        return len(self.of(family, *labels))

    def of(self, family: str, *labels: str) -> list[str]:
        return [line for line in self.lines if line.startswith(family + "{") and all(each in line for each in labels)]

    def value(self, family: str, *labels: str) -> float:
        (line,) = self.of(family, *labels)
        return float(line.rpartition(" ")[2])


async def scrape(exporter: ExporterProgram) -> Page:
    return Page(await asyncio.to_thread(exporter.get, "/metrics"))


async def until(exporter: ExporterProgram, holds: Callable[[Page], bool], timeout_s: float = 60) -> Page:
    """Scrape until the page says so."""
    async with asyncio.timeout(timeout_s):
        while not holds(page := await scrape(exporter)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return page


async def test_it_shows_the_state_of_every_pod_and_model_with_the_rights_we_ship(
    exporter: ExporterProgram, namespace: str
) -> None:
    here = f'namespace="{namespace}"'
    page = await until(exporter, lambda page: page.count("milepost_model_state", here) == 3 * MODELS)
    assert page.count("milepost_pod_info", here) == PODS
    assert sum(line.endswith(" 1") for line in page.of("milepost_pod_ready", here)) == PODS
    assert page.count("milepost_container_cpu_limit_cores", here) == 2 * PODS
    assert page.value("milepost_model_replicas_available", here, 'model="m3"') == PODS / MODELS
    assert page.value("milepost_model_ingress_present", here, 'model="m0"') == 1
    assert page.value("milepost_model_ingress_present", here, 'model="m1"') == 0
    assert page.count("milepost_model_ingress_info", here, 'predictor="default"', 'ingress="m0"') == 1
    assert page.value("milepost_node_gpu_capacity_cards", f'node="{namespace}-a"') == 4
    assert page.value("milepost_source_up", 'source="kubernetes"') == 1


async def test_a_pod_that_comes_or_goes_is_on_the_page_or_off_it_at_once(
    plane: ControlPlane, exporter: ExporterProgram, namespace: str
) -> None:
    async with plane.client() as client:
        path = resource_path("", "v1", "pods", namespace=namespace)
        await create_pods(client, namespace, [seldon_pod("late", namespace=namespace, node=f"{namespace}-a")])
        await until(exporter, lambda page: page.count("milepost_pod_info", 'pod="late"') == 1, 10)
        await client.request("DELETE", f"{path}/late", params={"gracePeriodSeconds": 0})
        await until(exporter, lambda page: page.count("milepost_pod_info", 'pod="late"') == 0, 10)


async def test_a_killed_api_server_and_expired_versions_are_survived(
    plane: ControlPlane, exporter: ExporterProgram, namespace: str
) -> None:
    here = f'namespace="{namespace}"'
    await asyncio.to_thread(plane.stop_apiserver)
    try:
        page = await until(exporter, lambda page: page.value("milepost_source_age_seconds", 'source="kubernetes"') > 0)
        assert page.count("milepost_pod_info", here) == PODS
    finally:
        await asyncio.to_thread(plane.start_apiserver)
    await asyncio.to_thread(plane.expire_versions)
    async with plane.client() as client:
        await create_pods(client, namespace, [seldon_pod("born-later", namespace=namespace, node=f"{namespace}-a")])
        page = await until(exporter, lambda page: page.count("milepost_pod_info", 'pod="born-later"') == 1)
        assert page.count("milepost_pod_info", here) == PODS + 1
        path = resource_path("", "v1", "pods", namespace=namespace)
        await client.request("DELETE", f"{path}/born-later", params={"gracePeriodSeconds": 0})


async def test_the_shipped_roles_allow_what_is_used_and_nothing_dangerous(
    plane: ControlPlane, exporter: ExporterProgram, namespace: str
) -> None:
    questions = {
        ("exporter", "list", "", "pods", ""): True,
        ("exporter", "list", "metrics.k8s.io", "pods", ""): True,
        ("exporter", "get", "", "secrets", ""): False,
        ("exporter", "get", "", "pods", "log"): False,
        ("exporter", "delete", "", "pods", ""): False,
        ("exporter-node", "get", "", "nodes", "metrics"): True,
        ("exporter-node", "get", "", "nodes", "proxy"): False,
        ("exporter-node", "create", "", "nodes", "proxy"): False,
        ("exporter-node", "list", "", "services", ""): False,
    }
    async with plane.client() as client:
        for (account, verb, group, resource, subresource), expected in questions.items():
            spec = {
                "user": f"system:serviceaccount:{namespace}:{account}",
                "resourceAttributes": {"verb": verb, "group": group, "resource": resource, "subresource": subresource},
            }
            path = resource_path("authorization.k8s.io", "v1", "subjectaccessreviews")
            review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
            answer = await create(client, path, review)
            assert answer["status"]["allowed"] is expected, (account, verb, resource, subresource)


async def test_the_json_api_shows_a_caller_its_namespaces_only(
    plane: ControlPlane, exporter: ExporterProgram, namespace: str
) -> None:
    user, stranger = f"reader-{namespace}", f"stranger-{namespace}"
    async with plane.client() as client:
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
        await grant(client, user, [rule], namespace=namespace)
    pods = await answer(exporter, f"/api/v1/pods?model=m0&namespace={namespace}", plane.token(user))
    assert len(pods["items"]) == PODS // MODELS
    assert {item["model"] for item in pods["items"]} == {"m0"}
    models = await answer(exporter, "/api/v1/models", plane.token(user))
    assert {item["namespace"] for item in models["items"]} == {namespace}
    assert (await answer(exporter, "/api/v1/models", plane.token(stranger)))["items"] == []
    for path, token, status in (
        (f"/api/v1/pods?namespace={namespace}", plane.token(stranger), 403),
        ("/api/v1/pods", "not-a-token", 401),
        ("/api/v1/pods", "", 401),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(exporter.get, path, token=token)
        with refused.value as refusal:
            assert refusal.code == status


async def answer(exporter: ExporterProgram, path: str, token: str) -> Any:
    return msgspec.json.decode(await asyncio.to_thread(exporter.get, path, token=token))


class ModelServer:
    """An executor's page at a pod's own address; `requests` is what it has counted."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.requests = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/prometheus", self._page)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.address, ENGINE_PORT).start()

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _page(self, _: web.Request) -> web.Response:
        labels = (
            'deployment_name="m0",predictor_name="default",predictor_version="",service="predictions",method="post"'
        )
        family = "seldon_api_executor_server_requests_seconds"
        rows = [
            f'{family}_bucket{{code="200",{labels},le="{bound}"}} {self.requests}' for bound in ("0.05", "0.1", "+Inf")
        ]
        rows += [
            f'{family}_sum{{code="200",{labels}}} {self.requests * 0.05}',
            f'{family}_count{{code="200",{labels}}} {self.requests}',
        ]
        return web.Response(text=f"# TYPE {family} histogram\n" + "\n".join(rows) + "\n")


@pytest.fixture
async def model_server(plane: ControlPlane, namespace: str) -> AsyncIterator[ModelServer]:
    """A real page at the address of one pod of model m0."""
    async with plane.client() as client:
        found = msgspec.json.decode(
            await client.request(
                "GET", f"{resource_path('', 'v1', 'pods', namespace=namespace)}/m0-default-0-classifier-0"
            )
        )
    served = ModelServer(found["status"]["podIP"])
    await served.start()
    yield served
    await served.stop()


@pytest.fixture
def prometheus(exporter: ExporterProgram, tmp_path: Path, prometheus_programs: dict[str, str]) -> Iterator[Prometheus]:
    """A real Prometheus that scrapes the exporter every second."""
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": "milepost", "static_configs": [{"targets": [exporter.url.removeprefix("http://")]}]}
        ],
    }
    running = Prometheus(tmp_path / "prometheus", yaml.safe_dump(config)).start()
    yield running
    running.stop()


async def query(prometheus: Prometheus, expression: str) -> list[tuple[dict[str, str], float]]:
    """Return (labels, value) of an instant query."""
    url = f"{prometheus.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"

    def read() -> bytes:
        with urllib.request.urlopen(url, timeout=5) as found:  # noqa: S310
            return bytes(found.read())

    result = json.loads(await asyncio.to_thread(read))["data"]["result"]
    return [(each["metric"], float(each["value"][1])) for each in result]


async def eventually(
    prometheus: Prometheus, expression: str, holds: Callable[[list[tuple[dict[str, str], float]]], bool]
) -> None:
    started, found = time.monotonic(), []
    while not holds(found := await query(prometheus, expression)):
        assert time.monotonic() - started < 30, (expression, found)
        await asyncio.sleep(0.3)


async def test_prometheus_sees_a_models_traffic_and_no_stale_series_when_its_page_dies(
    exporter: ExporterProgram, model_server: ModelServer, prometheus: Prometheus, namespace: str
) -> None:
    mine = f'namespace="{namespace}",model="m0",container="seldon-container-engine"'
    duration = f"milepost_model_request_duration_seconds_count{{{mine}}}"
    await eventually(prometheus, f"sum({duration})", lambda found: found == [({}, 0.0)])
    model_server.requests = 40
    await eventually(prometheus, f"sum({duration})", lambda found: found == [({}, 40.0)])
    page_up = f'milepost_model_page_up{{{mine},pod="m0-default-0-classifier-0"}}'
    await eventually(prometheus, page_up, lambda found: [value for _, value in found] == [1.0])
    assert (await query(prometheus, 'up{job="milepost"}'))[0][1] == 1.0

    await model_server.stop()
    await eventually(prometheus, page_up, lambda found: [value for _, value in found] == [0.0])
    # The series ended: an instant query does not show its last value for five minutes.
    await eventually(prometheus, duration, lambda found: found == [])
    assert (await query(prometheus, 'up{job="milepost"}'))[0][1] == 1.0
    # The page was the only one that could be read at all, so its source is down; the state is still there.
    await eventually(prometheus, 'milepost_source_up{source="model-pages"}', lambda found: found[0][1] == 0.0)
    assert (await query(prometheus, f'count(milepost_pod_info{{namespace="{namespace}"}})'))[0][1] == PODS


async def test_the_models_rate_and_latency_are_in_the_json_api(
    plane: ControlPlane, exporter: ExporterProgram, model_server: ModelServer, namespace: str
) -> None:
    async with asyncio.timeout(30):
        while True:
            model_server.requests += 20
            found = await answer(
                exporter, f"/api/v1/models?namespace={namespace}", plane.token("admin", ["system:masters"])
            )
            now = next(item["now"] for item in found["items"] if item["model"] == "m0")
            if now["requests_per_second"]:
                break
            await asyncio.sleep(0.3)
    assert now["requests_per_second"] > 0
    assert now["error_ratio"] == 0.0
    assert 0 < now["p50_s"] <= 0.05
    assert now["mean_s"] == pytest.approx(0.05)


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
    plane: ControlPlane, exporter: ExporterProgram, kubelet: Kubelet, namespace: str, tmp_path: Path
) -> None:
    async with plane.client() as client:
        kubeconfig = await account_kubeconfig(client, plane, namespace, "exporter-node", tmp_path / "node.kubeconfig")
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
        admin = plane.token("admin", ["system:masters"])
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
    plane: ControlPlane, kubelet: Kubelet, namespace: str, tmp_path: Path
) -> None:
    flags = node_flags(kubelet, namespace, plane.kubeconfig())
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


async def test_without_a_right_it_ends_and_says_which(plane: ControlPlane, tmp_path: Path) -> None:
    program = ExporterProgram(tmp_path, f"--kube-config={plane.kubeconfig('nobody', ())}")
    program.process.start()
    async with asyncio.timeout(60):
        while program.process.running:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert program.process.returncode == 1
    assert "forbidden" in program.process.log.read_text().lower()


async def test_sigterm_ends_it_in_order(plane: ControlPlane, tmp_path: Path) -> None:
    program = ExporterProgram(tmp_path, f"--kube-config={plane.kubeconfig()}", "--pages-enabled=false")
    await asyncio.to_thread(program.start)
    started = time.monotonic()
    await asyncio.to_thread(program.stop)
    assert program.process.returncode == 0
    assert time.monotonic() - started < 5


def _established(crd: Object) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _all_running(pods: Object) -> bool:
    return all(pod["status"].get("phase") == "Running" and pod["status"].get("podIP") for pod in pods["items"])
