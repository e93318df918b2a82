"""The hub: every stored line passes it once, in order of arrival, and goes to whoever follows it.

Rules:

1. `vector` says, for each Kafka partition, the next offset the hub has not passed on. It only grows, and a line is
   passed on exactly when the vector passes its offset.
2. Batches stored by this process arrive as Arrow tables by `on_stored`. Lines stored by other replicas are found by
   polling `positions`, which is written after the lines, and are read from `lines` by offset. A gap before a batch is
   read from the store first; what the vector has passed already is dropped. So both ways may race freely.
3. A follower is attached at a vector: lines before it are the reader's to query, lines after it the hub hands over.
   Between the two no line is missed and none comes twice.
4. One task does all this (`run`), so there are no locks. A follower's queue is bounded; a slow follower costs only
   itself.

When a topic is deleted and made again, its offsets restart: the vector is set back, followers are told. When the hub
ends, so does every tail, with the cursor to go on from.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa

from logserver.errors import LogServerError, QueryTimeout, QueryTooLarge, Transient
from logserver.follow.arrived import is_behind, stored_vector, without_passed
from logserver.follow.follower import BatchLines, Follower, chunks_of
from logserver.metrics import Metrics
from logserver.query import arrivals
from logserver.query.cursor import Vector, encode_tail
from logserver.query.filters import Selection
from logserver.query.match import Matcher, StreamNumbers
from logserver.query_settings import TailSettings
from logserver.read.reader import Busy, Reader
from logserver.record import StoredBatch, TopicPartition

log = logging.getLogger(__name__)

READ_LINES = 20_000
"""Lines read from the store at a time."""
LOCAL_FOR_S = 5.0
"""A partition whose batches came from this process within this time is not polled: its next batch is on its way."""


class TooManyFollowers(Exception):  # noqa: N818 - named as the condition
    """There are `tail.followers_max` followers already."""


class HubEnded(LogServerError):  # noqa: N818 - named as the condition
    """The server stops: nobody can begin to follow."""


@dataclass(slots=True)
class _Feed:
    """The followers of one selection, and what is computed once for all of them."""

    matcher: Matcher
    followers: list[Follower] = field(default_factory=list)


class Hub:
    """Passes arriving lines to followers; see the module's text."""

    def __init__(self, reader: Reader, settings: TailSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.vector: dict[TopicPartition, int] = {}
        self._reader = reader
        self._metrics = metrics
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()
        self._wake = asyncio.Event()
        self._inbox: deque[StoredBatch] = deque()
        self._local: dict[TopicPartition, float] = {}
        self._feeds: dict[Selection, _Feed] = {}
        self._followers = 0
        self._streams = StreamNumbers()
        self._cursor: str | None = None
        self.ended = False

    def on_stored(self, batch: StoredBatch) -> None:
        """Take a batch that this process has stored; callable from any thread, never blocks.

        Batches stored before `run` has started are found in the store.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._put, batch)

    async def run(self) -> None:
        """Pass lines on until cancelled; then every tail ends."""
        try:
            await self._pass_on_for_ever()
        finally:
            self.ended = True
            self._ready.set()
            for feed in self._feeds.values():
                for follower in feed.followers:
                    follower.tell_ending(self.cursor)

    async def _pass_on_for_ever(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.vector = await self._first_positions()
        self._ready.set()
        next_poll = self._loop.time()
        while True:
            if self._inbox:
                await self._patiently(self._take(self._inbox.popleft()))
            elif self._loop.time() < next_poll:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(next_poll):
                        await self._wake.wait()
                self._wake.clear()
            if self._loop.time() >= next_poll:
                await self._patiently(self._poll())
                next_poll = self._loop.time() + self.settings.poll_interval

    async def ready(self, at_least: Vector, patience_s: float) -> bool:
        """Wait until the hub runs and has passed `at_least`; return False when the store does not know of it.

        A follower who comes from another replica may know of lines that this one has not seen yet, and a replica that
        is behind is no reason to begin again. After each `patience_s` the store itself is asked. Raises HubEnded, and
        what `Reader.rows` raises.
        """
        await self._ready.wait()
        clock = asyncio.get_running_loop().time
        ends = clock() + patience_s
        while is_behind(self.vector, at_least):
            if self.ended:
                raise HubEnded("the server is stopping; connect again")
            if clock() > ends:
                if is_behind(await stored_vector(self._reader), at_least):
                    return False
                ends = clock() + patience_s
            await asyncio.sleep(self.settings.poll_interval / 4)
        return True

    @property
    def cursor(self) -> str:
        """The vector as text."""
        if self._cursor is None:
            self._cursor = encode_tail(self.vector)
        return self._cursor

    @property
    def followers(self) -> int:
        """How many follow."""
        return self._followers

    @contextlib.contextmanager
    def follow(self, selection: Selection) -> Iterator[Follower]:
        """Attach a follower at the present vector; raises TooManyFollowers, HubEnded."""
        if self.ended:
            raise HubEnded("the server is stopping; connect again")
        if self._followers >= self.settings.followers_max:
            raise TooManyFollowers(f"{self._followers} follow already, the bound of tail.followers_max")
        follower = Follower(self.settings, dict(self.vector), self.cursor, self._metrics)
        feed = self._feeds.setdefault(selection, _Feed(Matcher(selection)))
        feed.followers.append(follower)
        self._followers += 1
        self._metrics.gauge("followers").set(self._followers)
        try:
            yield follower
        finally:
            feed.followers.remove(follower)
            if not feed.followers and self._feeds.get(selection) is feed:
                del self._feeds[selection]
            self._followers -= 1
            self._metrics.gauge("followers").set(self._followers)

    def _put(self, batch: StoredBatch) -> None:
        if len(self._inbox) >= self.settings.inbox_batches:
            # Its lines are in the store: polling finds them.
            for place in batch.spans:
                self._local.pop(place, None)
            return
        self._inbox.append(batch)
        self._wake.set()

    async def _patiently(self, step: Coroutine[Any, Any, None]) -> None:
        """Let a step fail while the store does: the vector has not moved, a later poll reads the lines again."""
        try:
            await step
        except (Transient, QueryTimeout, QueryTooLarge, Busy) as error:
            log.warning("following is delayed, the store does not answer: %s", error)
            self._metrics.counter("follow_delays_total").inc()
            await asyncio.sleep(self.settings.poll_interval)

    async def _first_positions(self) -> dict[TopicPartition, int]:
        while True:
            try:
                return await stored_vector(self._reader)
            except (Transient, QueryTimeout, Busy) as error:
                log.warning("followers wait, the store does not answer: %s", error)
                await asyncio.sleep(1)

    async def _take(self, batch: StoredBatch) -> None:
        """Pass on a batch of this process, after what is missing before it.

        Of a partition that is new here too: another replica may have stored its beginning since the last poll.
        """
        assert self._loop is not None
        gaps = {
            place: span.from_offset
            for place, span in batch.spans.items()
            if self.vector.get(place, 0) < span.from_offset
        }
        if gaps:
            await self._read_until(gaps)
        lines = batch.lines
        for place, span in batch.spans.items():
            self._local[place] = self._loop.time()
            if (passed := self.vector.get(place, 0)) > span.from_offset:
                lines = without_passed(lines, place, passed)
        ahead = {place: max(self.vector.get(place, 0), span.next_offset) for place, span in batch.spans.items()}
        self._pass_on(lines, ahead)

    async def _poll(self) -> None:
        """Pass on what other replicas have stored."""
        assert self._loop is not None
        positions = await stored_vector(self._reader)
        recent = self._loop.time() - LOCAL_FOR_S
        for place, next_offset in positions.items():
            if next_offset < self.vector.get(place, 0):
                self._reset(place, next_offset)
        ahead = {
            place: next_offset
            for place, next_offset in positions.items()
            if next_offset > self.vector.get(place, 0) and self._local.get(place, -1.0) < recent
        }
        if ahead:
            await self._read_until(ahead)

    async def _read_until(self, ahead: Vector) -> None:
        """Pass on the stored lines from the vector until `ahead`."""
        if not self._feeds:
            self._advance(ahead)
            return
        while True:
            start = dict(self.vector)
            rows, more = await self._reader.rows_up_to(READ_LINES, partial(arrivals, Selection(), start, ahead))
            if not more:
                self._pass_on(rows, ahead)
                return
            last = rows.slice(rows.num_rows - 1).to_pylist()[0]
            at = TopicPartition(last["topic"], last["partition"])
            self._pass_on(rows, {p: ahead[p] for p in ahead if p < at} | {at: last["offset"] + 1})

    def _pass_on(self, lines: pa.Table, ahead: Vector) -> None:
        """Give each follower its lines and move the vector; without an await, so nobody sees half of it."""
        before = dict(self.vector)
        self._advance(ahead)
        if not lines.num_rows or not self._feeds:
            return
        numbers = self._streams.of(lines)
        decoded = BatchLines(lines)
        for feed in self._feeds.values():
            rows = feed.matcher.rows(lines, numbers, self._streams)
            if not len(rows):
                continue
            for chunk in chunks_of(
                decoded,
                rows,
                before=before,
                after=self.vector,
                cursor=self.cursor,
                lines_max=self.settings.chunk_lines,
            ):
                for follower in feed.followers:
                    follower.offer(chunk)

    def _advance(self, ahead: Vector) -> None:
        self.vector.update(ahead)
        self._cursor = None

    def _reset(self, place: TopicPartition, next_offset: int) -> None:
        log.warning("%s restarts at offset %d: the topic was made again", place, next_offset)
        self._advance({place: next_offset})
        for feed in self._feeds.values():
            for follower in feed.followers:
                follower.tell_reset(str(place), self.cursor)
