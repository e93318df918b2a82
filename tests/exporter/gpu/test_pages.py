"""GpuManager's and dcgm-exporter's pages as sources: read where they run, normalised, held against NVML."""

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
BOUNDS = PageBounds(4, 2.0, 2000)
NODE = Subject.of(Identity(node="n1"), Scope.NODE)


@pytest.fixture
async def served() -> AsyncIterator[int]:
    """The port of a server of the fixture pages, at the paths that GpuManager and dcgm-exporter have."""
    bodies = {"/metric": "gpumanager.txt", "/usage": "gpumanager-usage.json", "/metrics": "dcgm.txt"}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=(PAGES / bodies[request.path]).read_bytes())

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher(connections=4, body_max=1 << 20) as made:
        yield made


def target(port: int, source: str, path: str) -> PageTarget:
    return PageTarget(source, NODE, "127.0.0.1", port, path, front=False, images={})


def known(*rows: tuple[str, str, str]) -> KnownContainers:
    return KnownContainers([(*names, f"{number:064x}", f"uid-{number}") for number, names in enumerate(rows)])


async def collect(source: GpuManagerSource | DcgmSource) -> SourceResult:
    return await source.collect(asyncio.get_running_loop().time() + 5)


async def test_gpumanagers_containers_are_known_by_their_cards_uuid_and_its_silent_zeros_are_named(
    served: int, fetcher: Fetcher
) -> None:
    page = (PAGES / "gpumanager.txt").read_text()
    (line,) = [each for each in page.splitlines() if each.startswith("container_gpu_memory_total{") and "gpu0" in each][
        :1
    ]
    names = tuple(line.split(f'{label}="')[1].split('"')[0] for label in ("namespace", "pod_name", "container_name"))
    containers = known((names[0], names[1], names[2]))
    subject = containers.by_name(*names)
    assert subject is not None
    cards = (Card("GPU-a", 0), Card("GPU-b", 1))
    view = View(cards, (GpuUsage(subject, "GPU-unseen", "nvml", 0.5, 2.0**30),))
    source = GpuManagerSource(
        lambda: [target(served, "gpumanager", "/metric")], fetcher, BOUNDS, containers=containers, nvml=lambda: view
    )
    result = await collect(source)
    assert (result.error, result.targets_up) == ("", 1)
    assert {usage.gpu for usage in result.observations if isinstance(usage, GpuUsage)} <= {"GPU-a", "GPU-b"}
    assert [line.rpartition(" ")[2] for line in result.samples.lines[fam.GPU_MANAGER_SILENT_ZERO]] == ["1\n"]


async def test_dcgms_cards_are_normalised_and_marked_with_their_source(served: int, fetcher: Fetcher) -> None:
    source = DcgmSource(lambda: [target(served, "dcgm", "/metrics")], fetcher, BOUNDS, containers=known(), node=NODE)
    result = await collect(source)
    assert result.error == ""
    lines = result.samples.lines[fam.GPU_CARD_UTILISATION]
    assert all('source="dcgm"' in line and 0 <= float(line.rpartition(" ")[2]) <= 1 for line in lines)


async def test_where_neither_runs_there_is_nothing_to_read_and_nothing_is_down(fetcher: Fetcher) -> None:
    for source in (
        GpuManagerSource(list, fetcher, BOUNDS, containers=known(), nvml=View),
        DcgmSource(list, fetcher, BOUNDS, containers=known(), node=NODE),
    ):
        result = await collect(source)
        assert (result.error, result.targets, list(result.observations)) == ("", 0, [])
