"""A batch of documents as it grows, and as it is handed on: pure, bounded by rows, bytes and age.

A batch holds contiguous spans of several partitions of several topics. Documents arrive per partition in offset order;
a partition's span runs from its first document to behind its last, also over offsets Kafka no longer has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from logserver.decode import DOCUMENT_SCHEMA
from logserver.record import MILLISECONDS, Span, TopicPartition
from milepost.units import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents of one partition, in offset order and as columns; values and keys may be missing; `bytes` of values."""

    values: pa.BinaryArray
    keys: pa.BinaryArray
    offsets: pa.UInt64Array
    timestamps_ms: pa.Int64Array
    next_offset: int
    bytes: int


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

    def table(self) -> pa.Table:
        """Return a table of DOCUMENT_SCHEMA, each column in one chunk.

        The values are copied for it: the engine begins anew at every chunk, and that costs as much as hundreds of rows.
        Asked for once: the parts go, lest the documents be held twice while they are decoded.
        """
        table = _table(self.parts)
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


def _table(parts: list[tuple[TopicPartition, Documents]]) -> pa.Table:
    topics = sorted({partition.topic for partition, _ in parts})
    codes = np.repeat([topics.index(tp.topic) for tp, _ in parts], [len(docs.offsets) for _, docs in parts])
    partitions = np.repeat([tp.partition for tp, _ in parts], [len(docs.offsets) for _, docs in parts])
    columns = [
        pa.concat_arrays([docs.values for _, docs in parts]),
        pa.concat_arrays([docs.keys for _, docs in parts]),
        pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(topics, pa.string())),
        pa.array(partitions.astype(np.uint32)),
        pa.concat_arrays([docs.offsets for _, docs in parts]),
        pa.concat_arrays([docs.timestamps_ms for _, docs in parts]).cast(MILLISECONDS),
    ]
    return pa.table(columns, schema=DOCUMENT_SCHEMA)
