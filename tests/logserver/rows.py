"""Rows of `lines` for tests: every column has a default, so a test names only what it is about."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from logserver.decode.origin import origin_text
from logserver.engines.embedded import EmbeddedStore
from logserver.record import LINE_SCHEMA, ORIGIN_FIELDS, POSITION_SCHEMA, Span, StoredBatch, TopicPartition
from logserver.schema import Dialect, migrate
from logserver.store import Store

BASE_NS = 1_772_615_727_000_000_000
"""2026-03-04T09:15:27Z."""

_DEFAULTS: dict[str, Any] = {
    "ts": BASE_NS,
    "namespace": "models",
    "model": "iris",
    "predictor": "default",
    "pod": "iris-default-0-x2m7k",
    "container": "classifier",
    "node": "node-a1",
    "stream": "stdout",
    "level": "info",
    "message": "hello",
    "trace_id": "",
    "labels": '{"app":"iris"}',
    "flags": "",
    "container_id": "9f0c",
    "file_path": "/var/log/containers/iris.log",
    "file_id": 7,
    "file_offset": 0,
    "topic": "logs",
    "partition": 0,
    "offset": 0,
    "appended_at": 0,
    "indexed_at": 0,
    "keep_days": 7,
}


def line_rows(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Return lines; a row without `offset` or `file_offset` gets its place in the list."""
    full = [{"offset": place, "file_offset": place * 10, **row} for place, row in enumerate(rows)]
    columns = {name: [row.get(name, default) for row in full] for name, default in _DEFAULTS.items()}
    columns["day"] = [
        datetime.date(1970, 1, 1) + datetime.timedelta(days=ts // 86_400_000_000_000) for ts in columns["ts"]
    ]
    columns["origin"] = [origin_text(names) for names in zip(*(columns[name] for name in ORIGIN_FIELDS), strict=True)]
    return pa.table(
        {field.name: pa.array(columns[field.name]).cast(field.type) for field in LINE_SCHEMA}, schema=LINE_SCHEMA
    )


def stored_batch(lines: pa.Table) -> StoredBatch:
    """Return what the write side hands to followers for these lines: contiguous spans up to the last offset."""
    spans: dict[TopicPartition, Span] = {}
    rows = lines.select(["topic", "partition", "offset"]).to_pylist()
    for row in rows:
        place = TopicPartition(row["topic"], row["partition"])
        old = spans.get(place, Span(row["offset"], row["offset"] + 1))
        spans[place] = Span(min(old.from_offset, row["offset"]), max(old.next_offset, row["offset"] + 1))
    return StoredBatch(lines, spans)


def write_positions(store: Store, vector: dict[TopicPartition, int], seq: int) -> None:
    """Write where consumption resumes, as the write side does after the lines."""
    store.insert(
        "positions",
        pa.table(
            {
                "topic": pa.array([place.topic for place in vector]).dictionary_encode(),
                "partition": pa.array([place.partition for place in vector], pa.uint32()),
                "next_offset": pa.array(list(vector.values()), pa.uint64()),
                "epoch": pa.array([1] * len(vector), pa.uint64()),
                "seq": pa.array([seq] * len(vector), pa.uint64()),
                "updated_at": pa.array([0] * len(vector), pa.timestamp("ms", "UTC")),
            },
            schema=POSITION_SCHEMA,
        ),
    )


@contextmanager
def opened_store(directory: Path, sessions: int = 4) -> Iterator[EmbeddedStore]:
    """Return a store on chDB with the schema in place."""
    store = EmbeddedStore(directory, sessions=sessions)
    migrate(store, Dialect())
    try:
        yield store
    finally:
        store.close()
