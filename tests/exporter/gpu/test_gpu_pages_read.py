"""The sources `gpumanager` and `dcgm` over HTTP: their samples, and where GpuManager is silently zero."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from exporter.cluster.targets import PageTarget
from exporter.gpu.card import Card
from exporter.gpu.source import View
from exporter.page import families as fam
from exporter.page.family import Scope
from exporter.page.observations import GpuUsage
from exporter.page.samples import SourceResult
from exporter.page.sink import Subject
from exporter.read.fetch import Fetcher
from exporter.read.gpupages import DcgmSource, GpuManagerSource
from exporter.read.pages import PageBounds
from milepost.identity import Identity
from tests.exporter.sources.known import KnownContainers

PAGES = Path(__file__).parents[1] / "sources" / "pages"
BOUNDS = PageBounds(4, 3.0, 1000)
NODE = Subject.of(Identity(node="n1"), Scope.NODE)
KNOWN = KnownContainers(
    ("models", pod, name, pod, pod) for pod, name in (("fraud-0", "classifier"), ("zero-0", "zero"))
)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Serve the fixtures of both exporters."""
    app = web.Application()
    for path, name in (("/metric", "gpumanager.txt"), ("/usage", "gpumanager-usage.json"), ("/metrics", "dcgm.txt")):
        body = (PAGES / name).read_bytes()

        async def answer(_: web.Request, body: bytes = body) -> web.Response:
            return web.Response(body=body)

        app.router.add_get(path, answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


def target(port: int, source: str, path: str) -> PageTarget:
    return PageTarget(source, NODE, "127.0.0.1", port, path, front=False, images={})


async def from_gpumanager(port: int, view: View) -> SourceResult:
    async with Fetcher(connections=2, body_max=1 << 20) as fetcher:
        pages = [target(port, "gpumanager", "/metric")]
        source = GpuManagerSource(lambda: pages, fetcher, BOUNDS, containers=KNOWN, nvml=lambda: view)
        return await source.collect(asyncio.get_running_loop().time() + 5)


async def test_gpumanager_without_nvml_names_cards_by_its_other_page(port: int) -> None:
    result = await from_gpumanager(port, View())
    cards = [one.gpu for one in result.observations if isinstance(one, GpuUsage)]
    assert (result.error, cards) == ("", ["00000000:00:08.0", "00000000:00:09.0", "00000000:00:08.0"])
    assert result.samples.lines == {}


async def test_a_silent_zero_of_gpumanager_is_a_sample(port: int) -> None:
    cards = (Card("GPU-a", 0), Card("GPU-b", 1))
    zero, classifier = KNOWN.by_name("models", "zero-0", "zero"), KNOWN.by_name("models", "fraud-0", "classifier")
    assert zero is not None
    assert classifier is not None
    usages = (GpuUsage(zero, "GPU-a", "nvml", 0.5, 1e9), GpuUsage(classifier, "GPU-a", "nvml", 0.5, 1e9))
    result = await from_gpumanager(port, View(cards, usages))
    silent = "".join(result.samples.lines[fam.GPU_MANAGER_SILENT_ZERO])
    assert 'container="zero",node="n1",gpu="GPU-a"} 1\n' in silent
    assert 'container="classifier",node="n1",gpu="GPU-a"} 0\n' in silent


async def test_dcgm_gives_cards_and_containers(port: int) -> None:
    async with Fetcher(connections=2, body_max=1 << 20) as fetcher:
        pages = [target(port, "dcgm", "/metrics")]
        source = DcgmSource(lambda: pages, fetcher, BOUNDS, containers=KNOWN, node=NODE)
        result = await source.collect(asyncio.get_running_loop().time() + 5)
    assert (result.error, len(result.observations), result.targets_up) == ("", 2, 1)
    (power,) = result.samples.lines[fam.GPU_CARD_POWER]
    assert power.endswith('source="dcgm"} 71.5\n')


async def test_a_page_that_nobody_serves_is_a_source_that_is_down(port: int) -> None:
    async with Fetcher(connections=2, body_max=1 << 20) as fetcher:
        pages = [target(port, "dcgm", "/nothing")]
        source = DcgmSource(lambda: pages, fetcher, BOUNDS, containers=KNOWN, node=NODE)
        result = await source.collect(asyncio.get_running_loop().time() + 5)
    assert (result.error, list(result.observations), result.samples.lines) == ("http_404", [], {})
