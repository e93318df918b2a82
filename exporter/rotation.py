"""A source that is read in the background, for those that take longer than a scrape may.

One process reads about a thousand pages of model servers in a second, and a scrape has ten seconds. With more pages
than that there are two ways: more shards, or reading them over a longer time than a scrape. A scrape is then given the
last reading with its age (`milepost_source_age_seconds`), never one older than `STALE_TURNS` turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from exporter.samples import Source, SourceResult

STALE_TURNS = 3


class RotatingSource:
    """Reads `source` every `every_s` seconds in `run`, and hands out the last result."""

    def __init__(self, source: Source, every_s: float) -> None:
        self._source = source
        self._every_s = every_s
        self._last: SourceResult | None = None
        self._read_at = 0.0

    @property
    def name(self) -> str:
        """The name of the source."""
        return self._source.name

    async def run(self, ready: Callable[[], bool]) -> None:
        """Read for ever, from when it is `ready` (it is known what to read).

        A turn that takes longer than it should is followed by the next one at once.
        """
        loop = asyncio.get_running_loop()
        while not ready():  # noqa: ASYNC110 - once, at the start
            await asyncio.sleep(0.1)
        while True:
            started = loop.time()
            # The oldest figure of a turn is as old as its start.
            self._last, self._read_at = await self._source.collect(started + self._every_s), started
            await asyncio.sleep(max(0.0, started + self._every_s - loop.time()))

    async def collect(self, deadline: float) -> SourceResult:
        """Return the last result, with its age; its failures are told once, so that they are counted once."""
        if self._last is None:
            return SourceResult(self.name, 0.0, error="starting", error_detail="the first turn is not complete")
        age_s = asyncio.get_running_loop().time() - self._read_at
        if age_s > STALE_TURNS * self._every_s:
            return SourceResult(self.name, 0.0, error="stale", error_detail=f"no turn ended for {age_s:.0f} s")
        result = replace(self._last, age_s=age_s)
        self._last = replace(self._last, failures={})
        return result
