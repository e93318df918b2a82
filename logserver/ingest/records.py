"""The records of Kafka's record batches, as columns.

An object for every record costs more than everything else that is done with it here, so the records of many batches
are parsed together: decompressed one behind the other into a `Space`, found one after the other (a record says how long
it is), then read field by field as arrays. Their values stay where they are.

https://kafka.apache.org/documentation/#recordbatch. Batches in the formats before it, which Kafka 4 no longer has, are
read by aiokafka, record by record.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
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

from logserver.decode.views import Numbers
from logserver.ingest.batch import Documents, Space

Bytes8 = npt.NDArray[np.uint8]

HEADER = struct.Struct(">qiibIhiqqqhii")
CHECKED_FROM = struct.calcsize(">qiibI")
MAGIC_AT = struct.calcsize(">qii")
MAGIC = 2
_CODEC, _APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20
_PLAIN, _GZIP, _SNAPPY, _LZ4, _ZSTD = range(5)

_ROOM_BYTES_MAX = 2**28
"""What a record batch may take; brokers take batches of 1 MB if not told otherwise, and LZ4 makes 255 times of it."""
# What a number at the very end may be read beyond it, before that is noticed, and a view needs.
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


def parse(raws: Sequence[RawBatch], space: Space) -> Documents:
    """Return the documents of consecutive batches of one partition; their values are put into `space`.

    Raises CorruptRecordException for a wrong checksum or structure, UnsupportedCodecError for an unknown codec.
    """
    as_columns = all(raw.data[MAGIC_AT] == MAGIC for raw in raws)
    return _by_columns(raws, space) if as_columns else _one_by_one(raws, space)


def _by_columns(raws: Sequence[RawBatch], space: Space) -> Documents:
    headers = [Header.of(raw.data) for raw in raws]
    first = space.used
    ends = _inflate(raws, headers, space, first)
    try:
        begins = _find(space.memory, first, headers, ends)
        fields = _fields(np.frombuffer(space.memory, np.uint8, ends[-1]), begins)
    except (IndexError, ValueError) as error:
        raise CorruptRecordException(f"no records before offset {raws[-1].next_offset}: {error}") from error
    space.used = ends[-1]
    counts = [header.records for header in headers]
    offsets = np.repeat([header.base_offset for header in headers], counts) + fields.offset_delta
    times = np.repeat([header.first_timestamp for header in headers], counts) + fields.timestamp_delta
    appended = np.repeat([bool(header.attributes & _APPEND_TIME) for header in headers], counts)
    times = np.where(appended, np.repeat([header.max_timestamp for header in headers], counts), times)
    # A batch that is read from its middle begins with some that were read before.
    wanted = offsets >= np.repeat([raw.position for raw in raws], counts)
    if not wanted.all():
        fields, offsets, times = fields.those(wanted), offsets[wanted], times[wanted]
    return Documents(
        begins=fields.value_at,
        sizes=fields.value_end - fields.value_at,
        keys=_column(space.memory, fields.key_at, fields.key_end),
        offsets=pa.array(offsets.astype(np.uint64)),
        timestamps_ms=pa.array(times),
        next_offset=raws[-1].next_offset,
    )


def _inflate(raws: Sequence[RawBatch], headers: Sequence[Header], space: Space, at: int) -> list[int]:
    """Decompress the batches into the space from `at` on; return where each ends."""
    ends = []
    for raw, header in zip(raws, headers, strict=True):
        if calc_crc32c(raw.data[CHECKED_FROM:]) != header.crc:
            raise _wrong_checksum(raw)
        at += _put(header.attributes & _CODEC, raw.data[HEADER.size :], space, at)
        ends.append(at)
    return ends


def _put(codec: int, data: memoryview, space: Space, at: int) -> int:
    """Decompress into the space at `at`, which grows as it must; return the size."""
    if codec in _INFLATE_INTO:
        return _inflate_into(_INFLATE_INTO[codec], data, space, at)
    if codec not in (_PLAIN, _SNAPPY):
        raise UnsupportedCodecError(f"unknown compression codec {codec}")
    return _copy(data if codec == _PLAIN else snappy_decode(data), space, at)


def _copy(plain: bytes | memoryview, space: Space, at: int) -> int:
    while at + len(plain) + _SLACK > len(space.memory):
        space.grow(at)
    space.memory[at : at + len(plain)] = plain
    return len(plain)


def _inflate_into(inflate: Callable[[memoryview, memoryview], int], data: memoryview, space: Space, at: int) -> int:
    while True:
        room_bytes = len(space.memory) - _SLACK - at
        try:
            return inflate(data, space.memory[at : at + max(0, room_bytes)])
        except cramjam.DecompressionError as error:  # most likely for want of room: nothing says how much it takes
            if room_bytes > _ROOM_BYTES_MAX:
                raise CorruptRecordException(f"{len(data)} bytes cannot be decompressed: {error}") from error
            space.grow(at)


_INFLATE_INTO: dict[int, Callable[[memoryview, memoryview], int]] = {
    _GZIP: cramjam.gzip.decompress_into,
    _LZ4: cramjam.lz4.decompress_into,
    _ZSTD: cramjam.zstd.decompress_into,
}


def _find(block: memoryview, at: int, headers: Sequence[Header], batch_ends: Sequence[int]) -> Numbers:
    """Return where the records of batches that begin at `at` begin, behind their length. Raises ValueError."""
    begins: list[int] = []
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
    for sizes in (key_size, value_size):  # the sum of a place and a size without bounds would begin anew below zero
        if (sizes > len(block)).any():
            raise ValueError(f"a key or value of {sizes.max()} bytes")
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


def _column(block: memoryview, begins: Numbers, ends: Numbers) -> pa.BinaryArray:
    """Return the bytes between these places, which rise, as a column.

    Taken as every other one of the column that has also what lies between them.
    """
    bounds = np.stack([begins, ends], axis=1).astype(np.int32).ravel()
    count = len(begins)
    if not count:
        return pa.array([], pa.binary())
    all_ = pa.Array.from_buffers(pa.binary(), 2 * count - 1, [None, pa.py_buffer(bounds), pa.py_buffer(block)])
    return all_.take(pa.array(np.arange(0, 2 * count, 2)))


def _one_by_one(raws: Sequence[RawBatch], space: Space) -> Documents:
    records = []
    for raw in raws:
        batch = MemoryRecords(bytes(raw.data)).next_batch()
        if not batch.validate_crc():
            raise _wrong_checksum(raw)
        records += [record for record in batch if record.offset >= raw.position]
    values = [record.value or b"" for record in records]
    sizes = np.fromiter(map(len, values), np.int64, len(values))
    at = space.used
    begins = at + np.cumsum(sizes) - sizes
    space.used = at + _copy(b"".join(values), space, at)
    return Documents(
        begins=begins,
        sizes=sizes,
        keys=pa.array([record.key or b"" for record in records], pa.binary()),
        offsets=pa.array([record.offset for record in records], pa.uint64()),
        timestamps_ms=pa.array([record.timestamp for record in records], pa.int64()),
        next_offset=raws[-1].next_offset,
    )


def _wrong_checksum(raw: RawBatch) -> CorruptRecordException:
    return CorruptRecordException(f"the checksum of the record batch before offset {raw.next_offset} is wrong")
