"""The records of Kafka's record batches, as columns.

An object for every record costs more than everything else that is done with it here, so the records of many batches
are parsed together: decompressed one behind the other into memory that is kept, found one after the other (a record
says how long it is), then read field by field as arrays. Values go from there straight into the batch's `Space`.

https://kafka.apache.org/documentation/#recordbatch. Batches in the formats before it, which Kafka 4 no longer has, are
read by aiokafka, record by record.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cramjam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from aiokafka.codec import snappy_decode
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c, decode_varint

from logserver.batch import Documents, Sizes, Space

Bytes8 = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

HEADER = struct.Struct(">qiibIhiqqqhii")
CHECKED_FROM = struct.calcsize(">qiibI")
MAGIC_AT = struct.calcsize(">qii")
MAGIC = 2
_CODEC, _APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20
_PLAIN, _GZIP, _SNAPPY, _LZ4, _ZSTD = range(5)

_BLOCK_BYTES = 2**23
_BLOCK_BYTES_MAX = 2**30
# What a number at the very end may be read beyond it, before that is noticed.
_SLACK = 16


class Header(NamedTuple):
    """The fields of HEADER."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int

    @classmethod
    def of(cls, data: memoryview) -> Header:
        """Return the header of a batch of MAGIC."""
        return cls(*HEADER.unpack_from(data))

    @property
    def is_control(self) -> bool:
        """Whether its records are marks of transactions."""
        return bool(self.attributes & _CONTROL)


@dataclass(frozen=True, slots=True)
class RawBatch:
    """A record batch as it came over the wire; of its records those from `position` on are wanted."""

    position: int
    next_offset: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class _Records:
    """Records as columns; the values may be views that last until the next parse."""

    values: Iterable[bytes | memoryview]
    sizes: Sizes
    keys: pa.BinaryArray
    offsets: Numbers
    timestamps_ms: Numbers


class RecordParser:
    """Parses record batches; one call at a time."""

    def __init__(self) -> None:
        self._block = bytearray(_BLOCK_BYTES)

    def parse(self, raws: Sequence[RawBatch], space: Space) -> Documents:
        """Return the documents of consecutive batches of one partition; their values are put into `space`.

        Raises CorruptRecordException for a wrong checksum or structure, UnsupportedCodecError for an unknown codec.
        """
        as_columns = all(raw.data[MAGIC_AT] == MAGIC for raw in raws)
        records = self._by_columns(raws) if as_columns else _one_by_one(raws)
        space.append(records.values)
        return Documents(
            sizes=records.sizes,
            keys=records.keys,
            offsets=pa.array(records.offsets.astype(np.uint64)),
            timestamps_ms=pa.array(records.timestamps_ms),
            next_offset=raws[-1].next_offset,
        )

    def _by_columns(self, raws: Sequence[RawBatch]) -> _Records:
        headers = [Header.of(raw.data) for raw in raws]
        ends = self._inflate(raws, headers)
        try:
            begins = _find(self._block, headers, ends)
            fields = _fields(np.frombuffer(self._block, np.uint8, ends[-1]), begins)
        except (IndexError, ValueError) as error:
            raise CorruptRecordException(f"no records before offset {raws[-1].next_offset}: {error}") from error
        counts = [header.records for header in headers]
        offsets = np.repeat([header.base_offset for header in headers], counts) + fields.offset_delta
        times = np.repeat([header.first_timestamp for header in headers], counts) + fields.timestamp_delta
        appended = np.repeat([bool(header.attributes & _APPEND_TIME) for header in headers], counts)
        times = np.where(appended, np.repeat([header.max_timestamp for header in headers], counts), times)
        # A batch that is read from its middle begins with some that were read before.
        wanted = offsets >= np.repeat([raw.position for raw in raws], counts)
        if not wanted.all():
            fields, offsets, times = fields.those(wanted), offsets[wanted], times[wanted]
        return _Records(
            _slices(memoryview(self._block), fields.value_at, fields.value_end),
            fields.value_end - fields.value_at,
            _column(self._block, fields.key_at, fields.key_end),
            offsets,
            times,
        )

    def _inflate(self, raws: Sequence[RawBatch], headers: Sequence[Header]) -> list[int]:
        """Decompress the batches, one behind the other, into the block; return where each ends."""
        ends, at = [], 0
        for raw, header in zip(raws, headers, strict=True):
            if calc_crc32c(raw.data[CHECKED_FROM:]) != header.crc:
                raise CorruptRecordException(
                    f"the checksum of the record batch before offset {raw.next_offset} is wrong"
                )
            at += self._put(header.attributes & _CODEC, raw.data[HEADER.size :], at)
            ends.append(at)
        return ends

    def _put(self, codec: int, data: memoryview, at: int) -> int:
        """Decompress into the block at `at`, which grows as it must; return the size."""
        if codec in _INFLATE_INTO:
            return self._inflate_into(_INFLATE_INTO[codec], data, at)
        if codec not in (_PLAIN, _SNAPPY):
            raise UnsupportedCodecError(f"unknown compression codec {codec}")
        plain = data if codec == _PLAIN else snappy_decode(data)
        while at + len(plain) + _SLACK > len(self._block):
            self._grow()
        self._block[at : at + len(plain)] = plain
        return len(plain)

    def _inflate_into(self, inflate_into: Callable[[memoryview, memoryview], int], data: memoryview, at: int) -> int:
        while True:
            try:
                with memoryview(self._block) as block, block[at : len(block) - _SLACK] as room:
                    return inflate_into(data, room)
            except cramjam.DecompressionError as error:  # most likely for want of room: nothing says how much it takes
                if len(self._block) >= _BLOCK_BYTES_MAX:
                    raise CorruptRecordException(f"{len(data)} bytes cannot be decompressed: {error}") from error
                self._grow()

    def _grow(self) -> None:
        self._block += bytes(len(self._block))


_INFLATE_INTO: dict[int, Callable[[memoryview, memoryview], int]] = {
    _GZIP: cramjam.gzip.decompress_into,
    _LZ4: cramjam.lz4.decompress_into,
    _ZSTD: cramjam.zstd.decompress_into,
}


def _find(block: bytearray, headers: Sequence[Header], batch_ends: Sequence[int]) -> Numbers:
    """Return where the records begin, behind their length. Raises ValueError."""
    begins: list[int] = []
    at = 0
    for header, batch_end in zip(headers, batch_ends, strict=True):
        expected = len(begins) + header.records
        while at < batch_end:
            size, begin = decode_varint(block, at)
            if size < 0:
                raise ValueError(f"a record of {size} bytes")
            begins.append(begin)
            at = begin + size
        if at != batch_end or len(begins) != expected:
            raise ValueError(f"{len(begins)} records end at byte {at}, not {expected} at {batch_end}")
    return np.fromiter(begins, np.int64, len(begins))


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of records, as columns; keys and values by where they begin and end."""

    timestamp_delta: Numbers
    offset_delta: Numbers
    key_at: Numbers
    key_end: Numbers
    value_at: Numbers
    value_end: Numbers

    def those(self, which: npt.NDArray[np.bool_]) -> _Fields:
        """Return the fields of some records."""
        return _Fields(*(getattr(self, name)[which] for name in self.__slots__))


def _fields(block: Bytes8, begins: Numbers) -> _Fields:
    """Return the fields of the records that begin at these places. Raises IndexError, ValueError."""
    timestamp_delta, at = _varints(block, begins + 1)  # behind the attributes, which are unused
    offset_delta, at = _varints(block, at)
    key_size, key_at = _varints(block, at)
    key_end = key_at + np.maximum(key_size, 0)  # -1 is null
    value_size, value_at = _varints(block, key_end)
    value_end = value_at + np.maximum(value_size, 0)
    if (value_end[:-1] > begins[1:]).any() or (value_end[-1:] > len(block)).any():
        raise ValueError("a record is longer than it says")
    return _Fields(timestamp_delta, offset_delta, key_at, key_end, value_at, value_end)


def _varints(block: Bytes8, at: Numbers) -> tuple[Numbers, Numbers]:
    """Return the signed numbers of variable length that begin at these places, and where each ends.

    https://protobuf.dev/programming-guides/encoding/#signed-ints
    """
    byte = block[at]
    number = (byte & 0x7F).astype(np.uint64)
    at = at + 1
    rows, shift = np.flatnonzero(byte & 0x80), 7
    while len(rows):
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
        byte = block[at[rows]]
        number[rows] |= (byte & 0x7F).astype(np.uint64) << np.uint64(shift)
        at[rows] += 1
        rows, shift = rows[byte & 0x80 != 0], shift + 7
    signed: Numbers = (number >> np.uint64(1)).view(np.int64) ^ -(number & np.uint64(1)).view(np.int64)
    return signed, at


def _slices(block: memoryview, begins: Numbers, ends: Numbers) -> Iterable[memoryview]:
    return map(block.__getitem__, map(slice, begins.tolist(), ends.tolist()))


def _column(block: bytearray, begins: Numbers, ends: Numbers) -> pa.BinaryArray:
    """Return the bytes between these places, which rise, as a column.

    Taken as every other one of the column that has also what lies between them.
    """
    bounds = np.stack([begins, ends], axis=1).astype(np.int32).ravel()
    count = len(begins)
    if not count:
        return pa.array([], pa.binary())
    all_ = pa.Array.from_buffers(pa.binary(), 2 * count - 1, [None, pa.py_buffer(bounds), pa.py_buffer(block)])
    return all_.take(pa.array(np.arange(0, 2 * count, 2)))


def _one_by_one(raws: Sequence[RawBatch]) -> _Records:
    records = []
    for raw in raws:
        batch = MemoryRecords(bytes(raw.data)).next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException(f"the checksum of the record batch before offset {raw.next_offset} is wrong")
        records += [record for record in batch if record.offset >= raw.position]
    values = [record.value or b"" for record in records]
    return _Records(
        values,
        np.fromiter(map(len, values), np.int64, len(values)),
        pa.array([record.key or b"" for record in records], pa.binary()),
        np.array([record.offset for record in records], np.int64),
        np.array([record.timestamp for record in records], np.int64),
    )
