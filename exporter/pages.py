"""The pages of model servers and Ingress controllers: all of them at once, each within the scrape's deadline.

A page that cannot be read, is no page, or holds more series than `pages.series_max` counts as down, and nothing of it
is served: `milepost_model_page_up` says which, `milepost_source_errors_total` why. The source as a whole is down only
when it has pages and none of them could be read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from exporter import families as fam
from exporter.fetch import Fetcher, FetchError
from exporter.samples import (
    ControllerTraffic,
    IngressTraffic,
    ModelTraffic,
    Observation,
    Samples,
    SourceResult,
    Traffic,
)
from exporter.sources import nginx
from exporter.sources.discovery import recognised
from exporter.sources.pages import read
from exporter.sources.wrapper import add_samples
from exporter.targets import INGRESS_SOURCE, PageTarget

Parsed = TypeVar("Parsed")
Target = TypeVar("Target", bound="HasUrl")


@dataclass(frozen=True, slots=True)
class PageBounds:
    """Limits of reading pages (settings group `pages`)."""

    concurrency: int
    timeout_s: float
    series_max: int


class ModelPagesSource:
    """The source `model-pages`; `targets` gives the pages of our shard at this moment."""

    name = "model-pages"

    def __init__(self, targets: Callable[[], Iterable[PageTarget]], fetcher: Fetcher, bounds: PageBounds) -> None:
        self._targets = targets
        self._fetcher = fetcher
        self._bounds = bounds

    async def collect(self, deadline: float) -> SourceResult:
        """Read every page."""
        started = asyncio.get_running_loop().time()
        targets = list(self._targets())
        outcomes = await read_all(targets, self._read, self._fetcher, self._bounds, deadline)
        out = Samples()
        observations: list[Observation] = []
        for target, outcome in zip(targets, outcomes, strict=True):
            out.add(fam.TARGET_UP, target.subject, int(not isinstance(outcome, FetchError)), str(target.port))
            if not isinstance(outcome, FetchError):
                observations.append(outcome[0])
                out.extend(outcome[1])
        return page_result(self.name, started, outcomes, out, observations)

    def _read(self, target: PageTarget, page: bytes) -> tuple[ModelTraffic, Samples]:
        source = recognised(target.source, page)
        traffic = read(source, page, target.images)
        check_size(traffic, self._bounds.series_max)
        custom = Samples()
        if source == "wrapper":
            add_samples(custom, target.subject, page)
        return ModelTraffic(target.subject, source, target.front, traffic), custom


class IngressPagesSource:
    """The source `ingress-nginx`; `targets` gives the pages of the controllers at this moment."""

    name = INGRESS_SOURCE

    def __init__(self, targets: Callable[[], Iterable[PageTarget]], fetcher: Fetcher, bounds: PageBounds) -> None:
        self._targets = targets
        self._fetcher = fetcher
        self._bounds = bounds

    async def collect(self, deadline: float) -> SourceResult:
        """Read every controller's page."""
        started = asyncio.get_running_loop().time()
        outcomes = await read_all(list(self._targets()), self._read, self._fetcher, self._bounds, deadline)
        observations: list[Observation] = [each for each in outcomes if not isinstance(each, FetchError)]
        return page_result(self.name, started, outcomes, Samples(), observations)

    def _read(self, target: PageTarget, page: bytes) -> ControllerTraffic:
        traffic = nginx.parse(page)
        check_size(traffic, self._bounds.series_max)
        return ControllerTraffic(target.subject.identity.pod, traffic)


class HasUrl(Protocol):
    """Anything with a page."""

    @property
    def url(self) -> str:
        """The address of the page."""


async def read_all(
    targets: Sequence[Target],
    parse: Callable[[Target, bytes], Parsed],
    fetcher: Fetcher,
    bounds: PageBounds,
    deadline: float,
) -> list[Parsed | FetchError]:
    """Return what each page parsed to, or why not, in the order of `targets`; at most `concurrency` are open at once.

    `parse` may raise ValueError (the page is not what it should be) or FetchError.
    """
    loop = asyncio.get_running_loop()
    outcomes: list[Parsed | FetchError] = [FetchError("deadline", "never asked")] * len(targets)
    waiting = iter(enumerate(targets))

    async def work() -> None:
        for index, target in waiting:
            try:
                page = await fetcher.get(target.url, timeout_s=min(bounds.timeout_s, deadline - loop.time()))
                outcomes[index] = parse(target, page)
            except FetchError as error:
                outcomes[index] = error
            except ValueError as error:
                outcomes[index] = FetchError("page", f"{target.url}: {error}")

    async with asyncio.TaskGroup() as group:
        for _ in range(min(bounds.concurrency, len(targets))):
            group.create_task(work())
    return outcomes


def check_size(traffic: Sequence[Traffic] | Sequence[IngressTraffic], series_max: int) -> None:
    """Raise FetchError when the page would give more series than allowed."""
    series = sum(len(each.requests) + (len(each.duration.cumulative) if each.duration else 0) + 5 for each in traffic)
    if series > series_max:
        raise FetchError("too_many_series", f"the page gives {series} series; pages.series_max is {series_max}")


def page_result(
    name: str,
    started: float,
    outcomes: Sequence[object],
    out: Samples,
    observations: Sequence[Observation],
    *,
    shown: bool = True,
) -> SourceResult:
    """Return the result of a source of many pages."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, FetchError)]
    all_down = bool(failures) and len(failures) == len(outcomes)
    return SourceResult(
        name,
        asyncio.get_running_loop().time() - started,
        out,
        observations,
        error=failures[0].reason if all_down else "",
        error_detail=str(failures[0]) if failures else "",
        failures=Counter(failure.reason for failure in failures),
        targets=len(outcomes),
        targets_up=len(outcomes) - len(failures),
        shown=shown,
    )
