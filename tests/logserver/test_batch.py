"""What is collected becomes one table in one piece, in the order in which it came, and is then let go."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from logserver.decode import DOCUMENT_SCHEMA
from logserver.ingest.batch import BatchBuilder, Documents, Space
from logserver.record import Span, TopicPartition
from milepost.units import Bytes, Seconds

FIRST, SECOND = TopicPartition("logs", 0), TopicPartition("audit", 3)


def put(space: Space, text: bytes) -> None:
    """Write as a parser does, with some bytes between what it writes and the next."""
    space.memory[space.used : space.used + len(text)] = text
    space.used += len(text) + 16


def collect(collecting: BatchBuilder, partition: TopicPartition, offsets: range, *, now_s: float = 0) -> None:
    """Read documents as a source does, and add them."""
    values = [f"document {offset}".encode() for offset in offsets]
    space, sizes = collecting.space(), np.array([len(value) for value in values])
    begins = space.used + np.cumsum(sizes) - sizes
    put(space, b"".join(values))
    documents = Documents(
        begins=begins,
        sizes=sizes,
        keys=pa.array([b"key"] * len(offsets)),
        offsets=pa.array(offsets, pa.uint64()),
        timestamps_ms=pa.array([1000 + offset for offset in offsets], pa.int64()),
        next_offset=offsets.stop,
    )
    collecting.add(partition, documents, now_s=now_s)


def builder(rows_max: int = 100, bytes_max: int = 10_000) -> BatchBuilder:
    return BatchBuilder(rows_max, Bytes(bytes_max), Seconds(1))


def test_a_table_has_one_chunk_a_column_however_many_parts_were_collected() -> None:
    collecting = builder()
    for partition, offsets in ((FIRST, range(3)), (SECOND, range(7, 9)), (FIRST, range(3, 5))):
        collect(collecting, partition, offsets)
    batch = collecting.take()
    table = batch.table()
    assert table.schema == DOCUMENT_SCHEMA
    assert {column.num_chunks for column in table.columns} == {1}
    assert table["offset"].to_pylist() == [0, 1, 2, 7, 8, 3, 4]
    assert table["raw"].to_pylist() == [f"document {offset}".encode() for offset in (0, 1, 2, 7, 8, 3, 4)]
    assert table["topic"].to_pylist() == ["logs"] * 3 + ["audit"] * 2 + ["logs"] * 2
    assert batch.extent.spans == {FIRST: Span(0, 5), SECOND: Span(7, 9)}


def test_the_memory_of_a_batch_is_used_again_when_it_is_given_back() -> None:
    collecting, seen = builder(), []
    for offsets in (range(40), range(40, 43), range(43, 50)):
        collect(collecting, FIRST, offsets)
        batch = collecting.take()
        assert batch.table()["raw"].to_pylist() == [f"document {offset}".encode() for offset in offsets]
        seen.append(batch.space)
        if offsets.start:
            collecting.reuse(batch.space)
    assert seen[0] is not seen[1] is seen[2]


def test_a_batch_goes_on_being_collected_while_those_before_are_decoded() -> None:
    collecting = builder()
    collect(collecting, FIRST, range(3))
    first = collecting.take()
    collect(collecting, FIRST, range(3, 5))
    assert first.table()["raw"].to_pylist() == [b"document 0", b"document 1", b"document 2"]
    assert collecting.take().table()["raw"].to_pylist() == [b"document 3", b"document 4"]


def test_documents_that_were_read_and_not_wanted_leave_nothing_behind() -> None:
    collecting = builder()
    put(collecting.space(), b"read before a rebalance")
    collect(collecting, FIRST, range(2))
    used = collecting.space().used
    for _ in range(9):
        put(collecting.space(), b"of a batch that is not whole")
    assert collecting.space().used == used
    collect(collecting, FIRST, range(2, 3))
    assert collecting.take().table()["raw"].to_pylist() == [b"document 0", b"document 1", b"document 2"]
    collect(collecting, FIRST, range(3, 9))
    collecting.discard()
    assert collecting.space().used == 0
    collect(collecting, SECOND, range(1))
    assert collecting.take().table()["raw"].to_pylist() == [b"document 0"]


def test_a_batch_is_full_by_rows_or_by_bytes_and_old_by_its_first_document() -> None:
    by_rows, by_bytes = builder(rows_max=3), builder(bytes_max=20)
    states = []
    for collecting, offsets in (
        (by_rows, range(2)),
        (by_rows, range(2, 3)),
        (by_bytes, range(1)),
        (by_bytes, range(1, 2)),
    ):
        collect(collecting, FIRST, offsets, now_s=5)
        states.append((collecting.full, collecting.age_left_s(5.5), collecting.age_left_s(6.5)))
    assert states == [(False, 0.5, 0), (True, 0.5, 0), (False, 0.5, 0), (True, 0.5, 0)]
    by_bytes.take()
    assert (by_bytes.rows, by_bytes.bytes, by_bytes.age_left_s(9)) == (0, 0, 1)
