"""Whole record batches out of aiokafka's consumer.

The consumer makes a Python object of every record, on the event loop: 3.5 µs of CPU a document, during which nothing
else of the process answers. Here its fetcher hands over each record batch as it came over the wire; decompressing and
parsing is left to `records`, which callers run in a thread.

This reaches into private attributes of aiokafka (of the client `send`, of its fetcher `_records` and
`_proc_fetch_request`, and of what that fetched `_records_iterator` and `next_fetch_offset`), so its version is bounded
in pyproject.toml.
"""

from __future__ import annotations

import struct
from typing import Any

import aiokafka
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.protocol.fetch import FetchRequest

from logserver.ingest.records import HEADER, MAGIC, MAGIC_AT, Header, RawBatch

_OFFSET_AND_LENGTH = struct.Struct(">qi")


class WholeBatches:
    """Makes a consumer's `getmany` return RawBatch objects, `max_records` counting these; made before it starts."""

    def __init__(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._answers: dict[aiokafka.TopicPartition, bytes] = {}
        self._send = consumer._client.send
        consumer._client.send = self._send_and_keep

    def hand_over(self) -> None:
        """Begin; the consumer has started."""
        fetcher = self._consumer._fetcher
        process = fetcher._proc_fetch_request

        async def process_whole(*arguments: Any) -> bool:
            has_new: bool = await process(*arguments)
            self._leave_whole(fetcher)  # nobody looked at what has arrived: the fetcher wakes its readers after this
            return has_new

        fetcher._proc_fetch_request = process_whole
        self._leave_whole(fetcher)

    async def _send_and_keep(self, node_id: int, request: Any, **options: Any) -> Any:
        """Send as the client does; the bytes of a fetch are kept until the fetcher has looked at them."""
        response = await self._send(node_id, request, **options)
        if isinstance(request, FetchRequest):
            for topic, partitions in response.topics:
                for partition, *_, data in partitions:
                    self._answers[aiokafka.TopicPartition(topic, partition)] = data
        return response

    def _leave_whole(self, fetcher: Any) -> None:
        for place, result in fetcher._records.items():
            partition = result._partition_records if isinstance(result, FetchResult) else None
            if partition is not None and not isinstance(partition._records_iterator, _Batches):
                partition._records_iterator = _Batches(partition, self._answers[place])
        self._answers.clear()


class _Batches:
    """Takes the place of the iterator that unpacks records; keeps the partition's position as that does."""

    def __init__(self, partition: PartitionRecords, data: bytes) -> None:
        self._partition = partition
        self._rest = memoryview(data)

    def __next__(self) -> RawBatch:
        while (data := self._next_data()) is not None:
            position, next_offset, is_control = self._partition.next_fetch_offset, *_reach(data)
            self._partition.next_fetch_offset = next_offset
            if not is_control:
                return RawBatch(position, next_offset, data)
        raise StopIteration

    def _next_data(self) -> memoryview | None:
        """Return the next batch, or None at the end, where the broker cuts one: it fills an answer to the last byte.

        Raises CorruptRecordException; what is left is then fetched again.
        """
        rest, self._rest = self._rest, memoryview(b"")
        if len(rest) <= MAGIC_AT:
            return None
        _, length = _OFFSET_AND_LENGTH.unpack_from(rest)
        size = _OFFSET_AND_LENGTH.size + length
        if size < (HEADER.size if rest[MAGIC_AT] == MAGIC else MAGIC_AT + 1):
            raise CorruptRecordException(f"a record batch of {size} bytes")
        if size > len(rest):
            return None
        self._rest = rest[size:]
        return rest[:size]


def _reach(data: memoryview) -> tuple[int, bool]:
    """Return the offset behind a batch, and whether it has only marks of transactions."""
    offset, _ = _OFFSET_AND_LENGTH.unpack_from(data)
    if data[MAGIC_AT] != MAGIC:
        return offset + 1, False
    header = Header.of(data)
    return offset + header.last_offset_delta + 1, header.is_control
