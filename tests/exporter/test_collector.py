"""A collection: sources at once, within a deadline, shared; a source that fails is down and takes nobody along."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from exporter.collector import Collection, Collector
from exporter.page.family import Scope
from exporter.page.observations import ContainerUsage
from exporter.page.samples import STARTING, SourceResult
from exporter.page.sink import Subject
from exporter.rates import CpuRates
from milepost.identity import Identity

CONTAINER = Subject.of(Identity("ns", "m", "p", "pod", "c", "n"), Scope.CONTAINER)


@dataclass
class Scripted:
    """A source that takes a while and then returns or raises."""

    name: str = "scripted"
    takes_s: float = 0.0
    raises: Exception | None = None
    error: str = ""
    collected: int = 0

    async def collect(self, deadline: float) -> SourceResult:
        self.collected += 1
        await asyncio.sleep(self.takes_s)
        if self.raises:
            raise self.raises
        return SourceResult(self.name, self.takes_s, error=self.error)


def collector(*sources: Scripted, told: Callable[[Collection], None] = lambda _: None) -> Collector:
    return Collector(sources, on_collected=told)


def errors(collection: Collection) -> dict[str, str]:
    return {result.source: result.error for result in collection.results}


async def test_a_slow_source_is_down_at_the_deadline_and_the_others_are_served() -> None:
    running = collector(Scripted("quick"), Scripted("slow", takes_s=60))
    collection = await running.collect(0.05)
    assert errors(collection) == {"quick": "", "slow": "deadline"}
    assert running.counters.errors == {("slow", "deadline"): 1}


async def test_a_source_with_a_bug_is_down_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    collection = await collector(Scripted("quick"), Scripted("buggy", raises=KeyError("x"))).collect(1)
    assert errors(collection) == {"quick": "", "buggy": "internal"}
    assert "source buggy failed unexpectedly" in caplog.text


async def test_a_source_that_stays_down_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    source = Scripted("flaky", raises=OSError("x"))
    running = collector(source)
    caplog.set_level("INFO", "exporter.collector")
    for _ in range(3):
        await running.collect(1)
    source.raises = None
    await running.collect(1)
    assert caplog.text.count("source flaky is down") == 1
    assert caplog.text.count("source flaky is up again") == 1
    assert running.counters.errors == {("flaky", "internal"): 3}


async def test_a_start_is_no_warning_and_what_goes_wrong_after_it_is(caplog: pytest.LogCaptureFixture) -> None:
    source = Scripted("watch", error=STARTING)
    running = collector(source)
    caplog.set_level("INFO", "exporter.collector")
    await running.collect(1)
    source.error = "stale"
    await running.collect(1)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


async def test_scrapes_at_the_same_time_share_one_collection() -> None:
    source = Scripted(takes_s=0.05)
    told: list[Collection] = []
    running = collector(source, told=told.append)
    first, second, third = await asyncio.gather(*(running.collect(1) for _ in range(3)))
    assert first is second is third
    assert (source.collected, len(told), running.counters.shared) == (1, 1, 2)
    await running.collect(1)
    assert source.collected == 2


async def test_an_impatient_scrape_gets_what_is_there_and_the_patient_one_everything() -> None:
    running = collector(Scripted("quick"), Scripted("slow", takes_s=0.3))
    patient = asyncio.create_task(running.collect(5))
    await asyncio.sleep(0.05)
    assert errors(await running.collect(0.05)) == {"quick": "", "slow": "deadline"}
    assert errors(await patient) == {"quick": "", "slow": ""}
    assert running.counters.errors == {}


async def test_a_scrape_that_is_given_up_does_not_end_the_others_collection() -> None:
    running = collector(Scripted("slow", takes_s=0.1))
    gone = asyncio.create_task(running.collect(1))
    await asyncio.sleep(0.02)
    staying = asyncio.create_task(running.collect(1))
    await asyncio.sleep(0.02)
    gone.cancel()
    assert errors(await staying) == {"slow": ""}


async def test_closing_ends_a_collection_under_way() -> None:
    running = collector(Scripted(takes_s=60))
    waiting = asyncio.create_task(running.collect(60))
    await asyncio.sleep(0.01)
    await running.close()
    assert errors(await waiting) == {"scripted": "deadline"}


def usage(at: float, seconds: float | None, cores: float | None = None) -> list[ContainerUsage]:
    return [ContainerUsage(CONTAINER, at, seconds, cpu_cores=cores)]


def test_cores_are_told_by_the_second_reading_and_kept_until_the_kubelet_reads_again() -> None:
    rates = CpuRates()
    assert rates.update(usage(100.0, 50.0)) == {}
    assert rates.update(usage(110.0, 65.0)) == {CONTAINER.text: 1.5}
    assert rates.update(usage(110.0, 65.0)) == {CONTAINER.text: 1.5}
    assert rates.update(usage(120.0, 65.0)) == {CONTAINER.text: 0.0}


def test_a_restarted_container_has_no_cores_for_one_reading() -> None:
    rates = CpuRates()
    rates.update(usage(100.0, 50.0))
    assert rates.update(usage(110.0, 2.0)) == {}
    assert rates.update(usage(120.0, 12.0)) == {CONTAINER.text: 1.0}


def test_a_container_that_went_and_came_back_starts_anew() -> None:
    rates = CpuRates()
    rates.update(usage(100.0, 50.0))
    rates.update([])
    assert rates.update(usage(120.0, 90.0)) == {}


def test_a_gauge_of_cores_is_taken_as_it_is_and_never_as_a_counter() -> None:
    rates = CpuRates()
    assert rates.update(usage(100.0, None, 0.25)) == {CONTAINER.text: 0.25}
    assert rates.update(usage(110.0, 500.0)) == {}
