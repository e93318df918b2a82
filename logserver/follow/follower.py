"""One follower's bounded queue, and batches cut into the chunks that go through it.

A chunk carries the cursor that is true once its lines have been read. When the queue is full, chunks are dropped and
counted; as soon as half of it is free again the follower gets a `Dropped` with the two cursors between which the
dropped lines lie, so that they can be fetched. Lines are decoded and written as JSON once per batch, whoever gets
them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from logserver.metrics import Metrics
from logserver.query.cursor import Vector, encode_tail
from logserver.query.match import Numbers
from logserver.query_settings import TailSettings
from logserver.read.lines import Line, json_line, lines_of
from logserver.record import TopicPartition


class FollowedLine:
    """A line and, once somebody asked for it, its JSON."""

    __slots__ = ("_json", "line")

    def __init__(self, line: Line) -> None:
        self.line = line
        self._json: bytes | None = None

    @property
    def json(self) -> bytes:
        """The line as one JSON object."""
        if self._json is None:
            self._json = json_line(self.line)
        return self._json


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines in arrival order (by time where the whole batch fits), and the cursor after them."""

    lines: tuple[FollowedLine, ...]
    cursor: str
    frames: dict[str, bytes] = field(default_factory=dict)
    """The chunk as written in a format, for all followers who share it."""

    @property
    def size_bytes(self) -> int:
        """About what the chunk takes in memory."""
        return sum(len(followed.line.message) + 500 for followed in self.lines)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Lines that were not queued; they lie between the two cursors."""

    lines: int
    from_cursor: str
    to_cursor: str


@dataclass(frozen=True, slots=True)
class Reset:
    """A partition whose topic was made again; `cursor` is valid after it."""

    partition: str
    cursor: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The server stops; what comes after `cursor` is there to be followed once it runs again, or at another replica."""

    cursor: str


Item = Chunk | Dropped | Reset | Ending


class Follower:
    """What the hub offers to one follower until it takes it."""

    def __init__(self, settings: TailSettings, vector: Vector, cursor: str, metrics: Metrics) -> None:
        self.vector = vector
        """Where the follower was attached: lines before it are not offered."""
        self._settings = settings
        self._metrics = metrics
        self._queue: deque[Item] = deque()
        self._lines = self._bytes = 0
        self._arrived = asyncio.Event()
        self._accepted = cursor
        self._dropped = 0
        self._dropped_until = ""

    @property
    def idle(self) -> bool:
        """Whether everything offered was taken and nothing dropped waits to be told."""
        return not self._queue and not self._dropped

    def offer(self, chunk: Chunk) -> None:
        """Queue a chunk, or drop it when the queue is full or dropping has begun."""
        size_bytes = chunk.size_bytes
        full = (
            self._lines + len(chunk.lines) > self._settings.lines_max
            or self._bytes + size_bytes > self._settings.bytes_max
        )
        # A chunk larger than the whole queue still passes through an empty one.
        if self._dropped or (full and self._queue):
            self._dropped += len(chunk.lines)
            self._dropped_until = chunk.cursor
            self._metrics.counter("follower_dropped_lines_total").inc(len(chunk.lines))
            return
        self._queue.append(chunk)
        self._lines += len(chunk.lines)
        self._bytes += size_bytes
        self._accepted = chunk.cursor
        self._arrived.set()

    def tell_reset(self, partition: str, cursor: str) -> None:
        """Queue the notice that a partition restarted."""
        self._queue.append(Reset(partition, cursor))
        self._arrived.set()

    def tell_ending(self, cursor: str) -> None:
        """Queue the notice that nothing comes after what is queued; `cursor` is the hub's."""
        # Lines that were dropped and not told yet lie after what was accepted: resuming there brings them.
        self._queue.append(Ending(self._accepted if self._dropped else cursor))
        self._dropped = 0
        self._arrived.set()

    async def take(self, patience_s: float) -> Item | None:
        """Return what comes next, None when nothing came for `patience_s`."""
        if not self._queue:
            try:
                async with asyncio.timeout(patience_s):
                    await self._arrived.wait()
            except TimeoutError:
                return None
        item = self._queue.popleft()
        if isinstance(item, Chunk):
            self._lines -= len(item.lines)
            self._bytes -= item.size_bytes
        self._tell_dropped()
        if not self._queue:
            self._arrived.clear()
        return item

    def _tell_dropped(self) -> None:
        half_free = 2 * self._lines <= self._settings.lines_max and 2 * self._bytes <= self._settings.bytes_max
        if self._dropped and half_free:
            self._queue.append(Dropped(self._dropped, self._accepted, self._dropped_until))
            self._accepted = self._dropped_until
            self._dropped = 0
            self._arrived.set()


class BatchLines:
    """The lines of an Arrow batch, each decoded at most once."""

    def __init__(self, lines: pa.Table) -> None:
        self.rows = lines
        self._decoded: dict[int, FollowedLine] = {}

    def at(self, rows: Numbers) -> list[FollowedLine]:
        """Return the lines of these rows, in their order."""
        wanted: list[int] = rows.tolist()
        missing = [row for row in wanted if row not in self._decoded]
        if missing:
            lines = lines_of(self.rows.take(pa.array(missing, pa.int64())))
            self._decoded.update(zip(missing, map(FollowedLine, lines), strict=True))
        return [self._decoded[row] for row in wanted]


def chunks_of(
    decoded: BatchLines, rows: Numbers, *, before: Vector, after: Vector, cursor: str, lines_max: int
) -> Iterator[Chunk]:
    """Cut a batch's rows into chunks; the batch moved the vector from `before` to `after`, whose text is `cursor`.

    Rows that fit one chunk are put in the order of time, which people expect. More rows are cut in the order of their
    positions, since only then a cursor can say what came before it.
    """
    lines = decoded.at(rows)
    if len(lines) <= lines_max:
        yield Chunk(tuple(sorted(lines, key=lambda followed: followed.line.place)), cursor)
        return
    lines.sort(key=lambda followed: (followed.line.topic, followed.line.partition, followed.line.offset))
    vector = dict(before)
    for start in range(0, len(lines), lines_max):
        part = lines[start : start + lines_max]
        if start + lines_max >= len(lines):
            yield Chunk(tuple(part), cursor)
            return
        last = part[-1].line
        at = TopicPartition(last.topic, last.partition)
        vector.update({place: offset for place, offset in after.items() if place < at})
        vector[at] = last.offset + 1
        yield Chunk(tuple(part), encode_tail(vector))
