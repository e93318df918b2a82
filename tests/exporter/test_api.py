"""The HTTP of the exporter: the page and its negotiation, health, and JSON for those who may see it."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from exporter.api import accepts_gzip, collection_timeout, create_app, cut
from exporter.collector import Collection, Collector
from exporter.history.ring import POD_FIELDS, Ring
from exporter.page.observations import ContainerUsage, GpuUsage
from exporter.page.render import SeriesBound
from exporter.page.samples import SourceResult
from exporter.page.sink import Subject
from exporter.read.watching import KubernetesSource, Resource
from exporter.serving import Exporter, process_registry
from exporter.settings import ScrapeSettings
from exporter.views import summed
from milepost.auth import Caller, Unauthenticated
from milepost.kube import KubeClient
from milepost.units import Seconds
from tests.exporter.scene import NOW, cluster, front_reading, subject
from tests.exporter.workload import ENGINE
from tests.parts.asgi import serve

EVERYTHING = "*"
POD = "fraud-default-0-classifier-aaaaa"


class NamespaceReaders:
    """The token is the list of namespaces whose pods its holder may get; `*` is all."""

    async def authenticate(self, token: str | None) -> Caller:
        if not token:
            raise Unauthenticated("no token")
        return Caller(token)

    async def allowed(
        self, caller: Caller, *, verb: str, group: str, resource: str, subresource: str = "", namespace: str = ""
    ) -> bool:
        assert (verb, group, resource, subresource) == ("get", "", "pods", "")
        return (namespace or "*") in caller.name.split("+") or caller.name == "*"


@dataclass
class Fixed:
    """A source that gives the same result each time, and a model's page that was read 15 seconds after the last."""

    result: SourceResult
    engine: Subject
    collections: int = 0

    @property
    def name(self) -> str:
        return self.result.source

    async def collect(self, deadline: float) -> SourceResult:
        self.collections += 1
        front = front_reading("executor", self.engine, 15.0 * self.collections)
        return replace(self.result, observations=[*self.result.observations, front])


def exporter(nowhere: Path, *, complete: bool = True) -> Exporter:
    found = cluster()
    ring = Ring(window_s=900, interval_s=15, pods_max=100, models_max=100)
    engine = subject(found.pods, POD, ENGINE)
    observed = (
        ContainerUsage(engine, NOW, 10.0, memory_bytes=2.0**20),
        GpuUsage(subject(found.pods, "notebook", "main"), "GPU-1", "nvml", 0.5, 2.0**30),
    )
    # Nothing is sent to the API server: the watches do not run.
    client = KubeClient.load(kubeconfig=nowhere)
    resources = () if complete else (Resource("pods", "/api/v1/pods", found.pods, {}),)
    kubernetes = KubernetesSource(client, resources, lambda _: None, stale_max_s=60, absent_retry_s=60)
    ticks = iter(range(10))

    def remember(collection: Collection) -> None:
        ring.offer(NOW + 15 * next(ticks), collection)

    fixed = Fixed(SourceResult("kubelet", 0.01, observations=observed), engine)
    return Exporter(
        mode="cluster",
        pods=found.pods,
        cluster=found,
        kubernetes=kubernetes,
        collector=Collector([fixed], on_collected=remember),
        ring=ring,
        bound=SeriesBound(100_000),
        process=process_registry(),
    )


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A kubeconfig of a server that is not there."""
    content = {
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "x", "user": {"token": "x"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }  # fmt: skip
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


class Api:
    """The served exporter, asked by an ordinary client."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def get(self, path: str, *, token: str = EVERYTHING, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        asked = {**({"Authorization": f"Bearer {token}"} if token else {}), **headers}
        async with self.session.get(self.url + path, headers=asked) as answer:
            return answer.status, await answer.read(), dict(answer.headers)

    async def json(self, path: str, *, token: str = EVERYTHING) -> Any:
        async with self.session.get(self.url + path, headers={"Authorization": f"Bearer {token}"}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


@pytest.fixture
async def api(nowhere: Path) -> AsyncIterator[Api]:
    app = create_app(exporter(nowhere), NamespaceReaders(), ScrapeSettings())
    async with serve(app) as url, aiohttp.ClientSession(auto_decompress=False) as session:
        yield Api(url, session)


async def test_the_page_is_open_and_plain_unless_more_is_asked_for(api: Api) -> None:
    status, body, headers = await api.get("/metrics", token="", **{"Accept-Encoding": "identity"})
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    assert b'milepost_source_up{source="kubelet"} 1\n' in body
    assert b"process_resident_memory_bytes " in body
    assert b"# EOF" not in body


async def test_openmetrics_ends_with_its_end(api: Api) -> None:
    _, body, headers = await api.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    assert gzip.decompress(body).endswith(b"# EOF\n")
    assert gzip.decompress(body).count(b"# EOF\n") == 1


async def test_the_landing_page_leads_to_everything(api: Api) -> None:
    _, body, _ = await api.get("/")
    for link in (b"/metrics", b"/api/v1/pods", b"/api/v1/models", b"/readyz"):
        assert b'href="' + link in body
        assert (await api.get(link.decode()))[0] == 200


async def test_before_the_first_list_is_complete_it_is_alive_and_not_ready(nowhere: Path) -> None:
    app = create_app(exporter(nowhere, complete=False), NamespaceReaders(), ScrapeSettings())
    async with serve(app) as url, aiohttp.ClientSession() as session:
        assert (await Api(url, session).get("/healthz"))[0] == 200
        status, body, _ = await Api(url, session).get("/readyz")
        assert (status, b"not complete" in body) == (503, True)


async def test_json_without_a_token_is_refused(api: Api) -> None:
    assert (await api.get("/api/v1/pods", token=""))[0] == 401


async def test_a_caller_sees_the_namespaces_whose_pods_it_may_get(api: Api) -> None:
    everything = await api.json("/api/v1/pods")
    research = await api.json("/api/v1/pods", token="research")
    assert {item["namespace"] for item in everything["items"]} == {"models", "research"}
    assert {item["namespace"] for item in research["items"]} == {"research"}
    assert (await api.json("/api/v1/models", token="research"))["items"] == []
    assert (await api.get("/api/v1/pods?namespace=models", token="research"))[0] == 403


async def test_a_pod_has_its_figures_now_and_lately(api: Api) -> None:
    for _ in range(2):
        await api.get("/metrics")
    answer = await api.json("/api/v1/pods?namespace=models&model=fraud")
    (pod,) = answer["items"]
    assert (pod["pod"], pod["ready"], pod["cpu_limit_cores"]) == (POD, True, 2.5)
    assert pod["now"]["memory_bytes"] == 2.0**20
    assert pod["history"]["memory_bytes"] == [2.0**20, 2.0**20]
    assert answer["times"] == [NOW, NOW + 15]
    assert (answer["shard"], answer["shards"]) == (0, 1)
    (notebook,) = (await api.json("/api/v1/pods?namespace=research&history=false"))["items"]
    assert (notebook["now"]["gpu_cards"], notebook["gpu_request_cards"], notebook["history"]) == (0.5, 0.3, None)


async def test_a_model_has_its_state_and_predictors(api: Api) -> None:
    models = {item["model"]: item for item in (await api.json("/api/v1/models"))["items"]}
    assert set(models) == {"fraud", "churn", "big"}
    assert models["churn"]["state"] == "Failed"
    assert models["churn"]["pods_not_ready"] == {"CrashLoopBackOff": 1}
    assert models["fraud"]["ingresses"] == ["fraud"]
    (predictor,) = models["fraud"]["predictors"]
    assert (predictor["replicas_wanted"], predictor["replicas_available"]) == (2, 1)
    # One reading tells no rate.
    assert predictor["now"]["requests_per_second"] is None
    assert models["fraud"]["images"] == ["registry.example.test:5000/team/classifier:1.4.2"]


async def test_a_model_uses_what_its_pods_use_together(api: Api) -> None:
    for _ in range(2):
        await api.get("/metrics")
    pods = (await api.json("/api/v1/pods?namespace=models&model=fraud"))["items"]
    (model,) = [item for item in (await api.json("/api/v1/models"))["items"] if item["model"] == "fraud"]
    for name in ("cpu_cores", "memory_bytes", "gpu_cards", "gpu_memory_bytes"):
        known = [pod["now"][name] for pod in pods if pod["now"][name] is not None]
        assert model["now"][name] == (sum(known) if known else None)
    assert model["history"]["memory_bytes"] == [2.0**20, 2.0**20]


def test_a_sum_knows_what_one_of_its_pods_knows() -> None:
    unknown: dict[str, list[float | None]] = {name: [None, None] for name in POD_FIELDS}
    both = summed([{**unknown, "cpu_cores": [1.0, None]}, {**unknown, "cpu_cores": [0.5, 2.0]}])
    assert both == {**unknown, "cpu_cores": [1.5, 2.0]}


async def test_a_predictor_is_told_over_any_window_that_is_held(api: Api) -> None:
    for _ in range(3):
        await api.get("/metrics")
    (model,) = (await api.json("/api/v1/models?namespace=models&model=fraud&window=5m"))["items"]
    (predictor,) = model["predictors"]
    assert predictor["window"] == model["window"]
    # The page says the same at each reading: three readings, two intervals, no request in them.
    assert predictor["window"] == {
        "seconds": 30.0, "requests": 0.0, "errors": 0.0, "requests_per_second": 0.0,
        "error_ratio": None, "mean_s": None, "p50_s": None, "p95_s": None, "p99_s": None,
    }  # fmt: skip
    (other,) = (await api.json("/api/v1/models?namespace=models&model=churn"))["items"]
    assert (other["model"], other["window"]) == ("churn", None)


@pytest.mark.parametrize("window", ["1h", "0", "soon"])
async def test_a_window_that_is_not_held_or_is_none_is_refused(api: Api, window: str) -> None:
    status, body, _ = await api.get(f"/api/v1/models?window={window}")
    assert status == 422
    assert b"window" in body


async def test_pages_of_items_follow_each_other_without_loss(api: Api) -> None:
    seen, after = [], ""
    while True:
        answer = await api.json(f"/api/v1/pods?limit=1&after={after}")
        seen += [item["pod"] for item in answer["items"]]
        after = answer["next"]
        if not after:
            break
    assert len(seen) == len(set(seen)) == 4


async def test_a_bad_query_is_told_what_is_allowed(api: Api) -> None:
    status, body, headers = await api.get("/api/v1/pods?limit=0")
    assert (status, headers["Content-Type"]) == (422, "application/problem+json")
    assert b"limit" in body


@pytest.mark.parametrize(
    ("header", "seconds"), [("10", 9.0), ("5", 4.5), ("0.4", 0.2), ("", 9.0), ("soon", 9.0), ("-1", 9.0), ("60", 9.0)]
)
def test_a_collection_ends_before_the_scraper_gives_up(header: str, seconds: float) -> None:
    assert collection_timeout(header, ScrapeSettings(timeout=Seconds(9), margin=Seconds(0.5))) == seconds


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("", False), ("br", False), ("gzip;q=0", False), ("*", True)],
)
def test_gzip_is_sent_to_who_accepts_it(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_a_cursor_goes_on_behind_an_item_that_is_gone() -> None:
    assert cut(["c", "a", "d"], "b", 1) == (["c"], "c")
    assert cut(["c", "a", "d"], "c", 1) == (["d"], "")
