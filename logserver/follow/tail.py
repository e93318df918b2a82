"""Following: the last lines, then every line that arrives, each once, across breaks of the connection.

A tail that starts anew attaches to the hub, reads the last lines that arrived before that place, and goes on with the
hub. One that resumes at a cursor first reads from the store what arrived since, page by page at the reader's pace,
then attaches. A tail with an `until` ends there: this is how dropped lines are fetched.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from logserver.follow.follower import Chunk, Ending, FollowedLine, Follower, Item
from logserver.follow.hub import READ_LINES, Hub
from logserver.query import arrivals
from logserver.query.cursor import Vector, encode_page, encode_tail
from logserver.query.filters import Selection
from logserver.read.lines import lines_of
from logserver.read.pages import PARTIAL, Page, read_page
from logserver.read.reader import Reader, RequestDeadline
from logserver.record import TopicPartition
from logserver.times import TimeRange

PATIENCE_S = 5.0
"""How long a tail waits for this replica to see what the cursor's has seen, before the store itself is asked."""

ARRIVALS = 5000
"""Lines read from the store at a time for one follower."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing came for a while; `cursor` is empty while lines are still on their way."""

    cursor: str


@dataclass(frozen=True, slots=True)
class Partial:
    """The lines of the past that came before are not all that were asked for; `older` continues them in /logs."""

    why: str
    older: str
    cursor: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The cursor names offsets that the topic does not have (it was made again); following goes on from `cursor`."""

    cursor: str


Event = Item | Heartbeat | Partial | Unknown


@dataclass(frozen=True, slots=True)
class Tail:
    """What to follow and where to start: `lines` of the past within `time`, or a cursor."""

    selection: Selection
    time: TimeRange = TimeRange()  # noqa: RUF009 - frozen
    lines: int = 100
    cursor: Vector | None = None
    until: Vector | None = None


async def follow(hub: Hub, reader: Reader, tail: Tail) -> AsyncIterator[Event]:
    """Yield what a follower gets, until the hub ends or the tail has an end of its own.

    Raises what `Reader.rows` and `Hub.follow` raise.
    """
    if tail.cursor is None:
        async for event in _from_now(hub, reader, tail):
            yield event
        return
    if tail.until is not None:
        async for chunk in read_arrivals(reader, tail.selection, tail.cursor, tail.until):
            yield chunk
        return
    start: Mapping[TopicPartition, int] = tail.cursor
    if not await hub.ready(start, PATIENCE_S):
        start = {place: min(offset, hub.vector.get(place, 0)) for place, offset in start.items()}
        yield Unknown(encode_tail(start))
    # Far behind, the follower is not attached yet: its queue would only overflow.
    while _distance(start, hub.vector) > READ_LINES:
        end = dict(hub.vector)
        async for chunk in read_arrivals(reader, tail.selection, start, end):
            yield chunk
        start = end
    with hub.follow(tail.selection) as follower:
        async for chunk in read_arrivals(reader, tail.selection, start, follower.vector):
            yield chunk
        async for event in _taken(hub, follower):
            yield event


async def read_arrivals(reader: Reader, selection: Selection, start: Vector, end: Vector) -> AsyncIterator[Chunk]:
    """Yield the lines that arrived from `start` until before `end`; the last chunk's cursor is `end`."""
    at = dict(start)
    while selection.namespaces != ():
        rows, more = await reader.rows_up_to(ARRIVALS, lambda limit: arrivals(selection, at, end, limit=limit))
        lines = lines_of(rows)
        if not more:
            break
        place = TopicPartition(lines[-1].topic, lines[-1].partition)
        at.update({other: offset for other, offset in end.items() if other < place})
        at[place] = lines[-1].offset + 1
        yield Chunk(tuple(map(FollowedLine, lines)), encode_tail(at))
    else:
        lines = []
    whole = {**at, **end}
    yield Chunk(tuple(map(FollowedLine, sorted(lines, key=lambda line: line.place))), encode_tail(whole))


async def _from_now(hub: Hub, reader: Reader, tail: Tail) -> AsyncIterator[Event]:
    await hub.ready({}, 0)
    with hub.follow(tail.selection) as follower:
        page = Page([], None, "range")
        if tail.lines:
            known = tuple((place.topic, place.partition, offset) for place, offset in sorted(follower.vector.items()))
            page = await read_page(
                reader,
                replace(tail.selection, arrived_before=known),
                tail.time,
                cursor=None,
                direction="backward",
                limit=tail.lines,
                deadline=RequestDeadline(reader.settings.time_max),
            )
        # One chunk: its cursor is true only when all of them have been read.
        cursor = encode_tail(follower.vector)
        yield Chunk(tuple(map(FollowedLine, page.lines[::-1])), cursor)
        if page.next and page.ended in PARTIAL:
            yield Partial(PARTIAL[page.ended], encode_page(page.next), cursor)
        async for event in _taken(hub, follower):
            yield event


async def _taken(hub: Hub, follower: Follower) -> AsyncIterator[Event]:
    while True:
        event = await follower.take(hub.settings.heartbeat) or Heartbeat(hub.cursor if follower.idle else "")
        yield event
        if isinstance(event, Ending):
            return


def _distance(start: Vector, end: Vector) -> int:
    return sum(max(0, offset - start.get(place, 0)) for place, offset in end.items())
