"""Model servers' pages are read in turns, and a scrape gets the newest reading of each: never an old one."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from exporter.cluster.targets import PageTarget
from exporter.collector import Collection, Collector
from exporter.history.ring import Ring
from exporter.page import families as fam
from exporter.page.family import Family
from exporter.page.observations import FrontReading
from exporter.page.samples import SourceResult
from exporter.read import modelpages
from exporter.read.fetch import Fetcher, FetchError
from exporter.read.modelpages import STALE_TURNS, ModelPagesSource
from exporter.read.pages import PageBounds
from tests.exporter.pageserver import Pages
from tests.exporter.scene import PAGES, cluster, subject
from tests.exporter.workload import ENGINE

POD = "fraud-default-0-classifier-aaaaa"
EXECUTOR = (PAGES / "executor.txt").read_bytes()


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    async with Fetcher(connections=8, body_max=100_000, keep=False) as made:
        yield made


def target(pages: Pages, path: str, source: str = "executor", container: str = ENGINE) -> PageTarget:
    about = subject(cluster().pods, POD, container)
    return PageTarget(source, about, "127.0.0.1", pages.port, path, front=container == ENGINE, images={})


def model_pages(
    fetcher: Fetcher, *targets: PageTarget, concurrency: int = 8, series_max: int = 2000, every_s: float = 60
) -> ModelPagesSource:
    return ModelPagesSource(lambda: targets, fetcher, PageBounds(concurrency, 0.3, series_max), every_s)


async def read_once(source: ModelPagesSource) -> SourceResult:
    await source.turn()
    return await source.collect(0)


def lines(result: SourceResult, family: Family) -> list[str]:
    return [line for block in result.samples.blocks for line in block.lines(family).splitlines()]


def values(result: SourceResult, family: Family) -> list[str]:
    return [line.rpartition(" ")[2] for line in lines(result, family)]


@contextmanager
def running(source: ModelPagesSource) -> Iterator[None]:
    task = asyncio.create_task(source.run(lambda: True))
    try:
        yield
    finally:
        task.cancel()


async def until_asked(pages: Pages, times: int) -> None:
    async with asyncio.timeout(20):
        while len(pages.paths) < times:  # noqa: ASYNC110 - the server's count
            await asyncio.sleep(0.005)


async def test_a_page_that_fails_is_down_and_the_others_are_served(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/good"] = EXECUTOR
    paths = ("/good", "/missing", "/slow")
    result = await read_once(model_pages(fetcher, *(target(pages, path) for path in paths)))
    assert result.error == ""
    assert (result.targets, result.targets_up, result.failures) == (3, 1, {"http_404": 1, "deadline": 1})
    assert values(result, fam.TARGET_UP) == ["1", "0", "0"]
    (observed,) = result.observations
    assert isinstance(observed, FrontReading)
    assert observed.counts.requests == 112
    assert sum(map(float, values(result, fam.AT_MODEL.requests))) == 112
    assert len(lines(result, fam.AT_UNIT.duration)) == 3 * 17


async def test_before_the_first_turn_is_complete_the_source_is_starting(pages: Pages, fetcher: Fetcher) -> None:
    source = model_pages(fetcher, target(pages, "/slow"))
    turn = asyncio.create_task(source.turn())
    await until_asked(pages, 1)
    assert (await source.collect(0)).error == "starting"
    await turn
    assert (await source.collect(0)).error == "deadline"


async def test_no_page_is_begun_during_a_scrape_but_a_slow_scrape_keeps_none_from_us_for_ever(
    pages: Pages, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modelpages, "HOLD_MAX_S", 0.4)
    pages.answers["/good"] = EXECUTOR
    source = model_pages(fetcher, *(target(pages, "/good") for _ in range(40)), concurrency=4)
    with source.held():
        turn = asyncio.create_task(source.turn())
        with source.held():
            await asyncio.sleep(0.2)
            assert pages.paths == []
        await asyncio.sleep(0.1)
        assert pages.paths == [], "another scrape is still under way"
        await until_asked(pages, 4)
        assert len(pages.paths) == 4, "one for each of the four that waited long enough"
    await turn
    assert len(pages.paths) == 40


async def test_a_source_is_down_only_when_all_its_pages_are(pages: Pages, fetcher: Fetcher) -> None:
    assert (await read_once(model_pages(fetcher, target(pages, "/missing")))).error == "http_404"
    assert (await read_once(model_pages(fetcher))).error == ""


async def test_a_page_that_dies_is_down_at_the_next_turn_and_nothing_of_it_is_repeated(
    pages: Pages, fetcher: Fetcher
) -> None:
    pages.answers["/good"] = EXECUTOR
    source = model_pages(fetcher, target(pages, "/good"))
    assert lines(await read_once(source), fam.AT_MODEL.requests)
    del pages.answers["/good"]
    result = await read_once(source)
    assert (result.error, list(result.observations), result.targets_up) == ("http_404", [], 0)
    assert values(result, fam.TARGET_UP) == ["0"]
    assert lines(result, fam.AT_MODEL.requests) == []
    pages.answers["/good"] = EXECUTOR
    assert values(await read_once(source), fam.TARGET_UP) == ["1"]


async def test_failures_are_counted_once_however_often_the_reading_is_served(pages: Pages, fetcher: Fetcher) -> None:
    source = model_pages(fetcher, target(pages, "/missing"))
    counting = Collector([source], on_collected=lambda _: None)
    await source.turn()
    for _ in range(3):
        await counting.collect(1)
    assert counting.counters.errors == {("model-pages", "http_404"): 1}


async def test_the_page_of_a_pod_that_is_gone_is_gone_at_once(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/good"] = EXECUTOR
    targets = [target(pages, "/good")]
    source = ModelPagesSource(lambda: targets, fetcher, PageBounds(8, 0.3, 2000), 60)
    await source.turn()
    targets.clear()
    result = await source.collect(0)
    assert (result.targets, result.samples.blocks, list(result.observations)) == (0, [], [])


async def test_a_new_pods_page_is_neither_up_nor_down_until_it_was_asked(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/good"] = EXECUTOR
    targets: list[PageTarget] = []
    source = ModelPagesSource(lambda: targets, fetcher, PageBounds(8, 0.3, 2000), 60)
    await source.turn()
    targets.append(target(pages, "/good"))
    result = await source.collect(0)
    assert (result.error, result.targets, result.targets_up, result.samples.blocks) == ("", 1, 0, [])


async def test_a_reading_that_is_not_renewed_is_dropped_after_some_turns(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/good"] = EXECUTOR
    source = model_pages(fetcher, target(pages, "/good"), every_s=0.1)
    fresh = await read_once(source)
    assert fresh.error == ""
    await asyncio.sleep(STALE_TURNS * 0.1 + 0.05)
    stale = await source.collect(0)
    assert (stale.error, values(stale, fam.TARGET_UP), lines(stale, fam.AT_MODEL.requests)) == ("stale", ["0"], [])


async def test_what_is_kept_of_a_failure_is_its_words_alone(pages: Pages, fetcher: Fetcher) -> None:
    source = model_pages(fetcher, *[target(pages, f"/missing/{number}") for number in range(50)])
    await source.turn()
    gc.collect()
    # An error's traceback holds the request, its answer and its connection: ten kilobytes for each page that is down.
    assert [each for each in gc.get_objects() if isinstance(each, FetchError)] == []


async def test_a_scrape_asks_nobody_and_says_how_old_its_figures_are(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/good"] = EXECUTOR
    source = model_pages(fetcher, target(pages, "/good"))
    await source.turn()
    first = await source.collect(0)
    await asyncio.sleep(0.05)
    second = await source.collect(0)
    assert 0 <= first.age_s < second.age_s
    assert second.age_s >= 0.05
    assert len(pages.paths) == 1


async def test_a_turn_is_spread_over_its_time(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/brief"] = b""
    source = model_pages(fetcher, *[target(pages, "/brief")] * 10)
    began = asyncio.get_running_loop().time()
    await source.turn(spread_s=1.0)
    # The last of ten pages is due at nine tenths.
    assert asyncio.get_running_loop().time() - began >= 0.9
    assert pages.most_at_once < 8


async def test_pages_that_were_down_are_asked_last_and_only_in_the_time_that_is_left(
    pages: Pages, fetcher: Fetcher
) -> None:
    pages.answers["/good"] = b""
    paths = ["/slow", "/missing", "/good"]
    source = model_pages(fetcher, *(target(pages, path) for path in paths), concurrency=1)
    await source.turn()
    pages.paths.clear()
    await source.turn()
    assert pages.paths[0] == "/good"
    assert sorted(pages.paths) == sorted(paths)
    hasty = model_pages(fetcher, *(target(pages, path) for path in paths), concurrency=1, every_s=1e-9)
    await hasty.turn()
    pages.paths.clear()
    await hasty.turn()
    assert pages.paths == ["/good"]
    assert values(await hasty.collect(0), fam.TARGET_UP)[:2] == ["0", "0"]


async def test_it_goes_on_reading_and_the_ring_gets_rates_of_it(pages: Pages, fetcher: Fetcher) -> None:
    source = model_pages(fetcher, target(pages, "/counting"), every_s=0.05)
    ring = Ring(window_s=10, interval_s=0.001, pods_max=10, models_max=10)
    family = 'seldon_api_executor_server_requests_seconds_count{code="200",method="post",service="predictions"}'
    pages.answers["/counting"] = f"{family} 100\n".encode()
    with running(source):
        await until_asked(pages, 2)
        ring.offer(1.0, Collection((await source.collect(0),), {}))
        pages.answers["/counting"] = f"{family} 130\n".encode()
        await until_asked(pages, len(pages.paths) + 3)
        ring.offer(2.0, Collection((await source.collect(0),), {}))
    found = ring.window(("models", "fraud", "default"), 10)
    assert found is not None
    assert found.total.requests == 30


async def test_a_page_of_too_many_series_is_down(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/good"] = EXECUTOR
    result = await read_once(model_pages(fetcher, target(pages, "/good"), series_max=10))
    assert (result.error, list(result.observations)) == ("too_many_series", [])


async def test_no_more_pages_are_open_at_once_than_allowed(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/brief"] = b""
    result = await read_once(model_pages(fetcher, *[target(pages, "/brief")] * 20, concurrency=3))
    assert (result.targets_up, pages.most_at_once) == (20, 3)


async def test_a_wrappers_own_metrics_are_served(pages: Pages, fetcher: Fetcher) -> None:
    pages.answers["/prometheus"] = (PAGES / "wrapper.txt").read_bytes()
    page = target(pages, "/prometheus", "wrapper", "classifier")
    assert lines(await read_once(model_pages(fetcher, page)), fam.UNIT_CUSTOM)
