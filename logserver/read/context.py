"""The lines around a line: by file order, then on into the container's neighbouring files.

File order is exact where time is not: lines of one millisecond keep their order, other containers do not mix in. A
rotated file ends; the lines before or after it are those of the same container in the total order.
"""

from __future__ import annotations

from logserver.query import LINE_COLUMNS, Direction, Statement, add_cursor, add_time, order
from logserver.query.cursor import PageCursor
from logserver.read.lines import Line, collapse, lines_of
from logserver.read.reader import Reader
from logserver.times import TimeRange


async def read_context(reader: Reader, place: PageCursor, *, before: int, after: int) -> list[Line]:
    """Return up to `before` lines, the line at `place`, and up to `after` lines; [] when there is no such line."""
    found = await _line(reader, place)
    if found is None:
        return []
    earlier = await _side(reader, found, "backward", before)
    later = await _side(reader, found, "forward", after)
    return [*earlier[::-1], found, *later]


async def _line(reader: Reader, place: PageCursor) -> Line | None:
    statement = Statement()
    add_time(statement, TimeRange(place.ts_ns, place.ts_ns + 1))
    statement.add(f"file_id = {statement.bind('UInt64', place.file_id)}")
    statement.add(f"file_offset = {statement.bind('UInt64', place.file_offset)}")
    lines = await _lines(reader, statement, "LIMIT 1")
    return lines[0] if lines else None


async def _side(reader: Reader, middle: Line, direction: Direction, count: int) -> list[Line]:
    """Return lines on one side of a line, the nearest first."""
    if count == 0:
        return []
    sign, way = ("<", "DESC") if direction == "backward" else (">", "ASC")
    in_file = _same_container(middle)
    in_file.add(f"file_id = {in_file.bind('UInt64', middle.file_id)}")
    in_file.add(f"file_offset {sign} {in_file.bind('UInt64', middle.file_offset)}")
    rows = in_file.bind("UInt64", 2 * count)
    lines = collapse(await _lines(reader, in_file, f"ORDER BY file_offset {way}, ts {way} LIMIT {rows}"))[:count]
    if len(lines) == count:
        return lines
    edge = lines[-1] if lines else middle
    beyond = _same_container(middle)
    beyond.add(f"file_id != {beyond.bind('UInt64', middle.file_id)}")
    add_cursor(beyond, edge.place, direction)
    rows = beyond.bind("UInt64", 2 * count)
    lines += collapse(await _lines(reader, beyond, f"{order(direction)} LIMIT {rows}"))
    return lines[:count]


def _same_container(line: Line) -> Statement:
    statement = Statement()
    for column in ("namespace", "pod", "container"):
        statement.add(f"{column} = {statement.bind('String', getattr(line, column))}")
    return statement


async def _lines(reader: Reader, statement: Statement, ending: str) -> list[Line]:
    sql = f"SELECT {LINE_COLUMNS} FROM lines {statement.where} {ending}"  # noqa: S608 (names of ours, values bound)
    return lines_of(await reader.rows(sql, statement.params))
