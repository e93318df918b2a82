"""Reading many pages within bounds, and the pages of Ingress controllers, which are few: all of them at each scrape.

A page that cannot be read, is no page, or holds more series than `pages.series_max` counts as down, and nothing of it
is served; `milepost_source_errors_total` says why. A source of many pages is down only when it has some and none of
them could be read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from exporter.cluster.targets import INGRESS_SOURCE, PageTarget
from exporter.page.observations import ControllerTraffic, IngressTraffic, Observation, Traffic
from exporter.page.samples import Samples, SourceResult
from exporter.read.fetch import Fetcher, FetchError
from exporter.sources import nginx

Parsed = TypeVar("Parsed")
Target = TypeVar("Target", bound="HasUrl")


@dataclass(frozen=True, slots=True)
class PageBounds:
    """Limits of reading pages (settings group `pages`)."""

    concurrency: int
    timeout_s: float
    series_max: int


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
            timeout_s = min(bounds.timeout_s, deadline - loop.time())
            outcomes[index] = await read_page(target, parse, fetcher, timeout_s)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(bounds.concurrency, len(targets))):
            group.create_task(work())
    return outcomes


async def read_page(
    target: Target, parse: Callable[[Target, bytes], Parsed], fetcher: Fetcher, timeout_s: float
) -> Parsed | FetchError:
    """Return what one page parsed to, or why not. `parse` as for `read_all`."""
    try:
        return parse(target, await fetcher.get(target.url, timeout_s=timeout_s))
    except FetchError as error:
        return error
    except ValueError as error:
        return FetchError("page", f"{target.url}: {error}")


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
