"""Counts of lines: over time, by value, by field. None of them reads the message unless a text filter asks for it.

A line that two replicas stored at the same moment counts twice until a background merge has collapsed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from logserver.errors import Rejected
from logserver.query import conditions
from logserver.query.filters import STREAM_FIELDS, Selection
from logserver.read.lines import values_of
from logserver.read.reader import Reader
from logserver.times import EARLIEST_NS, LATEST_NS, NS, TimeRange

_FEW_VALUES = frozenset(("namespace", "stream", "level"))
"""Fields with so few values that an array of all bars for each costs no memory."""
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


class TooManyBuckets(Rejected):
    """The step makes more bars than `query.buckets_max`."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by value for each bar; bars are `step_ns` long and begin at multiples of it."""

    range: TimeRange | None
    step_ns: int
    bars: list[tuple[int, dict[str, int]]]


async def read_histogram(
    reader: Reader, selection: Selection, whole: TimeRange, *, by: str, buckets: int, step_ns: int | None
) -> Histogram:
    """Return the histogram of a range; an open end is where the selected lines begin or end.

    Raises TooManyBuckets.
    """
    assert by in STREAM_FIELDS
    bounds = await _bounds(reader, selection, whole)
    if bounds is None:
        return Histogram(None, step_ns or NS, [])
    step = step_ns or nice_step_ns(bounds, buckets)
    first, last = bounds.start_ns // step, (bounds.end_ns - 1) // step
    if last - first >= reader.settings.buckets_max:
        raise TooManyBuckets(
            f"{last - first + 1} bars are more than {reader.settings.buckets_max}, the bound of query.buckets_max"
        )
    bars: list[tuple[int, dict[str, int]]] = [(number * step, {}) for number in range(first, last + 1)]
    for number, value, lines in await _counted(reader, selection, bounds, by=by, step=step, bars=len(bars)):
        if lines:
            bars[number][1][value] = lines
    return Histogram(bounds, step, bars)


async def _counted(
    reader: Reader, selection: Selection, bounds: TimeRange, *, by: str, step: int, bars: int
) -> Iterator[tuple[int, str, int]]:
    """Return (bar, value, lines); some lines may be 0."""
    statement = conditions(selection, bounds)
    width, origin = statement.bind("Int64", step), statement.bind("Int64", bounds.start_ns // step * step)
    bar = f"toUInt64(intDiv(toUnixTimestamp64Nano(ts) - {origin}, {width}))"
    if by in _FEW_VALUES:
        # Grouping by one name and counting into an array takes half the time of grouping by name and bar.
        counts = f"countResample(0, {bars}, 1)({bar})"
        sql = f"SELECT {by} AS value, {counts} AS counts FROM lines {statement.where} GROUP BY value"  # noqa: S608
        rows = await reader.rows(sql, statement.params)
        return (
            (number, str(value), lines)
            for value, counts in _tuples(rows, "value", "counts")
            for number, lines in enumerate(counts)
        )
    sql = f"SELECT {bar} AS bar, {by} AS value, count() AS lines FROM lines {statement.where} GROUP BY bar, value"  # noqa: S608
    rows = await reader.rows(sql, statement.params)
    return ((number, str(value), lines) for number, value, lines in _tuples(rows, "bar", "value", "lines"))


def nice_step_ns(bounds: TimeRange, buckets: int) -> int:
    """Return the shortest usual length of a bar that needs at most `buckets` bars."""
    exact_s = (bounds.end_ns - bounds.start_ns) / NS / buckets
    return next((step for step in _STEPS_S if step >= exact_s), (int(exact_s) // 86400 + 1) * 86400) * NS


async def count_values(
    reader: Reader, selection: Selection, whole: TimeRange, *, field: str, prefix: str = "", limit: int
) -> list[tuple[str, int]]:
    """Return the most frequent values of a field that begin with `prefix`, and their lines."""
    assert field in STREAM_FIELDS
    statement = conditions(selection, whole)
    if prefix:
        statement.add(f"startsWith({field}, {statement.bind('String', prefix)})")
    most = statement.bind("UInt64", limit)
    sql = (
        f"SELECT {field} AS value, count() AS lines FROM lines {statement.where} "  # noqa: S608
        f"GROUP BY value ORDER BY lines DESC, value LIMIT {most}"
    )
    rows = await reader.rows(sql, statement.params)
    return [(str(value), int(str(lines))) for value, lines in _tuples(rows, "value", "lines")]


async def count_fields(reader: Reader, selection: Selection, whole: TimeRange) -> tuple[int, Mapping[str, int]]:
    """Return the lines of a selection and how many values each field has there."""
    statement = conditions(selection, whole)
    counted = ", ".join(f"uniq({name}) AS {name}_values" for name in STREAM_FIELDS)
    sql = f"SELECT count() AS lines, {counted} FROM lines {statement.where}"  # noqa: S608
    [row] = (await reader.rows(sql, statement.params)).to_pylist()
    return row["lines"], {name: row[f"{name}_values"] for name in STREAM_FIELDS}


async def span(reader: Reader, selection: Selection, whole: TimeRange) -> tuple[int, int, int] | None:
    """Return (lines, first ts, last ts in nanoseconds), None when there is no line."""
    statement = conditions(selection, whole)
    sql = (
        "SELECT count() AS lines, toUnixTimestamp64Nano(min(ts)) AS first, toUnixTimestamp64Nano(max(ts)) AS last "  # noqa: S608
        f"FROM lines {statement.where}"
    )
    [row] = (await reader.rows(sql, statement.params)).to_pylist()
    return (row["lines"], row["first"], row["last"]) if row["lines"] else None


async def _bounds(reader: Reader, selection: Selection, whole: TimeRange) -> TimeRange | None:
    if whole.start_ns > EARLIEST_NS and whole.end_ns < LATEST_NS:
        return whole if whole.start_ns < whole.end_ns else None
    found = await span(reader, selection, whole)
    if found is None:
        return None
    _, first, last = found
    return TimeRange(
        whole.start_ns if whole.start_ns > EARLIEST_NS else first,
        whole.end_ns if whole.end_ns < LATEST_NS else last + 1,
    )


def _tuples(rows: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    if not rows.num_rows:
        return []
    return list(zip(*(values_of(rows.column(name)) for name in names), strict=True))
