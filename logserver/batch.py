"""A batch of documents as it grows, and as it is handed on: pure, bounded by rows, bytes and age.

A batch holds contiguous spans of several partitions of several topics. Documents arrive per partition in offset order;
a partition's span runs from its first document to behind its last, also over offsets Kafka no longer has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pyarrow as pa

from logserver.decode import DOCUMENT_SCHEMA
from logserver.record import MILLISECONDS, Span, TopicPartition
from milepost.units import Bytes, Seconds

_COLUMN_BYTES_MAX = 2**31 - 1  # of Arrow's type `binary`


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents of one partition, in offset order and as columns; a missing value or key is empty; `bytes` of values.

    Values and keys stay the objects they came as: they are copied once, into the table of the batch.
    """

    values: list[bytes]
    keys: list[bytes]
    offsets: pa.UInt64Array
    timestamps_ms: pa.Int64Array
    next_offset: int
    bytes: int


class Space:
    """Memory for the values of one batch after the other: what is new to the process costs four times the copying."""

    def __init__(self) -> None:
        self._memory = bytearray()

    def column(self, values: list[bytes]) -> pa.BinaryArray:
        """Return the values as a column that lasts until the next call.

        https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-layout
        """
        ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
        size = int(ends[-1]) if values else 0
        if size > _COLUMN_BYTES_MAX:
            raise AssertionError(f"a batch of {size} bytes: ingest.batch_bytes_max is far beyond its use")
        if size > len(self._memory):
            self._memory = bytearray(size)
        memory = memoryview(self._memory)
        begin = 0
        for value, end in zip(values, ends.tolist(), strict=True):
            memory[begin:end] = value
            begin = end
        offsets = np.concatenate([np.zeros(1, np.int32), ends.astype(np.int32)])
        return pa.Array.from_buffers(pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(memory)])


@dataclass(frozen=True, slots=True)
class Extent:
    """What a batch covers: all that is kept of it once its documents are decoded."""

    spans: dict[TopicPartition, Span]
    rows: int
    topic_bytes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents to be stored together."""

    parts: list[tuple[TopicPartition, Documents]]
    extent: Extent

    def table(self, space: Space) -> pa.Table:
        """Return a table of DOCUMENT_SCHEMA, each column in one chunk; it lasts until the next one is made in `space`.

        One chunk, since the engine begins anew at every chunk, and that costs as much as hundreds of rows.
        Asked for once: the parts go, lest the documents be held twice while they are decoded.
        """
        table = _table(self.parts, space)
        self.parts.clear()
        return table


@dataclass(slots=True)
class BatchBuilder:
    """Collects documents until `full` or `expired`; `take` returns the batch and starts the next."""

    rows_max: int
    bytes_max: Bytes
    age_max: Seconds
    rows: int = 0
    bytes: int = 0
    _started_s: float = 0.0
    _parts: list[tuple[TopicPartition, Documents]] = field(default_factory=list)

    def add(self, partition: TopicPartition, documents: Documents, *, now_s: float) -> None:
        """Add documents that follow what was added for the partition before; `now_s` is a monotonic clock."""
        if not len(documents.offsets):
            return
        if not self._parts:
            self._started_s = now_s
        self._parts.append((partition, documents))
        self.rows += len(documents.offsets)
        self.bytes += documents.bytes

    @property
    def full(self) -> bool:
        """Whether the batch has reached its rows or bytes."""
        return self.rows >= self.rows_max or self.bytes >= self.bytes_max

    def age_left_s(self, now_s: float) -> float:
        """Return how long the batch may still wait: `age_max` while it is empty, 0 when it must go."""
        return max(0.0, self._started_s + self.age_max - now_s) if self._parts else self.age_max

    def discard(self) -> None:
        """Forget the documents: their partitions are no longer ours."""
        self._parts, self.rows, self.bytes = [], 0, 0

    def take(self) -> Batch:
        """Return the batch and start an empty one."""
        batch = Batch(self._parts, Extent(_spans(self._parts), self.rows, _topic_bytes(self._parts)))
        self.discard()
        return batch


def _spans(parts: list[tuple[TopicPartition, Documents]]) -> dict[TopicPartition, Span]:
    spans: dict[TopicPartition, Span] = {}
    for partition, documents in parts:
        first = spans[partition].from_offset if partition in spans else documents.offsets[0].as_py()
        spans[partition] = Span(first, documents.next_offset)
    return spans


def _topic_bytes(parts: list[tuple[TopicPartition, Documents]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for partition, documents in parts:
        sizes[partition.topic] = sizes.get(partition.topic, 0) + documents.bytes
    return sizes


def _table(parts: list[tuple[TopicPartition, Documents]], space: Space) -> pa.Table:
    topics = sorted({partition.topic for partition, _ in parts})
    codes = np.repeat([topics.index(tp.topic) for tp, _ in parts], [len(docs.offsets) for _, docs in parts])
    partitions = np.repeat([tp.partition for tp, _ in parts], [len(docs.offsets) for _, docs in parts])
    columns = [
        space.column(list(chain.from_iterable(docs.values for _, docs in parts))),
        pa.array(list(chain.from_iterable(docs.keys for _, docs in parts)), pa.binary()),
        pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(topics, pa.string())),
        pa.array(partitions.astype(np.uint32)),
        pa.concat_arrays([docs.offsets for _, docs in parts]),
        pa.concat_arrays([docs.timestamps_ms for _, docs in parts]).cast(MILLISECONDS),
    ]
    return pa.table(columns, schema=DOCUMENT_SCHEMA)
