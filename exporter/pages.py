"""The pages of model servers and Ingress controllers: all of them at once, each within the scrape's deadline.

A page that cannot be read, is no page, or holds more series than `pages.series_max` counts as down, and nothing of it
is served: `milepost_model_page_up` says which, `milepost_source_errors_total` why. The source as a whole is down only
when it has pages and none of them could be read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from exporter import families as fam
from exporter.discovery import PageTarget
from exporter.fetch import Fetcher, FetchError
from exporter.samples import (
    ControllerTraffic,
    IngressParser,
    IngressTraffic,
    ModelTraffic,
    Observation,
    PageParser,
    Samples,
    SourceResult,
    Traffic,
)

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class PageBounds:
    """Limits of reading pages (settings group `pages`)."""

    concurrency: int
    timeout_s: float
    series_max: int


class ModelPagesSource:
    """The source `model-pages`; `targets` gives the pages of our shard at this moment."""

    name = "model-pages"

    def __init__(
        self,
        targets: Callable[[], Iterable[PageTarget]],
        fetcher: Fetcher,
        bounds: PageBounds,
        *,
        parsers: Mapping[str, PageParser],
        recognise: Callable[[bytes], str | None],
    ) -> None:
        self._targets = targets
        self._fetcher = fetcher
        self._bounds = bounds
        self._parsers = parsers
        self._recognise = recognise

    async def collect(self, deadline: float) -> SourceResult:
        """Read every page."""
        started = asyncio.get_running_loop().time()
        targets = list(self._targets())
        outcomes = await read_all([t.url for t in targets], self._parse, self._fetcher, self._bounds, deadline)
        out = Samples()
        observations: list[Observation] = []
        for target, outcome in zip(targets, outcomes, strict=True):
            out.add(fam.TARGET_UP, target.subject, int(not isinstance(outcome, FetchError)), _port(target.url))
            if not isinstance(outcome, FetchError) and outcome[1]:
                observations.append(ModelTraffic(target.subject, outcome[0], target.front, outcome[1]))
        return page_result(self.name, started, outcomes, out, observations)

    def _parse(self, page: bytes) -> tuple[str, Sequence[Traffic]]:
        source = self._recognise(page)
        if source is None:
            return "", ()
        traffic = self._parsers[source](page)
        check_size(traffic, self._bounds.series_max)
        return source, traffic


class IngressPagesSource:
    """The source `ingress-nginx`; `targets` gives (pod name, URL) of the controllers at this moment."""

    name = "ingress-nginx"

    def __init__(
        self,
        targets: Callable[[], Iterable[tuple[str, str]]],
        fetcher: Fetcher,
        bounds: PageBounds,
        *,
        parse: IngressParser,
    ) -> None:
        self._targets = targets
        self._fetcher = fetcher
        self._bounds = bounds
        self._parse_page = parse

    async def collect(self, deadline: float) -> SourceResult:
        """Read every controller's page."""
        started = asyncio.get_running_loop().time()
        targets = list(self._targets())
        outcomes = await read_all([url for _, url in targets], self._parse, self._fetcher, self._bounds, deadline)
        observations: list[Observation] = [
            ControllerTraffic(pod, outcome)
            for (pod, _), outcome in zip(targets, outcomes, strict=True)
            if not isinstance(outcome, FetchError)
        ]
        return page_result(self.name, started, outcomes, Samples(), observations)

    def _parse(self, page: bytes) -> Sequence[IngressTraffic]:
        traffic = self._parse_page(page)
        check_size(traffic, self._bounds.series_max)
        return traffic


async def read_all(
    urls: Sequence[str],
    parse: Callable[[bytes], Parsed],
    fetcher: Fetcher,
    bounds: PageBounds,
    deadline: float,
) -> list[Parsed | FetchError]:
    """Return what each page parsed to, or why not, in the order of `urls`; at most `concurrency` are open at once."""
    loop = asyncio.get_running_loop()
    outcomes: list[Parsed | FetchError] = [FetchError("deadline", "never asked")] * len(urls)
    waiting = iter(enumerate(urls))

    async def work() -> None:
        for index, url in waiting:
            try:
                page = await fetcher.get(url, timeout_s=min(bounds.timeout_s, deadline - loop.time()))
                outcomes[index] = parse(page)
            except FetchError as error:
                outcomes[index] = error
            except ValueError as error:
                outcomes[index] = FetchError("page", f"{url}: {error}")

    async with asyncio.TaskGroup() as group:
        for _ in range(min(bounds.concurrency, len(urls))):
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


def _port(url: str) -> str:
    return str(urlsplit(url).port or "")
