"""One collection: all sources at once, within a deadline, shared by whoever scrapes meanwhile.

A scrape that arrives while a collection runs joins it (single flight), with its own deadline: what a source has not
delivered by then is missing from that scrape, and the source is down there with the reason `deadline`. Nothing is kept
between collections but counters of errors and the last CPU readings: a page never repeats an old value.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.page.observations import ContainerUsage, Observation
from exporter.page.samples import STARTING, Source, SourceResult
from exporter.rates import CpuRates

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Collection:
    """What all sources gave, in the order of the sources; `cores` is CPU in use by the subject's label text."""

    results: tuple[SourceResult, ...]
    cores: Mapping[str, float]

    def observations(self) -> list[Observation]:
        """Return the observations of the sources that are up."""
        return [observed for result in self.results if not result.error for observed in result.observations]


@dataclass(slots=True)
class _Flight:
    tasks: Sequence[asyncio.Task[SourceResult]]
    deadline: float
    landed: asyncio.Task[Collection]


@dataclass(slots=True)
class CollectorCounters:
    """What the collector counts for the exporter's own metrics."""

    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    shared: int = 0


class Collector:
    """Runs the sources. Caller: one event loop; `on_collected` is told of every complete collection once."""

    def __init__(self, sources: Sequence[Source], *, on_collected: Callable[[Collection], None]) -> None:
        self._sources = sources
        self._on_collected = on_collected
        self._rates = CpuRates()
        self._flight: _Flight | None = None
        self._down: dict[str, str] = {}
        self.counters = CollectorCounters()
        self.collected_at = float("-inf")

    async def collect(self, timeout_s: float) -> Collection:
        """Return what the sources deliver within this time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        flight = self._flight
        if flight is None:
            flight = self._take_off(deadline)
        else:
            self.counters.shared += 1
        if deadline >= flight.deadline:
            return await asyncio.shield(flight.landed)
        done, _ = await asyncio.wait([flight.landed], timeout=timeout_s)
        return flight.landed.result() if done else self._gather(flight.tasks)

    async def close(self) -> None:
        """Give up the collection that is under way."""
        if self._flight is not None:
            for task in self._flight.tasks:
                task.cancel()
            await asyncio.wait([self._flight.landed])

    def _take_off(self, deadline: float) -> _Flight:
        tasks = [asyncio.create_task(s.collect(deadline), name=f"collect {s.name}") for s in self._sources]
        landed = asyncio.create_task(self._land(tasks, deadline), name="collection")
        self._flight = _Flight(tasks, deadline, landed)
        return self._flight

    async def _land(self, tasks: Sequence[asyncio.Task[SourceResult]], deadline: float) -> Collection:
        """Wait for all sources or the deadline, then cut off the late ones."""
        loop = asyncio.get_running_loop()
        try:
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline - loop.time()))
                for task in late:
                    task.cancel()
                if late:
                    await asyncio.wait(late)
        finally:
            self._flight = None
        collection = self._gather(tasks, count=True)
        self.collected_at = loop.time()
        self._on_collected(collection)
        return collection

    def _gather(self, tasks: Sequence[asyncio.Task[SourceResult]], *, count: bool = False) -> Collection:
        results = tuple(map(_result_of, self._sources, tasks))
        if count:
            for result in results:
                self._count(result)
        usages = [o for r in results if not r.error for o in r.observations if isinstance(o, ContainerUsage)]
        return Collection(results, self._rates.update(usages) if count else {})

    def _count(self, result: SourceResult) -> None:
        failures = result.failures
        if failures is None:
            failures = {result.error: 1} if result.error else {}
        for reason, times in failures.items():
            self.counters.errors[result.source, reason] += times
        before = self._down.get(result.source, "")
        if result.error and result.error != before:
            # That the first list or turn takes its time is how every start is, and nothing to look into.
            level = logging.INFO if result.error == STARTING else logging.WARNING
            log.log(level, "source %s is down: %s: %s", result.source, result.error, result.error_detail)
        elif before and not result.error:
            log.info("source %s is up again", result.source)
        self._down[result.source] = result.error


def _result_of(source: Source, task: asyncio.Task[SourceResult]) -> SourceResult:
    if not task.done() or task.cancelled():
        return SourceResult(source.name, 0.0, error="deadline", error_detail="not finished by the deadline")
    error = task.exception()
    if error is None:
        return task.result()
    log.error("source %s failed unexpectedly", source.name, exc_info=error)
    return SourceResult(source.name, 0.0, error="internal", error_detail=repr(error))
