"""One page of lines in the total order: the newest before a place, or the oldest after one.

Pages are exact: the cursor is the place of the last line, so equal timestamps and lines that arrive meanwhile neither
repeat nor hide a line. What ends a page early (time, memory) is said in `Page.ended`, and `Page.next` goes on from
there: nothing is silently partial.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from logserver.errors import QueryTimeout, QueryTooLarge
from logserver.query import Direction, page
from logserver.query.cursor import PageCursor
from logserver.query.filters import Selection
from logserver.query.windows import Windows, first_length_ns
from logserver.read.lines import Line, collapse, lines_of
from logserver.read.reader import Reader, RequestDeadline
from logserver.times import NS, TimeRange

Ended = Literal["range", "limit", "time", "memory"]

PARTIAL: Mapping[Ended, str] = {
    "time": "the time limit (query.time_max) passed before the whole range was searched",
    "memory": "the memory limit (query.memory_max) ended this page early",
}
"""What is to be said of a page that ends before its limit and its range."""

_U64_MAX = 2**64 - 1
_DAY_NS = 86_400 * NS


@dataclass(frozen=True, slots=True)
class Page:
    """Lines in the order asked for. `next` continues after them; None when the range holds no more."""

    lines: list[Line]
    next: PageCursor | None
    ended: Ended
    """Why the page ends: the range does, the limit is reached, or the time or the memory of a query is."""


async def read_page(
    reader: Reader,
    selection: Selection,
    whole: TimeRange,
    *,
    cursor: PageCursor | None,
    direction: Direction,
    limit: int,
    deadline: RequestDeadline,
) -> Page:
    """Return up to `limit` lines after `cursor`; raises QueryTimeout when the time passed before anything was searched.

    Other errors are those of `Reader.rows`.
    """
    if selection.namespaces == ():
        return Page([], None, "range")
    windows = await plan(reader, selection, _after_cursor(whole, cursor, direction), direction)
    search = _Search(reader, selection, direction, limit, deadline, cursor)
    searched = False
    while not windows.done:
        window = windows.next()
        started = time.perf_counter()
        try:
            await search.go_through(window, small=not searched)
        except QueryTimeout:
            if not searched and not search.lines:
                raise
            return Page(search.lines, _later(search.after, _edge(window, direction), direction), "time")
        except QueryTooLarge:
            if not search.lines:
                raise
            return Page(search.lines, search.after, "memory")
        if len(search.lines) > limit:
            kept = search.lines[:limit]
            return Page(kept, kept[-1].place if kept else cursor, "limit")
        if search.full:
            return Page(search.lines, search.after, "memory")
        searched = True
        windows.took(time.perf_counter() - started)
    return Page(search.lines, None, "range")


async def plan(reader: Reader, selection: Selection, whole: TimeRange, direction: Direction) -> Windows:
    """Return the windows in which to look for lines of a range."""
    oldest, newest = await reader.days()
    newest_ns = min(time.time_ns() + NS, (newest + 1) * _DAY_NS)
    return Windows(whole, direction, first_length_ns(selection), oldest * _DAY_NS, max(newest_ns, oldest * _DAY_NS))


@dataclass(slots=True)
class _Search:
    """The lines found so far, and the place after which to go on."""

    reader: Reader
    selection: Selection
    direction: Direction
    limit: int
    deadline: RequestDeadline
    after: PageCursor | None
    lines: list[Line] = field(default_factory=list)
    chars: int = 0
    """Of the messages of the lines."""

    async def go_through(self, window: TimeRange, *, small: bool) -> None:
        """Add the lines of a window until there is one more than the limit, they are full, or it holds no more."""

        def query(rows_max: int) -> tuple[str, dict[str, object]]:
            return page(self.selection, window, cursor=self.after, direction=self.direction, limit=rows_max)

        more = True
        while more and len(self.lines) <= self.limit and not self.full:
            wanted = self.limit + 1 - len(self.lines)
            rows, more = await self.reader.rows_up_to(wanted, query, deadline=self.deadline, small=small)
            found = lines_of(rows)
            self.lines += collapse(found, self.after)
            self.chars += sum(len(line.message) for line in found)
            if found:
                self.after = found[-1].place

    @property
    def full(self) -> bool:
        """Whether the lines take what a result may: a page is held in memory while it is written."""
        return self.chars >= self.reader.result_bytes_max


def _after_cursor(whole: TimeRange, cursor: PageCursor | None, direction: Direction) -> TimeRange:
    if cursor is None:
        return whole
    if direction == "backward":
        return TimeRange(whole.start_ns, max(whole.start_ns, min(whole.end_ns, cursor.ts_ns + 1)))
    return TimeRange(min(whole.end_ns, max(whole.start_ns, cursor.ts_ns)), whole.end_ns)


def _edge(window: TimeRange, direction: Direction) -> PageCursor:
    """Return the place after which nothing of the window has been searched."""
    if direction == "backward":
        return PageCursor(window.end_ns, 0, 0)
    return PageCursor(window.start_ns - 1, _U64_MAX, _U64_MAX)


def _later(found: PageCursor | None, edge: PageCursor, direction: Direction) -> PageCursor:
    """Return the one of two places that is further on."""
    if found is None:
        return edge
    return min(found, edge) if direction == "backward" else max(found, edge)
