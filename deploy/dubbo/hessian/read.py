"""Bytes to values.

Nothing is reserved for a length before its bytes are there: each element takes at least one byte of the input, so the
time is linear in the input. What an input can become in memory is bounded by the number of values, because an empty
list of one byte takes 56 bytes here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.dubbo.hessian.scan import Scan
from deploy.dubbo.hessian.values import HessianError, JavaObject, TypedList, TypedMap, Value

_DOUBLE_CODE, _DOUBLE_MARK, _DOUBLE_BYTES = 0x44, b"D", 9
_RUN_MAX = 64
"""Bytes looked at ahead are bounded, or a list in which other forms are strewn would be looked at again and again."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one message may contain."""

    values_max: int = 1_000_000
    depth_max: int = 100


class Reader(Scan):
    """Reads one value after the other from `data`; raises HessianError."""

    __slots__ = ("_bounds", "_classes", "_depth", "_left", "_references", "_types")

    def __init__(self, data: bytes, bounds: Bounds) -> None:
        super().__init__(data)
        self._bounds = bounds
        self._left = bounds.values_max
        self._depth = 0
        self._references: list[Value] = []
        self._classes: list[tuple[str, list[str]]] = []
        self._types: list[str] = []

    def value(self) -> Value:
        """Return the next value."""
        self._left -= 1
        if self._left < 0:
            raise HessianError(f"more than {self._bounds.values_max} values in one message")
        code = self._byte()
        return _READERS[code](self, code)

    def text(self, what: str) -> str:
        """Return the next value, which must be a string; null is ""."""
        value = self.value()
        if value is None:
            return ""
        if not isinstance(value, str):
            raise HessianError(f"{what} is not a string")
        return value

    def _count(self) -> int:
        value = self.value()
        if type(value) is not int or value < 0:
            raise HessianError("a length or the number of an entry is not an int from 0")
        return value

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > self._bounds.depth_max:
            raise HessianError(f"values are nested deeper than {self._bounds.depth_max}")

    def _ends_here(self) -> bool:
        if self._position >= self._end:
            raise HessianError("the message ends within a list or a map")
        if self._data[self._position] != _TERMINATOR:
            return False
        self._position += 1
        return True

    def _type(self) -> str:
        """Return a type's name, which stands for itself the first time and as its number later on."""
        value = self.value()
        if isinstance(value, str):
            self._types.append(value)
            return value
        if type(value) is not int or not 0 <= value < len(self._types):
            raise HessianError("a type is neither a name nor the number of one")
        return self._types[value]

    def _read_list(self, code: int) -> list[Value]:
        self._enter()
        typed = code in (0x55, 0x56) or 0x70 <= code < 0x78
        items: list[Value] = TypedList(self._type()) if typed else []
        self._references.append(items)
        value, append = self.value, items.append
        if code in (0x55, 0x57):
            while not self._ends_here():
                append(value())
        else:
            left = self._count() if code < 0x60 else code & 7
            while left > 0:
                run = self._doubles(left)
                items += run
                left -= len(run)
                if left > 0:
                    append(value())
                    left -= 1
        self._depth -= 1
        return items

    def _doubles(self, most: int) -> Sequence[float]:
        """Return the doubles in their long form that follow one another here, some of them.

        Features are rows of them, and reading them one by one is most of the cost of a call.
        """
        data, start = self._data, self._position
        if start >= self._end or data[start] != _DOUBLE_CODE:
            return ()
        codes = data[start : start + min(most, _RUN_MAX) * _DOUBLE_BYTES : _DOUBLE_BYTES]
        count = min(len(codes) - len(codes.lstrip(_DOUBLE_MARK)), (self._end - start) // _DOUBLE_BYTES, self._left)
        self._left -= count
        self._position = start + count * _DOUBLE_BYTES
        return struct.unpack(">" + "xd" * count, data[start : self._position])

    def _read_map(self, code: int) -> dict[Value, Value]:
        self._enter()
        entries: dict[Value, Value] = TypedMap(self._type()) if code == 0x4D else {}
        self._references.append(entries)
        while not self._ends_here():
            key = self.value()
            try:
                entries[key] = self.value()
            except TypeError as error:
                raise HessianError("a key of a map is itself a list or a map") from error
        self._depth -= 1
        return entries

    def _read_class(self, _: int) -> Value:
        # A description stands before a value, also before another one's name: hostile input nests them.
        self._enter()
        name = self.text("the name of a class")
        # Each name takes a byte at least, so a length that lies ends at the end of the message.
        self._classes.append((name, [self.text("the name of a field") for _ in range(self._count())]))
        value = self.value()
        self._depth -= 1
        return value

    def _read_object(self, code: int) -> JavaObject:
        number = self._count() if code == 0x4F else code - 0x60
        if number >= len(self._classes):
            raise HessianError(f"there is no class number {number} in this message")
        name, fields = self._classes[number]
        found = JavaObject(name)
        self._references.append(found)
        self._enter()
        for field in fields:
            found.fields[field] = self.value()
        self._depth -= 1
        return found

    def _read_reference(self, _: int) -> Value:
        number = self._count()
        if number >= len(self._references):
            raise HessianError(f"reference {number} is to nothing in this message")
        return self._references[number]

    def _refuse(self, code: int) -> Value:
        raise HessianError(f"code 0x{code:02x} begins no value")


_TERMINATOR = 0x5A
_RANGES: tuple[tuple[int, int, Callable[[Reader, int], Value]], ...] = (
    (0x00, 0x1F, Reader._read_string),
    (0x20, 0x2F, Reader._read_bytes),
    (0x30, 0x33, Reader._read_string),
    (0x34, 0x37, Reader._read_bytes),
    (0x38, 0x3F, Reader._read_long),
    (0x41, 0x42, Reader._read_bytes),
    (0x43, 0x43, Reader._read_class),
    (0x44, 0x44, Reader._read_double),
    (0x46, 0x46, Reader._read_constant),
    (0x48, 0x48, Reader._read_map),
    (0x49, 0x49, Reader._read_int),
    (0x4A, 0x4B, Reader._read_date),
    (0x4C, 0x4C, Reader._read_long),
    (0x4D, 0x4D, Reader._read_map),
    (0x4E, 0x4E, Reader._read_constant),
    (0x4F, 0x4F, Reader._read_object),
    (0x51, 0x51, Reader._read_reference),
    (0x52, 0x53, Reader._read_string),
    (0x54, 0x54, Reader._read_constant),
    (0x55, 0x58, Reader._read_list),
    (0x59, 0x59, Reader._read_long),
    (0x5B, 0x5F, Reader._read_double),
    (0x60, 0x6F, Reader._read_object),
    (0x70, 0x7F, Reader._read_list),
    (0x80, 0xD7, Reader._read_int),
    (0xD8, 0xFF, Reader._read_long),
)
"""Which codes begin what; those in no range begin nothing."""
_READERS: list[Callable[[Reader, int], Value]] = [Reader._refuse] * 256
for _first, _last, _read in _RANGES:
    _READERS[_first : _last + 1] = [_read] * (_last + 1 - _first)
