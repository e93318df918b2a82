"""The exporter as a process on a real API server: its rights, real pages at pods' addresses, a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import yaml
from aiohttp import web

from milepost.kube import resource_path
from tests.exporter.live import ENGINE_PORT, MODELS, PODS, answer, until
from tests.exporter.program import ExporterProgram
from tests.exporter.workload import seldon_pod
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, create_pods, grant
from tests.parts.prometheus import Prometheus

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


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
    cluster: ControlPlane, exporter: ExporterProgram, namespace: str
) -> None:
    async with cluster.client() as client:
        path = resource_path("", "v1", "pods", namespace=namespace)
        await create_pods(client, namespace, [seldon_pod("late", namespace=namespace, node=f"{namespace}-a")])
        await until(exporter, lambda page: page.count("milepost_pod_info", 'pod="late"') == 1, 10)
        await client.request("DELETE", f"{path}/late", params={"gracePeriodSeconds": 0})
        await until(exporter, lambda page: page.count("milepost_pod_info", 'pod="late"') == 0, 10)


async def test_a_killed_api_server_and_expired_versions_are_survived(
    cluster: ControlPlane, exporter: ExporterProgram, namespace: str
) -> None:
    here = f'namespace="{namespace}"'
    await asyncio.to_thread(cluster.stop_apiserver)
    try:
        page = await until(exporter, lambda page: page.value("milepost_source_age_seconds", 'source="kubernetes"') > 0)
        assert page.count("milepost_pod_info", here) == PODS
    finally:
        await asyncio.to_thread(cluster.start_apiserver)
    await asyncio.to_thread(cluster.expire_versions)
    async with cluster.client() as client:
        await create_pods(client, namespace, [seldon_pod("born-later", namespace=namespace, node=f"{namespace}-a")])
        page = await until(exporter, lambda page: page.count("milepost_pod_info", 'pod="born-later"') == 1)
        assert page.count("milepost_pod_info", here) == PODS + 1
        path = resource_path("", "v1", "pods", namespace=namespace)
        await client.request("DELETE", f"{path}/born-later", params={"gracePeriodSeconds": 0})


async def test_the_shipped_roles_allow_what_is_used_and_nothing_dangerous(
    cluster: ControlPlane, exporter: ExporterProgram, namespace: str
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
    async with cluster.client() as client:
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
    cluster: ControlPlane, exporter: ExporterProgram, namespace: str
) -> None:
    user, stranger = f"reader-{namespace}", f"stranger-{namespace}"
    async with cluster.client() as client:
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
        await grant(client, user, [rule], namespace=namespace)
    pods = await answer(exporter, f"/api/v1/pods?model=m0&namespace={namespace}", cluster.token(user))
    assert len(pods["items"]) == PODS // MODELS
    assert {item["model"] for item in pods["items"]} == {"m0"}
    models = await answer(exporter, "/api/v1/models", cluster.token(user))
    assert {item["namespace"] for item in models["items"]} == {namespace}
    assert (await answer(exporter, "/api/v1/models", cluster.token(stranger)))["items"] == []
    for path, token, status in (
        (f"/api/v1/pods?namespace={namespace}", cluster.token(stranger), 403),
        ("/api/v1/pods", "not-a-token", 401),
        ("/api/v1/pods", "", 401),
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            await asyncio.to_thread(exporter.get, path, token=token)
        with refused.value as refusal:
            assert refusal.code == status


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
async def model_server(cluster: ControlPlane, namespace: str) -> AsyncIterator[ModelServer]:
    """A real page at the address of one pod of model m0."""
    async with cluster.client() as client:
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
    cluster: ControlPlane, exporter: ExporterProgram, model_server: ModelServer, namespace: str
) -> None:
    async with asyncio.timeout(30):
        while True:
            model_server.requests += 20
            found = await answer(
                exporter, f"/api/v1/models?namespace={namespace}", cluster.token("admin", ["system:masters"])
            )
            now = next(item["now"] for item in found["items"] if item["model"] == "m0")
            if now["requests_per_second"]:
                break
            await asyncio.sleep(0.3)
    assert now["requests_per_second"] > 0
    assert now["error_ratio"] == 0.0
    assert 0 < now["p50_s"] <= 0.05
    assert now["mean_s"] == pytest.approx(0.05)


async def test_without_a_right_it_ends_and_says_which(cluster: ControlPlane, tmp_path: Path) -> None:
    program = ExporterProgram(tmp_path, f"--kube-config={cluster.kubeconfig('nobody', ())}")
    program.process.start()
    async with asyncio.timeout(60):
        while program.process.running:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert program.process.returncode == 1
    assert "forbidden" in program.process.log.read_text().lower()


async def test_sigterm_ends_it_in_order(cluster: ControlPlane, tmp_path: Path) -> None:
    program = ExporterProgram(tmp_path, f"--kube-config={cluster.kubeconfig()}", "--pages-enabled=false")
    await asyncio.to_thread(program.start)
    started = time.monotonic()
    await asyncio.to_thread(program.stop)
    assert program.process.returncode == 0
    assert time.monotonic() - started < 5
