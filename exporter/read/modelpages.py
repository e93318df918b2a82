"""The pages of model servers, read turn by turn in the background: thousands of them, where a scrape has one second.

A turn reads every page once, spread evenly over most of `pages.every`, and each page's newest reading is what a scrape
gets, with the age of the oldest one beside it (`milepost_source_age_seconds`). A reading is served until the next one
of its page, and at most for `STALE_TURNS` turns, which last `pages.every` or what they really take; a page that fails
is down at once, and nothing of it is served: `milepost_model_page_up` says which, `milepost_source_errors_total` why.
Until the first turn is complete the source is `starting`.

A scrape that is under way comes first: no page is begun meanwhile, or hundreds of them would share the event loop with
it.

Pages that were down are asked at the end of a turn, in the time that is left of it: hundreds of pods behind a
NetworkPolicy that drops packets cost a timeout each, and must not make the figures of the others old.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from exporter.cluster.targets import PageTarget
from exporter.history.observed import add_model
from exporter.history.traffic import front_counts
from exporter.page import families as fam
from exporter.page.blocks import Block, BlockBuilder, Shapes
from exporter.page.observations import FrontReading, ModelTraffic
from exporter.page.samples import STARTING, Samples, SourceResult
from exporter.read.fetch import Fetcher, FetchError
from exporter.read.pages import PageBounds, check_size, read_page
from exporter.sources.discovery import recognised
from exporter.sources.pages import read
from exporter.sources.wrapper import add_samples

STALE_TURNS = 3
SPREAD = 0.7
"""The part of a turn over which the pages that answer are spread; the rest is for those that do not."""
HOLD_MAX_S = 1.0
"""How long a page waits for scrapes to end, so that one who takes his page slowly cannot keep the others from us."""
_PACE_S = 0.02
"""Pages that are due within this time are read together."""

_Key = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one page gave at `at` (the event loop's clock), or why it gave nothing.

    Never the error itself: its traceback would keep everything alive that took part in the request.
    """

    at: float
    block: Block
    front: FrontReading | None = None
    failure: str = ""
    detail: str = ""


class ModelPagesSource:
    """The source `model-pages`; `targets` gives the pages of our shard at this moment.

    `run` reads, `collect` hands out. Caller: one event loop.
    """

    name = "model-pages"

    def __init__(
        self, targets: Callable[[], Iterable[PageTarget]], fetcher: Fetcher, bounds: PageBounds, every_s: float
    ) -> None:
        self._targets = targets
        self._fetcher = fetcher
        self._bounds = bounds
        self._every_s = every_s
        self._shapes = Shapes()
        self._readings: dict[_Key, _Reading] = {}
        self._failures: Counter[str] = Counter()
        self._turns = 0
        self._turn_s = 0.0
        self._holders = 0
        self._free = asyncio.Event()

    async def run(self, ready: Callable[[], bool]) -> None:
        """Read for ever, from when it is `ready` (it is known what to read); the first turn takes no more than it must.

        A turn that takes longer than it should is followed by the next one at once.
        """
        loop = asyncio.get_running_loop()
        while not ready():  # noqa: ASYNC110 - once, at the start
            await asyncio.sleep(0.1)
        while True:
            started = loop.time()
            await self.turn(spread_s=SPREAD * self._every_s if self._turns else 0.0)
            await asyncio.sleep(max(0.0, started + self._every_s - loop.time()))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Begin no page inside this block."""
        self._holders += 1
        self._free.clear()
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._free.set()

    async def turn(self, *, spread_s: float = 0.0) -> None:
        """Read every page once, those that answered before spread over this time."""
        started = asyncio.get_running_loop().time()
        targets = list(self._targets())
        down = {key: reading.at for key, reading in self._readings.items() if reading.failure}
        await self._read_all([each for each in targets if _key(each) not in down], spread_s)
        late = sorted((each for each in targets if _key(each) in down), key=lambda each: down[_key(each)])
        await self._read_all(late, until=started + self._every_s)
        known = {_key(target) for target in targets}
        self._readings = {key: reading for key, reading in self._readings.items() if key in known}
        self._turn_s = asyncio.get_running_loop().time() - started
        self._turns += 1

    async def collect(self, deadline: float) -> SourceResult:
        """Return the newest reading of every page there is; failures are told once, so that they are counted once."""
        if not self._turns:
            return SourceResult(self.name, 0.0, error=STARTING, error_detail="the first turn is not complete")
        now, out = asyncio.get_running_loop().time(), Samples()
        stale_s = STALE_TURNS * max(self._every_s, self._turn_s)
        fronts: list[FrontReading] = []
        failed: _Reading | None = None
        up, age_s = 0, 0.0
        targets = list(self._targets())
        for target in targets:
            reading = self._readings.get(_key(target))
            if reading is None:  # New since the turn before: it is asked in the next one.
                continue
            if not reading.failure and now - reading.at > stale_s:
                stale = FetchError("stale", f"{target.url} was not read for {now - reading.at:.0f} s")
                reading = self._failed(target, reading.at, stale)
            out.add_block(reading.block)
            if reading.failure:
                failed = failed or reading
                continue
            up, age_s = up + 1, max(age_s, now - reading.at)
            if reading.front:
                fronts.append(reading.front)
        failures, self._failures = self._failures, Counter()
        return SourceResult(
            self.name,
            self._turn_s,
            out,
            fronts,
            error=failed.failure if failed and not up else "",
            error_detail=failed.detail if failed else "",
            age_s=age_s,
            failures=failures,
            targets=len(targets),
            targets_up=up,
        )

    async def _read_all(self, targets: Sequence[PageTarget], spread_s: float = 0.0, until: float | None = None) -> None:
        """Read these pages in their order, at most `concurrency` at once; none is begun after `until`."""
        loop = asyncio.get_running_loop()
        started, waiting = loop.time(), iter(enumerate(targets))

        async def work() -> None:
            for index, target in waiting:
                ahead_s = started + spread_s * index / len(targets) - loop.time()
                if ahead_s > _PACE_S:
                    await asyncio.sleep(ahead_s)
                await self._unheld()
                if until is not None and loop.time() >= until:
                    return
                outcome = await read_page(target, self._read, self._fetcher, self._bounds.timeout_s)
                if isinstance(outcome, FetchError):
                    self._failures[outcome.reason] += 1
                    outcome = self._failed(target, loop.time(), outcome)
                self._readings[_key(target)] = outcome

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._bounds.concurrency, len(targets))):
                group.create_task(work())

    async def _unheld(self) -> None:
        if self._holders:
            with suppress(TimeoutError):
                async with asyncio.timeout(HOLD_MAX_S):
                    await self._free.wait()

    def _read(self, target: PageTarget, page: bytes) -> _Reading:
        source, at = recognised(target.source, page), asyncio.get_running_loop().time()
        observed = ModelTraffic(target.subject, source, target.front, read(source, page, target.images))
        check_size(observed.traffic, self._bounds.series_max)
        out = BlockBuilder(self._shapes)
        out.add(fam.TARGET_UP, target.subject, 1, str(target.port))
        add_model(out, observed)
        if source == "wrapper":
            add_samples(out, target.subject, page)
        counts = front_counts(observed)
        front = FrontReading(target.subject, source, at, counts) if counts else None
        return _Reading(at, out.build(), front)

    def _failed(self, target: PageTarget, at: float, failure: FetchError) -> _Reading:
        out = BlockBuilder(self._shapes)
        out.add(fam.TARGET_UP, target.subject, 0, str(target.port))
        return _Reading(at, out.build(), failure=failure.reason, detail=str(failure))


def _key(target: PageTarget) -> _Key:
    return target.subject.text, target.host, target.port, target.path
