"""Pages are exact: every stored line once, in the total order, whatever the timestamps and whatever arrives."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from logserver.engines.embedded import EmbeddedStore
from logserver.errors import QueryTimeout
from logserver.query import Direction
from logserver.query.cursor import PageCursor
from logserver.query.filters import Selection, select
from logserver.query.windows import Windows
from logserver.read.lines import Line
from logserver.read.pages import Page, read_page
from logserver.read.reader import Reader, RequestDeadline
from logserver.times import EARLIEST_NS, LATEST_NS, NS, TimeRange
from tests.logserver.rows import BASE_NS, line_rows


async def one_page(reader: Reader, cursor: PageCursor | None = None, **options: Any) -> Page:
    defaults: dict[str, Any] = {"direction": "backward", "limit": 100, "deadline": RequestDeadline(30)}
    selection, whole = options.pop("selection", Selection()), options.pop("whole", TimeRange())
    return await read_page(reader, selection, whole, cursor=cursor, **{**defaults, **options})


async def all_pages(reader: Reader, **options: Any) -> list[Line]:
    lines: list[Line] = []
    cursor = None
    while True:
        page = await one_page(reader, cursor, **options)
        lines += page.lines
        if page.next is None:
            return lines
        cursor = page.next


@pytest.mark.parametrize("direction", ["backward", "forward"])
async def test_paging_is_exact_with_thousands_of_equal_timestamps(
    lines_store: EmbeddedStore, reader: Reader, direction: Direction
) -> None:
    rows = [{"ts": BASE_NS + (number % 3), "file_id": number % 5} for number in range(4000)]
    random.Random(1).shuffle(rows)
    lines_store.insert("lines", line_rows(rows))
    lines = await all_pages(reader, direction=direction, limit=333)
    places = [line.place for line in lines]
    assert len(places) == 4000
    assert places == sorted(set(places), reverse=direction == "backward")


async def test_lines_that_arrive_meanwhile_neither_repeat_nor_hide_a_line(
    lines_store: EmbeddedStore, reader: Reader
) -> None:
    lines_store.insert("lines", line_rows({"ts": BASE_NS + number} for number in range(300)))
    seen, cursor = [], None
    for turn in range(100):
        page = await one_page(reader, cursor, limit=50)
        seen += [line.offset for line in page.lines]
        cursor = page.next
        if cursor is None:
            break
        late = [{"ts": BASE_NS + number, "offset": 1000 + turn, "file_id": 9} for number in (turn * 31, 10**9 + turn)]
        lines_store.insert("lines", line_rows(late))
    old = [offset for offset in seen if offset < 1000]
    assert old == list(range(299, -1, -1))
    assert len(seen) == len(set(seen))


async def test_a_line_stored_twice_is_shown_once_also_across_pages(lines_store: EmbeddedStore, reader: Reader) -> None:
    lines_store.execute("SYSTEM STOP MERGES lines")
    try:
        for offset in (0, 5000, 9000):  # the same lines, resent to other positions
            rows = [{"ts": BASE_NS + n, "offset": offset + n, "file_offset": n, "partition": offset} for n in range(50)]
            lines_store.insert("lines", line_rows(rows))
        for limit in (1, 7, 49, 50, 51):
            lines = await all_pages(reader, limit=limit)
            assert [line.file_offset for line in lines] == list(range(49, -1, -1))
    finally:
        lines_store.execute("SYSTEM START MERGES lines")


async def test_times_far_in_the_past_and_the_future_are_found(lines_store: EmbeddedStore, reader: Reader) -> None:
    times = [0, BASE_NS - 400 * 86400 * NS, BASE_NS, 4_000_000_000 * NS]
    lines_store.insert("lines", line_rows({"ts": ts, "message": str(ts)} for ts in times))
    assert [line.ts_ns for line in await all_pages(reader, limit=1)] == times[::-1]
    assert [line.ts_ns for line in await all_pages(reader, limit=1, direction="forward")] == times
    bounded = await one_page(reader, whole=TimeRange(0, BASE_NS))
    assert [line.ts_ns for line in bounded.lines] == times[1::-1]


async def test_an_empty_store_has_an_empty_page(reader: Reader) -> None:
    assert await one_page(reader) == Page([], None, "range")


async def test_a_limit_that_is_met_exactly_leaves_no_next_page(lines_store: EmbeddedStore, reader: Reader) -> None:
    lines_store.insert("lines", line_rows([{}, {}, {}]))
    page = await one_page(reader, limit=3)
    assert (len(page.lines), page.next, page.ended) == (3, None, "range")
    page = await one_page(reader, limit=2)
    assert (len(page.lines), page.ended) == (2, "limit")


async def test_a_caller_without_any_namespace_sees_nothing(lines_store: EmbeddedStore, reader: Reader) -> None:
    lines_store.insert("lines", line_rows([{}]))
    assert (await one_page(reader, selection=Selection(namespaces=()))).lines == []
    assert len((await one_page(reader, selection=Selection(namespaces=("models",)))).lines) == 1


async def test_a_page_out_of_time_says_where_to_go_on(lines_store: EmbeddedStore, reader: Reader) -> None:
    lines_store.insert("lines", line_rows({"ts": BASE_NS - number * 86400 * NS} for number in range(3)))

    class OutOfTime(RequestDeadline):
        calls = 0

        def left_s(self) -> float:
            self.calls += 1
            return 30.0 if self.calls <= 3 else 0.0

    page = await one_page(reader, deadline=OutOfTime(30), selection=select([("level", ["info"])]))
    assert page.ended == "time"
    assert page.next is not None
    rest = await one_page(reader, page.next, selection=select([("level", ["info"])]))
    assert [line.offset for line in page.lines + rest.lines] == [0, 1, 2]
    with pytest.raises(QueryTimeout, match=r"query\.time_max"):
        await one_page(reader, deadline=RequestDeadline(0))


@pytest.mark.parametrize("direction", ["backward", "forward"])
@pytest.mark.parametrize("seconds", [0.001, 0.1, 5.0])
def test_windows_cover_a_range_without_gap_or_overlap(direction: Direction, seconds: float) -> None:
    for whole in (TimeRange(), TimeRange(BASE_NS, BASE_NS + 1), TimeRange(BASE_NS - 10**18, BASE_NS + 10**16)):
        windows = Windows(whole, direction, 15 * NS, BASE_NS - 10**16, BASE_NS)
        found = []
        while not windows.done:
            found.append(windows.next())
            windows.took(seconds)
        ordered = found if direction == "forward" else found[::-1]
        assert (ordered[0].start_ns, ordered[-1].end_ns) == (whole.start_ns, whole.end_ns)
        assert all(one.end_ns == after.start_ns for one, after in pairwise(ordered))
        assert all(one.start_ns < one.end_ns for one in ordered)
        assert len(found) < 20
    assert EARLIEST_NS < 0 < LATEST_NS
