"""Whole record batches out of aiokafka's consumer, and their documents.

The consumer makes a Python object of every record, on the event loop: 3.5 µs of CPU a document, during which nothing
else of the process answers. Here its fetcher hands over each record batch as it came over the wire; decompressing and
parsing is left to `parse`, which callers run in a thread, with the batch parser aiokafka itself uses (C, 1.3 µs).

This reaches into private attributes of aiokafka's fetcher (`_records`, `_proc_fetch_request`, and of what it fetched
`_records`, `_records_iterator`, `next_fetch_offset`), so its version is bounded in pyproject.toml.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiokafka
import numpy as np
import pyarrow as pa
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException

from logserver.batch import Documents


class Record(Protocol):
    """One record as the parser gives it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class RecordBatch(Protocol):
    """A record batch as the parser gives it; iterating decompresses."""

    is_control_batch: bool
    next_offset: int

    def validate_crc(self) -> bool:
        """Return whether the bytes are those the producer sent."""
        ...

    def __iter__(self) -> Iterator[Record]: ...


@dataclass(frozen=True, slots=True)
class RawBatch:
    """A record batch; of its records those from `position` on are wanted."""

    position: int
    next_offset: int
    records: RecordBatch


def hand_over_batches(consumer: aiokafka.AIOKafkaConsumer) -> None:
    """Make a started consumer's `getmany` return RawBatch objects, `max_records` counting these."""
    fetcher = consumer._fetcher
    process = fetcher._proc_fetch_request

    async def process_whole(*arguments: Any) -> bool:
        has_new: bool = await process(*arguments)
        _leave_whole(fetcher)  # nobody looked at what has arrived: the fetcher wakes its readers after this
        return has_new

    fetcher._proc_fetch_request = process_whole
    _leave_whole(fetcher)


def parse(raws: Sequence[RawBatch]) -> Documents:
    """Return the documents of consecutive batches of one partition.

    Raises CorruptRecordException for a wrong checksum, UnsupportedCodecError for a codec that is not installed.
    """
    records: list[Record] = []
    for raw in raws:
        if not raw.records.validate_crc():
            raise CorruptRecordException(f"the checksum of the record batch before offset {raw.next_offset} is wrong")
        records.extend(_wanted(raw))
    values = [record.value or b"" for record in records]
    return Documents(
        values=values,
        keys=[record.key or b"" for record in records],
        offsets=_offsets(records),
        timestamps_ms=pa.array([record.timestamp for record in records], pa.int64()),
        next_offset=raws[-1].next_offset,
        bytes=sum(map(len, values)),
    )


def _offsets(records: Sequence[Record]) -> pa.UInt64Array:
    """Return the offsets, which rise; asked of each record only where the topic has gaps, as compaction leaves them."""
    if records and records[-1].offset - records[0].offset == len(records) - 1:
        return pa.array(np.arange(records[0].offset, records[-1].offset + 1, dtype=np.uint64))
    return pa.array([record.offset for record in records], pa.uint64())


def _wanted(raw: RawBatch) -> Iterable[Record]:
    """Return the records; a batch that is read from its middle begins with some that were read before."""
    records = list(raw.records)
    if records and records[0].offset < raw.position:
        return [record for record in records if record.offset >= raw.position]
    return records


def _leave_whole(fetcher: Any) -> None:
    for result in fetcher._records.values():
        partition = result._partition_records if isinstance(result, FetchResult) else None
        if partition is not None and not isinstance(partition._records_iterator, _WholeBatches):
            partition._records_iterator = _WholeBatches(partition)


class _WholeBatches:
    """Takes the place of the iterator that unpacks records; keeps the partition's position as that does."""

    def __init__(self, partition: PartitionRecords) -> None:
        self._partition = partition

    def __next__(self) -> RawBatch:
        memory = self._partition._records
        while memory.has_next():
            position = self._partition.next_fetch_offset
            batch = memory.next_batch()
            self._partition.next_fetch_offset = batch.next_offset
            if not batch.is_control_batch:
                return RawBatch(position, batch.next_offset, batch)
        raise StopIteration
