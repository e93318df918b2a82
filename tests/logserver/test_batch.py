"""What is collected becomes one table in one piece, in the order in which it came, and is then let go."""

from __future__ import annotations

import pyarrow as pa

from logserver.batch import BatchBuilder, Documents, Space
from logserver.decode import DOCUMENT_SCHEMA
from logserver.record import Span, TopicPartition
from milepost.units import Bytes, Seconds

FIRST, SECOND = TopicPartition("logs", 0), TopicPartition("audit", 3)


def documents(offsets: range) -> Documents:
    values = [f"document {offset}".encode() for offset in offsets]
    return Documents(
        values=values,
        keys=[b"key"] * len(offsets),
        offsets=pa.array(offsets, pa.uint64()),
        timestamps_ms=pa.array([1000 + offset for offset in offsets], pa.int64()),
        next_offset=offsets.stop,
        bytes=sum(map(len, values)),
    )


def builder(rows_max: int = 100, bytes_max: int = 10_000) -> BatchBuilder:
    return BatchBuilder(rows_max, Bytes(bytes_max), Seconds(1))


def test_a_table_has_one_chunk_a_column_however_many_parts_were_collected() -> None:
    collecting = builder()
    for partition, offsets in ((FIRST, range(3)), (SECOND, range(7, 9)), (FIRST, range(3, 5))):
        collecting.add(partition, documents(offsets), now_s=0)
    batch = collecting.take()
    table = batch.table(Space())
    assert table.schema == DOCUMENT_SCHEMA
    assert {column.num_chunks for column in table.columns} == {1}
    assert table["offset"].to_pylist() == [0, 1, 2, 7, 8, 3, 4]
    assert table["raw"].to_pylist() == [f"document {offset}".encode() for offset in (0, 1, 2, 7, 8, 3, 4)]
    assert table["topic"].to_pylist() == ["logs"] * 3 + ["audit"] * 2 + ["logs"] * 2
    assert batch.extent.spans == {FIRST: Span(0, 5), SECOND: Span(7, 9)}
    assert batch.parts == []


def test_the_memory_of_a_batch_is_that_of_the_one_before_and_grows_with_the_batches() -> None:
    space, seen = Space(), []
    for offsets in (range(3), range(3, 40), range(40, 41)):
        collecting = builder()
        collecting.add(FIRST, documents(offsets), now_s=0)
        column = collecting.take().table(space)["raw"]
        seen.append(column.chunk(0).buffers()[2].address)
        assert column.to_pylist() == [f"document {offset}".encode() for offset in offsets]
    assert seen[0] != seen[1] == seen[2]


def test_documents_without_a_value_and_no_documents_at_all_are_columns_too() -> None:
    assert Space().column([b"", b"a", b""]).to_pylist() == [b"", b"a", b""]
    assert Space().column([]).to_pylist() == []


def test_a_batch_is_full_by_rows_or_by_bytes_and_old_by_its_first_document() -> None:
    by_rows, by_bytes = builder(rows_max=3), builder(bytes_max=20)
    states = []
    for collecting, offsets in (
        (by_rows, range(2)),
        (by_rows, range(2, 3)),
        (by_bytes, range(1)),
        (by_bytes, range(1, 2)),
    ):
        collecting.add(FIRST, documents(offsets), now_s=5)
        states.append((collecting.full, collecting.age_left_s(5.5), collecting.age_left_s(6.5)))
    assert states == [(False, 0.5, 0), (True, 0.5, 0), (False, 0.5, 0), (True, 0.5, 0)]
    by_bytes.take()
    assert (by_bytes.rows, by_bytes.bytes, by_bytes.age_left_s(9)) == (0, 0, 1)
