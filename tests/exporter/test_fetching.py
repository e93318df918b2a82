"""Pages are read over HTTP within their bounds, and each failure has its word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exporter.cluster.podindex import PodIndex
from exporter.cluster.targets import PageTarget
from exporter.page.observations import ContainerUsage, GpuUsage
from exporter.read.fetch import Fetcher, FetchError
from exporter.read.kubelet import KubeletAccess, KubeletSource
from exporter.read.pages import IngressPagesSource, PageBounds
from exporter.read.peers import NodeExportersSource
from tests.exporter.pageserver import Pages
from tests.exporter.scene import PAGES, cluster, node_page, subject
from tests.exporter.workload import ENGINE

POD = "fraud-default-0-classifier-aaaaa"
HERE = Path(__file__).parent


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


async def test_every_ingress_controller_is_read(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/metrics"] = (PAGES / "ingress-nginx.txt").read_bytes()
    about = subject(cluster().pods, POD, ENGINE)
    one = PageTarget("ingress-nginx", about, "127.0.0.1", pages.port, "/metrics", front=False, images={})
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
