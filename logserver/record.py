"""The vocabulary of the log-server: the columns of a stored line and of its companions.

*Document*: one Filebeat JSON message of Kafka. *Line*: one stored record. *Position*: (topic, partition, offset);
`next_offset` is the first offset not yet stored. *Identity* of a line: (file_id, file_offset, ts); it survives
Kafka redelivery and Filebeat resends. A line whose document names no file gets its position as identity:
`file_id` is the hash of (topic, partition) and `file_offset` the Kafka offset.

Column types here and in `logserver/schema/` are the same; a test compares them on both engines. LowCardinality
strings are dictionaries in Arrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

LEVELS = ("trace", "debug", "info", "warn", "error", "fatal", "unknown")

NAME = pa.dictionary(pa.int32(), pa.string())
NANOSECONDS = pa.timestamp("ns", "UTC")
MILLISECONDS = pa.timestamp("ms", "UTC")

LINE_SCHEMA = pa.schema(
    [
        pa.field("ts", NANOSECONDS, nullable=False),
        pa.field("namespace", NAME),
        pa.field("model", NAME),
        pa.field("predictor", NAME),
        pa.field("pod", NAME),
        pa.field("container", NAME),
        pa.field("node", NAME),
        pa.field("stream", NAME),
        pa.field("level", NAME),
        pa.field("message", pa.string()),
        pa.field("trace_id", pa.string()),
        pa.field("labels", NAME),
        pa.field("flags", NAME),
        pa.field("container_id", NAME),
        pa.field("file_path", NAME),
        pa.field("file_id", pa.uint64()),
        pa.field("file_offset", pa.uint64()),
        pa.field("topic", NAME),
        pa.field("partition", pa.uint32()),
        pa.field("offset", pa.uint64()),
        pa.field("appended_at", MILLISECONDS),
        pa.field("indexed_at", MILLISECONDS),
        pa.field("keep_days", pa.uint16()),
        pa.field("day", pa.date32()),
        pa.field("origin", NAME),
    ]
)

ORIGIN_FIELDS = (
    "namespace", "model", "predictor", "pod", "container", "node", "labels", "container_id", "file_path",
)  # fmt: skip
"""What `origin` holds once more, in this order, as the text of a JSON array: one column instead of nine to read."""

REJECT_SCHEMA = pa.schema(
    [
        pa.field("received_at", MILLISECONDS),
        pa.field("topic", NAME),
        pa.field("partition", pa.uint32()),
        pa.field("offset", pa.uint64()),
        pa.field("reason", NAME),
        pa.field("detail", pa.string()),
        pa.field("raw", pa.binary()),
        pa.field("key", pa.binary()),
    ]
)

MARK_SCHEMA = pa.schema(
    [pa.field("file_id", pa.uint64()), pa.field("mark", pa.uint64()), pa.field("seen_at", MILLISECONDS)]
)

POSITION_SCHEMA = pa.schema(
    [
        pa.field("topic", NAME),
        pa.field("partition", pa.uint32()),
        pa.field("next_offset", pa.uint64()),
        pa.field("epoch", pa.uint64()),
        pa.field("seq", pa.uint64()),
        pa.field("updated_at", MILLISECONDS),
    ]
)


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
    """One partition of one Kafka topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Span:
    """Contiguous Kafka offsets of one partition: `from_offset` inclusive, `next_offset` exclusive."""

    from_offset: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """What arrives with one stored batch, handed to followers after its positions were written.

    `lines` has LINE_SCHEMA, without duplicates and rejects, ordered by (topic, partition, offset) within each
    partition: those the store has at positions of `spans`, also where a crash had left them before. `spans` names every
    partition of the batch, also one whose documents were all duplicates or rejects.
    """

    lines: pa.Table
    spans: dict[TopicPartition, Span]
