"""Bytes to what holds no other value: texts, bytes, numbers, dates, constants."""

from __future__ import annotations

import struct

from deploy.dubbo.hessian.text import decoded, end_of_units
from deploy.dubbo.hessian.values import Date, HessianError, Long

_INT = struct.Struct(">i")
_LONG = struct.Struct(">q")
_SHORT = struct.Struct(">h")
_DOUBLE = struct.Struct(">d")


class Scan:
    """A place in `data`, and the readers of single values by their code; they raise HessianError."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = len(data)
        self._position = 0

    @property
    def at_end(self) -> bool:
        """Whether all bytes were read."""
        return self._position >= self._end

    def _byte(self) -> int:
        position = self._position
        if position >= self._end:
            raise HessianError("the message ends within a value")
        self._position = position + 1
        return self._data[position]

    def _take(self, count: int) -> bytes:
        position = self._position
        if count < 0 or count > self._end - position:
            raise HessianError(f"a length of {count} bytes goes beyond the message")
        self._position = position + count
        return self._data[position : position + count]

    def _int32(self) -> int:
        return int(_INT.unpack(self._take(4))[0])

    # Strings and bytes come in chunks: `R` and `A` say that another one follows.

    def _read_string(self, code: int) -> str:
        if code < 0x20:
            raw = self._units(code)
        elif code < 0x34:
            raw = self._units((code - 0x30) << 8 | self._byte())
        else:
            chunks = []
            while code == 0x52:
                chunks.append(self._units(self._short_length()))
                code = self._byte()
            chunks.append(self._last_string_chunk(code))
            raw = b"".join(chunks)
        return decoded(raw)

    def _last_string_chunk(self, code: int) -> bytes:
        if code == 0x53:
            return self._units(self._short_length())
        if code < 0x20:
            return self._units(code)
        if 0x30 <= code < 0x34:
            return self._units((code - 0x30) << 8 | self._byte())
        raise HessianError(f"code 0x{code:02x} where a string goes on")

    def _short_length(self) -> int:
        high, low = self._take(2)
        return high << 8 | low

    def _units(self, units: int) -> bytes:
        start = self._position
        self._position = end_of_units(self._data, start, units)
        return self._data[start : self._position]

    def _read_bytes(self, code: int) -> bytes:
        chunks = []
        while code == 0x41:
            chunks.append(self._take(self._short_length()))
            code = self._byte()
        if code == 0x42:
            chunks.append(self._take(self._short_length()))
        elif 0x20 <= code < 0x30:
            chunks.append(self._take(code - 0x20))
        elif 0x34 <= code < 0x38:
            chunks.append(self._take((code - 0x34) << 8 | self._byte()))
        else:
            raise HessianError(f"code 0x{code:02x} where bytes go on")
        return b"".join(chunks)

    # Numbers: a code's distance from the middle of its range is the high part.

    def _read_int(self, code: int) -> int:
        if code == 0x49:
            return self._int32()
        if code < 0xC0:
            return code - 0x90
        if code < 0xD0:
            return (code - 0xC8) << 8 | self._byte()
        return (code - 0xD4) << 16 | self._short_length()

    def _read_long(self, code: int) -> Long:
        if code == 0x4C:
            return Long(_LONG.unpack(self._take(8))[0])
        if code == 0x59:
            return Long(self._int32())
        if code >= 0xF0:
            return Long((code - 0xF8) << 8 | self._byte())
        if code >= 0xD8:
            return Long(code - 0xE0)
        return Long((code - 0x3C) << 16 | self._short_length())

    def _read_double(self, code: int) -> float:
        if code == 0x44:
            return float(_DOUBLE.unpack(self._take(8))[0])
        if code < 0x5D:
            return float(code - 0x5B)
        if code == 0x5D:
            return float(self._byte() ^ 0x80) - 0x80
        if code == 0x5E:
            return float(_SHORT.unpack(self._take(2))[0])
        return 0.001 * self._int32()

    def _read_date(self, code: int) -> Date:
        return Date(_LONG.unpack(self._take(8))[0] if code == 0x4A else self._int32() * 60_000)

    def _read_constant(self, code: int) -> bool | None:
        return {0x4E: None, 0x54: True, 0x46: False}[code]
