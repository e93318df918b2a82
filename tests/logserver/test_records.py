"""Records are read by whole arrays as aiokafka reads them one by one; what is no batch is refused, not misread."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c, encode_varint
from hypothesis import given, settings
from hypothesis import strategies as st

from logserver.decode.views import view_column
from logserver.ingest.batch import Space
from logserver.ingest.recordbatches import _Batches
from logserver.ingest.records import CHECKED_FROM, HEADER, RawBatch, parse

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
APPEND_TIME, CONTROL = 0x08, 0x20
Row = tuple[int, int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
OFFSET = struct.Struct(">q")


def v2(rows: Sequence[Row], *, base: int = 0, codec: int = 0, flags: int = 0) -> bytes:
    """Return a batch of (offset from `base`, time, key, value, headers)."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**30)
    for row in rows:
        builder.append(*row)
    return sealed(bytes(builder.build()), base=base, flags=flags)


def sealed(data: bytes, *, base: int = 0, flags: int = 0) -> bytes:
    """Return the batch with these flags, moved to the offset `base`, with the right checksum."""
    fields = list(HEADER.unpack_from(data))
    fields[0], fields[5] = base, fields[5] | flags
    changed = HEADER.pack(*fields) + data[HEADER.size :]
    fields[4] = calc_crc32c(changed[CHECKED_FROM:])
    return HEADER.pack(*fields) + data[HEADER.size :]


def forged(payload: bytes, *, records: int, codec: int = 0) -> bytes:
    """Return a batch with this content, whose checksum is right."""
    fields = (0, HEADER.size - 12 + len(payload), 0, 2, 0, codec, records - 1, 1000, 1000, -1, -1, -1, records)
    return sealed(HEADER.pack(*fields) + payload)


def v1(rows: Sequence[tuple[int, int, bytes | None, bytes | None]], *, codec: int, outer: int) -> bytes:
    """Return a compressed message set of format 1; its offset is that of its last record."""
    builder = LegacyRecordBatchBuilder(1, codec, 2**20)
    for row in rows:
        builder.append(*row)
    return OFFSET.pack(outer) + bytes(builder.build())[OFFSET.size :]


def raw(data: bytes, position: int = 0, next_offset: int = 0) -> RawBatch:
    return RawBatch(position, next_offset, memoryview(data))


def ours(*raws: RawBatch, space: Space | None = None) -> list[tuple[int, int, bytes, bytes]]:
    """Return (offset, time, key, value) of the documents."""
    space = space or Space()
    documents = parse(raws, space)
    values = view_column(space.memory, documents.begins, documents.sizes)
    for column in (values, documents.keys):
        column.validate(full=True)
    columns = documents.offsets, documents.timestamps_ms, documents.keys, values
    assert documents.next_offset == raws[-1].next_offset
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def theirs(*raws: RawBatch) -> list[tuple[int, int, bytes, bytes]]:
    found = []
    for batch in raws:
        memory = MemoryRecords(bytes(batch.data))
        records = [record for record in memory.next_batch() if record.offset >= batch.position]
        found += [(r.offset, r.timestamp, r.key or b"", r.value or b"") for r in records]
    return found


some_bytes = st.none() | st.binary(max_size=300)
headers = st.lists(st.tuples(st.text(max_size=5), some_bytes), max_size=2)


@st.composite
def batches(draw: st.DrawFn) -> RawBatch:
    steps = draw(st.lists(st.integers(1, 9000), min_size=1, max_size=8))
    rows = [
        (sum(steps[:number]), draw(st.integers(0, 2**45)), draw(some_bytes), draw(some_bytes), draw(headers))
        for number in range(len(steps))
    ]
    codec, flags = draw(st.integers(0, 4)), draw(st.sampled_from([0, APPEND_TIME]))
    base = draw(st.integers(0, 2**40))
    data = v2(rows, base=base, codec=codec, flags=flags)
    return raw(data, draw(st.sampled_from([0, base, base + rows[-1][0]])), base + rows[-1][0] + 1)


@settings(deadline=None)
@given(raws=st.lists(batches(), min_size=1, max_size=4))
def test_records_are_those_that_aiokafka_reads(raws: list[RawBatch]) -> None:
    assert ours(*raws) == theirs(*raws)


@pytest.mark.parametrize("codec", [0, GZIP, SNAPPY, LZ4, ZSTD])
def test_a_space_grows_with_what_is_decompressed_and_keeps_what_it_has(codec: int) -> None:
    big = bytes(range(256)) * 10_000
    rows: list[Row] = [(number, 1000, b"key", big + b"%d" % number, []) for number in range(2)]
    space = Space()
    parsed = [parse([raw(v2(rows, base=base, codec=codec)), raw(v2(rows, codec=codec))], space) for base in (0, 7)]
    for documents in parsed:
        values = view_column(space.memory, documents.begins, documents.sizes)
        assert values.to_pylist() == [big + b"0", big + b"1"] * 2
    assert len(space.memory) == 2**25 > 8 * len(big)


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4])
def test_the_formats_before_are_read_too_also_beside_the_present_one(codec: int) -> None:
    old = v1([(0, 1000, b"a", b"one"), (1, 1001, None, b"two"), (2, 1002, b"c", None)], codec=codec, outer=12)
    new = v2([(0, 1003, b"d", b"four", [])], base=13, codec=codec)
    expected = [(11, 1001, b"", b"two"), (12, 1002, b"c", b""), (13, 1003, b"d", b"four")]
    assert ours(raw(old, 11, 13), raw(new, 13, 14)) == expected


def test_a_batch_without_records_is_no_documents() -> None:
    assert ours(raw(forged(b"", records=0), 0, 1)) == []


def record(*, key_size: int = 3, value_size: int = 4, extra: int = 0, size: int | None = None) -> bytes:
    body = bytearray(b"\0")
    for number in (0, 0, key_size):
        encode_varint(number, body.append)
    body += b"key"
    encode_varint(value_size, body.append)
    body += b"text\0" + bytes(extra)
    head = bytearray()
    encode_varint(len(body) if size is None else size, head.append)
    return bytes(head + body)


def test_what_the_next_test_breaks_is_whole() -> None:
    assert ours(raw(forged(record() * 2, records=2), 0, 2)) == [(0, 1000, b"key", b"text")] * 2


@pytest.mark.parametrize(
    ("payload", "records", "said"),
    [
        (record(), 2, "1 records end at byte 14, not 2 at 14"),
        (record() * 3, 2, "3 records end at byte 42, not 2 at 42"),
        (record() + record(size=-5), 2, "a record of -5 bytes"),
        (record() + record(size=99), 2, "2 records end at byte"),
        (record()[:-3], 1, "1 records end at byte 14, not 1 at 11"),
        (record() + record(value_size=15), 2, "longer than it says"),
        (record(value_size=15) + record(), 2, "longer than it says"),
        (record() + record(key_size=400), 2, "out of bounds|key or value of 400"),
        (record(key_size=2**40), 1, "out of bounds"),
        (record(key_size=2**63 - 20), 1, "out of bounds|key or value of 9223372036854775788 bytes"),
        (record() + record(value_size=2**63 - 10), 2, "a key or value of 9223372036854775798 bytes"),
        (b"\x20\0" + b"\xff" * 15, 1, "more than ten bytes|out of bounds"),
        (b"\xff" * 12, 1, "no records before offset 2"),
    ],
)
def test_a_batch_that_is_not_what_it_says_is_refused(payload: bytes, records: int, said: str) -> None:
    with pytest.raises(CorruptRecordException, match=said):
        ours(raw(forged(payload, records=records), 0, 2))


whole_records = st.lists(st.builds(record, extra=st.integers(0, 3)), min_size=1, max_size=4)
changes = st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=10)), min_size=1, max_size=3)


@settings(deadline=None)
@given(records=whole_records, changes=changes)
def test_whatever_a_producer_sends_becomes_whole_documents_or_is_refused(
    records: list[bytes], changes: list[tuple[int, bytes]]
) -> None:
    payload = b"".join(records)
    for place, new in changes:
        payload = payload[:place] + new + payload[place + len(new) :]
    try:
        found = ours(raw(forged(payload, records=len(records)), -(2**63), 9))
    except CorruptRecordException:
        return
    assert len(found) == len(records)
    assert sum(len(key) + len(value) for _, _, key, value in found) <= len(payload)


def test_a_wrong_checksum_names_the_batch() -> None:
    whole = v2([(0, 1000, b"key", b"text", [])], codec=LZ4)
    old = v1([(0, 1000, b"key", b"text")], codec=LZ4, outer=0)
    for data in (whole, old):
        broken = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
        with pytest.raises(CorruptRecordException, match="before offset 77 is wrong"):
            ours(raw(broken, 0, 77))


def test_an_unknown_codec_is_named() -> None:
    with pytest.raises(UnsupportedCodecError, match="codec 6"):
        ours(raw(forged(record(), records=1, codec=6), 0, 1))


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD])
def test_what_cannot_be_decompressed_is_given_up_at_a_bound(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logserver.ingest.records._ROOM_BYTES_MAX", 2**22)
    space = Space()
    with pytest.raises(CorruptRecordException, match="20 bytes cannot be decompressed"):
        ours(raw(forged(b"no compressed block ", records=1, codec=codec), 0, 1), space=space)
    assert len(space.memory) == 2**23


def test_a_space_beyond_what_views_reach_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logserver.ingest.batch.MEMORY_BYTES_MAX", 2**21)
    rows: list[Row] = [(0, 1000, b"key", bytes(2**21), [])]
    with pytest.raises(MemoryError, match=r"2097152 bytes \(ingest\.batch_bytes_max\)"):
        ours(raw(v2(rows)))


def taken(data: bytes, position: int = 0) -> tuple[list[tuple[int, int]], int]:
    """Return (position, next offset) of the batches that are handed over, and where the partition stands then."""
    partition = SimpleNamespace(next_fetch_offset=position)
    handed = iter(_Batches(partition, data).__next__, None)
    return [(batch.position, batch.next_offset) for batch in handed if batch is not None], partition.next_fetch_offset


def test_batches_are_handed_over_whole_but_not_marks_nor_what_the_broker_cut() -> None:
    row: list[Row] = [(0, 1000, b"key", b"text", []), (3, 1000, b"key", b"text", [])]
    mark = v2(row[:1], base=9, flags=CONTROL)
    data = v2(row, base=5) + mark + v1([(0, 1000, None, b"old")], codec=GZIP, outer=12) + v2(row, base=13)
    assert taken(data, 6) == ([(6, 9), (10, 13), (13, 17)], 17)
    for cut in range(1, len(v2(row))):
        assert taken(data[:-cut], 6) == ([(6, 9), (10, 13)], 13)


def test_a_batch_that_is_none_is_an_error_once_and_then_fetched_again() -> None:
    for size in (-12, 0, 10):
        broken = struct.pack(">qiib", 0, size, 0, 2) + bytes(50)
        batches = _Batches(SimpleNamespace(next_fetch_offset=4), broken)
        with pytest.raises(CorruptRecordException, match="a record batch of"):
            next(batches)
        with pytest.raises(StopIteration):
            next(batches)
