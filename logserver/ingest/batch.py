"""A batch of documents as it grows, and as it is handed on: pure, bounded by rows, bytes and age.

A batch holds contiguous spans of several partitions of several topics. Documents arrive per partition in offset order;
a partition's span runs from its first document to behind its last, also over offsets Kafka no longer has.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from logserver.decode import DOCUMENT_SCHEMA
from logserver.decode.views import MEMORY_BYTES_MAX, Numbers, view_column
from logserver.record import MILLISECONDS, Span, TopicPartition
from milepost.units import Bytes, Seconds

_SPACE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents of one partition, in offset order and as columns; a missing value or key is empty.

    Their values lie in the Space they were read into, from `begins` on and of `sizes` bytes.
    """

    begins: Numbers
    sizes: Numbers
    keys: pa.BinaryArray
    offsets: pa.UInt64Array
    timestamps_ms: pa.Int64Array
    next_offset: int

    @property
    def bytes(self) -> int:
        """The bytes of all values."""
        return int(self.sizes.sum())

    @property
    def end(self) -> int:
        """Where the last value ends; there is one."""
        return int(self.begins[-1] + self.sizes[-1])


class Space:
    """Memory for what one batch is made of, as it was decompressed; the documents are views into it.

    It is used again for a later batch: what is new to the process costs four times the copying.
    """

    def __init__(self) -> None:
        self.memory = np.empty(_SPACE_BYTES, np.uint8).data  # not cleared, as a bytearray would be
        self.used = 0

    def grow(self, kept: int) -> None:
        """Double the memory and keep its first bytes; raises MemoryError at what views can reach."""
        if len(self.memory) >= MEMORY_BYTES_MAX:
            raise MemoryError(f"a batch takes more than {MEMORY_BYTES_MAX} bytes (ingest.batch_bytes_max)")
        memory = np.empty(min(2 * len(self.memory), MEMORY_BYTES_MAX), np.uint8).data
        memory[:kept] = self.memory[:kept]
        self.memory = memory


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
    space: Space
    extent: Extent

    def table(self) -> pa.Table:
        """Return a table of DOCUMENT_SCHEMA, each column in one chunk; it lasts until the space is used again.

        One chunk, since the engine begins anew at every chunk, and that costs as much as hundreds of rows.
        """
        return _table(self.parts, self.space)


@dataclass(slots=True)
class BatchBuilder:
    """Collects documents until `full` or `expired`; `take` returns the batch and starts the next."""

    rows_max: int
    bytes_max: Bytes
    age_max: Seconds
    rows: int = 0
    bytes: int = 0
    _space: Space | None = None
    _spare: deque[Space] = field(default_factory=deque)
    _started_s: float = 0.0
    _parts: list[tuple[TopicPartition, Documents]] = field(default_factory=list)

    def space(self) -> Space:
        """Return where the values of the documents to be added next are read into."""
        if self._space is None:
            self._space = self._spare.pop() if self._spare else Space()
        # What else was read since was not wanted, or not whole.
        self._space.used = self._parts[-1][1].end if self._parts else 0
        return self._space

    def add(self, partition: TopicPartition, documents: Documents, *, now_s: float) -> None:
        """Add documents that follow what was added for the partition before; `now_s` is a monotonic clock.

        Their values were read into `space()`, behind those of what was added before.
        """
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
        extent = Extent(_spans(self._parts), self.rows, _topic_bytes(self._parts))
        batch = Batch(self._parts, self.space(), extent)
        self._space = None
        self.discard()
        return batch

    def reuse(self, space: Space) -> None:
        """Take back the space of a batch whose table is of no more use; callable from any thread."""
        self._spare.append(space)


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
        view_column(
            space.memory,
            np.concatenate([docs.begins for _, docs in parts]),
            np.concatenate([docs.sizes for _, docs in parts]),
        ),
        pa.concat_arrays([docs.keys for _, docs in parts]),
        pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(topics, pa.string())),
        pa.array(partitions.astype(np.uint32)),
        pa.concat_arrays([docs.offsets for _, docs in parts]),
        pa.concat_arrays([docs.timestamps_ms for _, docs in parts]).cast(MILLISECONDS),
    ]
    return pa.table(columns, schema=DOCUMENT_SCHEMA)
