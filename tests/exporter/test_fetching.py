"""Pages are read over HTTP within their bounds, and each failure has its word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from exporter import families as fam
from exporter.fetch import Fetcher, FetchError
from exporter.kubelet import KubeletAccess, KubeletSource
from exporter.pages import IngressPagesSource, ModelPagesSource, PageBounds
from exporter.peers import NodeExportersSource
from exporter.podindex import PodIndex
from exporter.samples import ContainerUsage, GpuUsage, ModelTraffic
from exporter.targets import PageTarget
from tests.exporter.scene import PAGES, cluster, node_page, subject
from tests.exporter.workload import ENGINE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
POD = "fraud-default-0-classifier-aaaaa"
HERE = Path(__file__).parent


class Pages:
    """A server of pages on loopback; what it was asked is in `asked`."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.append(request.headers.get("Authorization", ""))
        try:
            return await self._answer(request)
        finally:
            self.at_once -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/slow":
            await asyncio.sleep(60)
        if request.path == "/brief":
            await asyncio.sleep(0.02)
        if request.path == "/elsewhere":
            raise web.HTTPFound("/page")
        if request.path == "/cut":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"only this")
            assert request.transport is not None
            request.transport.close()
            return response
        if request.path in self.answers:
            return web.Response(body=self.answers[request.path])
        raise web.HTTPNotFound

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    served = Pages()
    app = web.Application()
    app.router.add_get("/{path:.*}", served.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.port = runner.addresses[0][1]
    yield served
    await runner.cleanup()


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher(connections=8, body_max=100_000) as made:
        yield made


def deadline(seconds: float = 5) -> float:
    return asyncio.get_running_loop().time() + seconds


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "http_404"),
        ("/elsewhere", "http_302"),
        ("/slow", "deadline"),
        ("/large", "too_large"),
        ("/cut", "broken"),
    ],
)
async def test_a_page_that_cannot_be_read_has_a_reason(pages: Pages, fetcher: Fetcher, path: str, reason: str) -> None:
    pages.answers["/large"] = b"x" * 100_001
    with pytest.raises(FetchError) as caught:
        await fetcher.get(pages.url + path, timeout_s=0.3)
    assert caught.value.reason == reason


async def test_a_server_that_is_not_there_refuses(pages: Pages, fetcher: Fetcher, unused_tcp_port: int) -> None:
    with pytest.raises(FetchError) as caught:
        await fetcher.get(f"http://127.0.0.1:{unused_tcp_port}/", timeout_s=5)
    assert caught.value.reason == "refused"


async def test_without_time_left_nothing_is_asked(pages: Pages, fetcher: Fetcher) -> None:
    with pytest.raises(FetchError, match="no time was left"):
        await fetcher.get(pages.url, timeout_s=0)
    assert pages.asked == []


def target(pages: Pages, path: str, source: str = "executor", container: str = ENGINE) -> PageTarget:
    about = subject(cluster().pods, POD, container)
    return PageTarget(source, about, "127.0.0.1", pages.port, path, front=container == ENGINE, images={})


def model_pages(
    fetcher: Fetcher, *targets: PageTarget, concurrency: int = 8, series_max: int = 2000
) -> ModelPagesSource:
    return ModelPagesSource(lambda: targets, fetcher, PageBounds(concurrency, 0.3, series_max))


async def test_a_page_that_fails_is_down_and_the_others_are_served(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/good"] = (PAGES / "executor.txt").read_bytes()
    pages.answers["/odd"] = b'seldon_api_executor_server_requests_seconds_count{code="200",service="predictions"} x\n'
    paths = ("/good", "/missing", "/slow")
    result = await model_pages(fetcher, *(target(pages, path) for path in paths)).collect(deadline())
    assert result.error == ""
    assert (result.targets, result.targets_up, dict(result.failures)) == (3, 1, {"http_404": 1, "deadline": 1})
    assert [line.rpartition(" ")[2] for line in result.samples.lines[fam.TARGET_UP]] == ["1\n", "0\n", "0\n"]
    (observed,) = result.observations
    assert isinstance(observed, ModelTraffic)
    assert observed.traffic


async def test_a_source_is_down_only_when_all_its_pages_are(pages: Pages, fetcher: Fetcher) -> None:
    assert (await model_pages(fetcher, target(pages, "/missing")).collect(deadline())).error == "http_404"
    assert (await model_pages(fetcher).collect(deadline())).error == ""


async def test_a_page_of_too_many_series_is_down(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/good"] = (PAGES / "executor.txt").read_bytes()
    result = await model_pages(fetcher, target(pages, "/good"), series_max=10).collect(deadline())
    assert (result.error, list(result.observations)) == ("too_many_series", [])


async def test_no_more_pages_are_open_at_once_than_allowed(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/brief"] = b""
    result = await model_pages(fetcher, *[target(pages, "/brief")] * 20, concurrency=3).collect(deadline())
    assert (result.targets_up, pages.most_at_once) == (20, 3)


async def test_pages_that_were_not_reached_by_the_deadline_are_down(pages: Pages, fetcher: Fetcher) -> None:
    result = await model_pages(fetcher, *[target(pages, "/slow")] * 4, concurrency=1).collect(deadline(0.1))
    assert dict(result.failures) == {"deadline": 4}


async def test_a_wrappers_own_metrics_are_served(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/prometheus"] = (PAGES / "wrapper.txt").read_bytes()
    page = target(pages, "/prometheus", "wrapper", "classifier")
    result = await model_pages(fetcher, page).collect(deadline())
    assert fam.UNIT_CUSTOM in result.samples.lines


async def test_every_ingress_controller_is_read(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/metrics"] = (PAGES / "ingress-nginx.txt").read_bytes()
    one = target(pages, "/metrics", "ingress-nginx")
    result = await IngressPagesSource(lambda: (one, one), fetcher, PageBounds(8, 1, 2000)).collect(deadline())
    assert (result.targets_up, len(result.observations)) == (2, 2)


async def test_a_node_exporters_page_feeds_the_history_and_no_page(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/metrics"] = node_page().encode()
    known = cluster().pods
    source = NodeExportersSource(lambda: [f"{pages.url}/metrics"], fetcher, PageBounds(8, 1, 2000), known)
    result = await source.collect(deadline())
    assert not result.shown
    cpu = {o.subject.identity.pod: o.cpu_seconds for o in result.observations if isinstance(o, ContainerUsage)}
    assert cpu["notebook"] == 987.654321
    assert [(o.utilisation, o.memory_bytes) for o in result.observations if isinstance(o, GpuUsage)] == [
        (0.42, 3 * 2**30)
    ]


def kubelet(pages: Pages, fetcher: Fetcher, token: Path | None = None, pods: PodIndex | None = None) -> KubeletSource:
    return KubeletSource(KubeletAccess(pages.url, token, True), fetcher, pods or cluster().pods, "gpu-1")


async def test_the_kubelet_is_asked_with_the_token_as_it_is_now(pages: Pages, fetcher: Fetcher, tmp_path: Path) -> None:
    pages.answers["/metrics/resource"] = (HERE / "kubelet-resource.txt").read_bytes()
    pages.answers["/metrics/cadvisor"] = (HERE / "kubelet-cadvisor.txt").read_bytes()
    token = tmp_path / "token"
    source = kubelet(pages, fetcher, token)
    for content in ("first\n", "second\n"):
        token.write_text(content)
        result = await source.collect(deadline())
        assert result.error == ""
        assert len(result.observations) == 3
    assert pages.asked == ["Bearer first"] * 2 + ["Bearer second"] * 2


async def test_half_a_kubelet_is_a_failed_source(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/metrics/resource"] = (HERE / "kubelet-resource.txt").read_bytes()
    result = await kubelet(pages, fetcher).collect(deadline())
    assert (result.error, list(result.observations), result.samples.lines) == ("http_404", [], {})


async def test_a_kubelet_page_cut_in_the_middle_of_a_line_is_a_failed_source(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/metrics/resource"] = (HERE / "kubelet-resource.txt").read_bytes()[:300]
    pages.answers["/metrics/cadvisor"] = b""
    assert (await kubelet(pages, fetcher).collect(deadline())).error == "page"


async def test_a_missing_token_file_is_a_failed_source(pages: Pages, fetcher: Fetcher, tmp_path: Path) -> None:
    assert (await kubelet(pages, fetcher, tmp_path / "none").collect(deadline())).error == "token"
