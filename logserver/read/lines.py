"""Rows of the store as lines that can be written out.

A `Line` holds a row's values as Python objects; its place in the total order is its id. Names come as Arrow
dictionaries, so a name is decoded once per batch. Bytes that are not UTF-8 are shown as U+FFFD: the store keeps them,
JSON cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from logserver.query.cursor import PageCursor, encode_page
from logserver.record import ORIGIN_FIELDS
from logserver.times import format_ns

_NO_LABELS = msgspec.Raw(b"{}")


class Line(msgspec.Struct, frozen=True, gc=False):
    """One stored line: `ts`, the names of ORIGIN_FIELDS, then the other columns of `query.LINE_COLUMNS`."""

    ts_ns: int
    namespace: str
    model: str
    predictor: str
    pod: str
    container: str
    node: str
    labels: str
    container_id: str
    file_path: str
    stream: str
    level: str
    message: str
    trace_id: str
    flags: str
    file_id: int
    file_offset: int
    topic: str
    partition: int
    offset: int

    @property
    def place(self) -> PageCursor:
        """The line's place in the total order; equal for rows that are the same line."""
        return PageCursor(self.ts_ns, self.file_id, self.file_offset)


class WireLine(msgspec.Struct, frozen=True, gc=False):
    """A line as JSON: `id` is its page cursor, `ts` RFC 3339 with nanoseconds, `labels` an object."""

    id: str
    ts: str
    namespace: str
    model: str
    predictor: str
    pod: str
    container: str
    node: str
    stream: str
    level: str
    message: str
    trace_id: str
    labels: msgspec.Raw
    flags: list[str]
    container_id: str
    file: str
    file_offset: int
    topic: str
    partition: int
    offset: int


_encode = msgspec.json.Encoder().encode
_ORIGIN = msgspec.json.Decoder(tuple[str, ...])
_OTHERS = Line.__struct_fields__[1 + len(ORIGIN_FIELDS) :]


def json_line(line: Line) -> bytes:
    """Return the line as one JSON object."""
    return _encode(
        WireLine(
            encode_page(line.place),
            format_ns(line.ts_ns),
            line.namespace,
            line.model,
            line.predictor,
            line.pod,
            line.container,
            line.node,
            line.stream,
            line.level,
            line.message,
            line.trace_id,
            msgspec.Raw(line.labels.encode()) if line.labels else _NO_LABELS,
            line.flags.split(",") if line.flags else [],
            line.container_id,
            line.file_path,
            line.file_offset,
            line.topic,
            line.partition,
            line.offset,
        )
    )


def lines_of(rows: pa.Table | pa.RecordBatch) -> list[Line]:
    """Return the lines of rows that have (at least) the columns of LINE_COLUMNS."""
    if not rows.num_rows:
        return []
    times = rows.column("ts").cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_pylist()
    others = [values_of(rows.column(name)) for name in _OTHERS]
    origins = _origins(rows.column("origin"))
    return [Line(ts, *names, *rest) for ts, names, *rest in zip(times, origins, *others, strict=True)]


def collapse(lines: Iterable[Line], after: PageCursor | None = None) -> list[Line]:
    """Drop rows that repeat the line before them, the first also when it repeats `after`; lines come in order."""
    kept: list[Line] = []
    last = after
    for line in lines:
        if line.place != last:
            kept.append(line)
            last = line.place
    return kept


def _origins(column: pa.Array | pa.ChunkedArray) -> list[tuple[Any, ...]]:
    """Return the names of ORIGIN_FIELDS of each row; those of one origin are the same objects."""
    texts = [str(text) for text in values_of(column)]
    known = {text: _ORIGIN.decode(text) for text in set(texts)}
    return [known[text] for text in texts]


def values_of(column: pa.Array | pa.ChunkedArray) -> Sequence[object]:
    """Return a column's values as Python objects; text is decoded, names once each, null is the empty text."""
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in values_of(chunk)]
    if pa.types.is_dictionary(column.type):
        names = values_of(column.dictionary)
        return ["" if code is None else names[code] for code in column.indices.to_pylist()]
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        return [(raw or b"").decode(errors="replace") for raw in column.view(pa.binary()).to_pylist()]
    values: list[object] = column.to_pylist()
    return values
