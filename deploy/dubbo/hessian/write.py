"""Values to bytes, in compact forms.

A list, map or object that was written before is written as a reference, so that values that contain themselves end,
and Java gets back the shape that it sent.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

from deploy.dubbo.hessian.text import units_of
from deploy.dubbo.hessian.values import Date, HessianError, JavaObject, Long, TypedList, TypedMap, Value

_CHUNK = 0x8000
_DEPTH_MAX = 200


class Writer:
    """Collects values one after the other; `done()` returns the bytes. Raises HessianError."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._numbers: dict[int, int] = {}
        # Their ids must stay theirs until the end.
        self._kept: list[Value] = []
        self._classes: dict[tuple[str, ...], int] = {}
        self._types: dict[str, int] = {}
        self._depth = 0

    def done(self) -> bytes:
        """Return everything that was written."""
        return bytes(self._out)

    def value(self, value: Value) -> None:
        """Write one value."""
        write = _WRITERS.get(type(value))
        if write is None:
            raise HessianError(f"a value of type {type(value).__name__} has no Hessian form")
        write(self, value)

    def _write_null(self, _: None) -> None:
        self._out.append(0x4E)

    def _write_bool(self, value: bool) -> None:
        self._out.append(0x54 if value else 0x46)

    def _write_int(self, value: int) -> None:
        """Write a Java int, or a long when it needs one."""
        out = self._out
        if -0x10 <= value <= 0x2F:
            out.append(0x90 + value)
        elif -0x800 <= value <= 0x7FF:
            out += bytes((0xC8 + (value >> 8), value & 0xFF))
        elif -0x40000 <= value <= 0x3FFFF:
            out += bytes((0xD4 + (value >> 16), value >> 8 & 0xFF, value & 0xFF))
        elif -0x80000000 <= value <= 0x7FFFFFFF:
            out += struct.pack(">Bi", 0x49, value)
        else:
            self._write_long(value)

    def _write_long(self, value: int) -> None:
        out = self._out
        if -0x08 <= value <= 0x0F:
            out.append(0xE0 + value)
        elif -0x800 <= value <= 0x7FF:
            out += bytes((0xF8 + (value >> 8), value & 0xFF))
        elif -0x40000 <= value <= 0x3FFFF:
            out += bytes((0x3C + (value >> 16), value >> 8 & 0xFF, value & 0xFF))
        elif -0x80000000 <= value <= 0x7FFFFFFF:
            out += struct.pack(">Bi", 0x59, value)
        elif -(2**63) <= value < 2**63:
            out += struct.pack(">Bq", 0x4C, value)
        else:
            raise HessianError(f"the integer {value} does not fit a Java long")

    def _write_double(self, value: float) -> None:
        # Java writes -0.0 as 0; the long form keeps the sign, and every Java reads it.
        if value.is_integer() and -0x8000 <= value <= 0x7FFF and str(value) != "-0.0":
            whole = int(value)
            if whole in (0, 1):
                self._out.append(0x5B + whole)
            elif -0x80 <= whole <= 0x7F:
                self._out += struct.pack(">Bb", 0x5D, whole)
            else:
                self._out += struct.pack(">Bh", 0x5E, whole)
        else:
            self._out += struct.pack(">Bd", 0x44, value)

    def _write_date(self, value: Date) -> None:
        self._out += struct.pack(">Bq", 0x4A, value.milliseconds)

    def _write_bytes(self, value: bytes) -> None:
        out, start = self._out, 0
        while len(value) - start > _CHUNK:
            out += struct.pack(">BH", 0x41, _CHUNK)
            out += value[start : start + _CHUNK]
            start += _CHUNK
        rest = value[start:]
        out += bytes((0x20 + len(rest),)) if len(rest) < 0x10 else struct.pack(">BH", 0x42, len(rest))
        out += rest

    def _write_string(self, value: str) -> None:
        units, start = units_of(value), 0
        while len(units) - start > _CHUNK:
            # A pair stays together: that is how Java cuts as well.
            size = _CHUNK - (0xD800 <= ord(units[start + _CHUNK - 1]) < 0xDC00)
            self._string_chunk(b"\x52" + size.to_bytes(2, "big"), units[start : start + size])
            start += size
        length = len(units) - start
        if length < 0x20:
            head = bytes((length,))
        elif length < 0x400:
            head = bytes((0x30 + (length >> 8), length & 0xFF))
        else:
            head = struct.pack(">BH", 0x53, length)
        self._string_chunk(head, units[start:])

    def _string_chunk(self, head: bytes, units: str) -> None:
        self._out += head
        self._out += units.encode("utf-8", "surrogatepass")

    def _write_list(self, items: list[Value]) -> None:
        if self._refers(items):
            return
        typed = isinstance(items, TypedList)
        if len(items) < 8:
            self._out.append((0x70 if typed else 0x78) + len(items))
        else:
            self._out.append(0x56 if typed else 0x58)
        if isinstance(items, TypedList):
            self._type(items.type)
        if len(items) >= 8:
            self._write_int(len(items))
        self._nested(items)

    def _write_map(self, entries: dict[Value, Value]) -> None:
        if self._refers(entries):
            return
        if isinstance(entries, TypedMap):
            self._out.append(0x4D)
            self._type(entries.type)
        else:
            self._out.append(0x48)
        self._nested(part for entry in entries.items() for part in entry)
        self._out.append(0x5A)

    def _write_object(self, value: JavaObject) -> None:
        if self._refers(value):
            return
        shape = (value.type, *value.fields)
        number = self._classes.get(shape)
        if number is None:
            number = self._classes[shape] = len(self._classes)
            self._out.append(0x43)
            self._write_string(value.type)
            self._write_int(len(value.fields))
            for name in value.fields:
                self._write_string(name)
        if number < 0x10:
            self._out.append(0x60 + number)
        else:
            self._out.append(0x4F)
            self._write_int(number)
        self._nested(value.fields.values())

    def _refers(self, value: Value) -> bool:
        number = self._numbers.get(id(value))
        if number is None:
            self._numbers[id(value)] = len(self._numbers)
            self._kept.append(value)
            return False
        self._out.append(0x51)
        self._write_int(number)
        return True

    def _type(self, name: str) -> None:
        number = self._types.get(name)
        if number is None:
            self._types[name] = len(self._types)
            self._write_string(name)
        else:
            self._write_int(number)

    def _nested(self, values: Iterable[Value]) -> None:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise HessianError(f"values are nested deeper than {_DEPTH_MAX}")
        for value in values:
            self.value(value)
        self._depth -= 1


def encode(*values: Value) -> bytes:
    """Return the bytes of these values, one after the other. Raises HessianError."""
    writer = Writer()
    for value in values:
        writer.value(value)
    return writer.done()


_WRITERS: dict[type, Callable[[Writer, Any], None]] = {
    type(None): Writer._write_null,
    bool: Writer._write_bool,
    int: Writer._write_int,
    Long: Writer._write_long,
    float: Writer._write_double,
    str: Writer._write_string,
    bytes: Writer._write_bytes,
    Date: Writer._write_date,
    list: Writer._write_list,
    TypedList: Writer._write_list,
    dict: Writer._write_map,
    TypedMap: Writer._write_map,
    JavaObject: Writer._write_object,
}
