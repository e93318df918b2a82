"""Cursors: where a page ended, and where a follower is.

A *page cursor* is the place of one line in the total order (ts, file_id, file_offset); it is also that line's id.
Two rows with the same place are one line stored twice, never two lines (see `logserver/record.py`), so the position
in Kafka adds nothing to the order.

A *tail cursor* is a vector {partition: next offset}: everything before it has been delivered. Following goes by
arrival, since a line may arrive long after its timestamp.

A *reject cursor* is the place of a rejected document: when it was received, and its position in Kafka.

All are a kind byte, then varints (LEB128; signed ones in zigzag), as unpadded base64url: safe in URLs, in SSE ids
and in a shell. They hold positions only, never a filter, so that whoever has one can use it with any query.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from logserver.record import TopicPartition

CURSOR_CHARS_MAX = 65536
"""About 10,000 partitions; longer text is refused unread."""

_PAGE = 1
_TAIL = 2
_REJECT = 3
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_U64 = 1 << 64
_RECEIVED_MS_MAX = 2**63 // 10**6

Vector = Mapping[TopicPartition, int]


class CursorError(ValueError):
    """The text is not a cursor of this kind."""


class PageCursor(NamedTuple):
    """The place of a line in the total order of all lines: a tuple, since every line shown makes one."""

    ts_ns: int
    file_id: int
    file_offset: int


@dataclass(frozen=True, slots=True, order=True)
class RejectCursor:
    """The place of a rejected document in the order of rejects."""

    received_ms: int
    topic: str
    partition: int
    offset: int


def encode_page(cursor: PageCursor) -> str:
    """Return the text of a page cursor: about 30 characters."""
    zigzag = (cursor.ts_ns << 1) ^ (cursor.ts_ns >> 63)
    return _text(bytes((_PAGE,)) + cursor.file_id.to_bytes(8, "big") + _varint(zigzag) + _varint(cursor.file_offset))


def decode_page(text: str) -> PageCursor:
    """Return the page cursor of a text; raises CursorError."""
    data = _bytes(text, _PAGE, "the id of a line or the `next` of a page")
    if len(data) < 9:
        raise CursorError(f"{_shown(text)} is cut short")
    numbers = list(_varints(data[9:], text))
    if len(numbers) != 2:
        raise CursorError(f"{_shown(text)} is not the id of a line")
    return PageCursor((numbers[0] >> 1) ^ -(numbers[0] & 1), int.from_bytes(data[1:9], "big"), numbers[1])


def encode_tail(vector: Vector) -> str:
    """Return the text of a vector; equal vectors have equal texts."""
    parts = [bytes((_TAIL,))]
    for topic, group in groupby(sorted(vector), key=lambda place: place.topic):
        places, name, last = list(group), topic.encode(), 0
        parts += [_varint(len(name)), name, _varint(len(places))]
        for place in places:
            parts += [_varint(place.partition - last), _varint(vector[place])]
            last = place.partition
    return _text(b"".join(parts))


def decode_tail(text: str) -> dict[TopicPartition, int]:
    """Return the vector of a text; raises CursorError."""
    data = _bytes(text, _TAIL, "an SSE id or a cursor of a tail")
    vector: dict[TopicPartition, int] = {}
    at = 1
    while at < len(data):
        length, at = _read(data, at, text)
        name = data[at : at + length]
        if len(name) != length:
            raise CursorError(f"{_shown(text)} is cut short")
        count, at = _read(data, at + length, text)
        partition = 0
        for _ in range(count):
            step, at = _read(data, at, text)
            next_offset, at = _read(data, at, text)
            partition += step
            vector[TopicPartition(_topic(name, text), partition)] = next_offset
    if encode_tail(vector) != text:
        raise CursorError(f"{_shown(text)} is not a cursor of a tail")
    return vector


def encode_reject(cursor: RejectCursor) -> str:
    """Return the text of a reject cursor."""
    name = cursor.topic.encode()
    numbers = b"".join(map(_varint, (max(0, cursor.received_ms), cursor.partition, cursor.offset)))
    return _text(bytes((_REJECT,)) + numbers + name)


def decode_reject(text: str) -> RejectCursor:
    """Return the reject cursor of a text; raises CursorError."""
    data = _bytes(text, _REJECT, "the `next` of a page of rejects")
    received_ms, at = _read(data, 1, text)
    partition, at = _read(data, at, text)
    offset, at = _read(data, at, text)
    if received_ms > _RECEIVED_MS_MAX or partition >= 1 << 32:
        raise CursorError(f"{_shown(text)} is damaged")
    return RejectCursor(received_ms, _topic(data[at:], text), partition, offset)


def _topic(name: bytes, text: str) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise CursorError(f"{_shown(text)} names no topic") from error


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varints(data: bytes, text: str) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _read(data, at, text)
        yield value


def _read(data: bytes, at: int, text: str) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= _U64:
                break
            return value, at
        shift += 7
    raise CursorError(f"{_shown(text)} is cut short or damaged")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str, kind: int, what: str) -> bytes:
    if len(text) > CURSOR_CHARS_MAX:
        raise CursorError(f"a cursor of {len(text)} characters is longer than {CURSOR_CHARS_MAX}")
    try:
        if not _ALPHABET.fullmatch(text):
            raise CursorError(f"{_shown(text)} is not a cursor: it must be {what}")
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise CursorError(f"{_shown(text)} is not a cursor: it must be {what}") from error
    if not data or data[0] != kind:
        raise CursorError(f"{_shown(text)} is another kind of cursor: here it must be {what}")
    return data


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
