"""What Hessian has and Python has not; everything else is None, bool, int, float, str, bytes, list or dict.

The types that Java named are kept, so that a value that is only passed through comes back as it went in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Value = Any
"""None, bool, int, float, str, bytes, list, dict or a class below; lists and objects may contain themselves."""


class HessianError(ValueError):
    """Bytes that are no Hessian value within the bounds, or a value without a Hessian form; the message says why."""


class Long(int):
    """A Java long, however small: an int that fits 32 bits is a Java int otherwise."""

    __slots__ = ()


class TypedList(list[Value]):
    """A list whose type Java named: an array (`[double`, `[string`) or a collection (`java.util.HashSet`)."""

    __slots__ = ("type",)

    def __init__(self, type_: str, items: list[Value] | tuple[Value, ...] = ()) -> None:
        super().__init__(items)
        self.type = type_


class TypedMap(dict[Value, Value]):
    """A map whose type Java named, `java.util.TreeMap`."""

    __slots__ = ("type",)

    def __init__(self, type_: str) -> None:
        super().__init__()
        self.type = type_


@dataclass(frozen=True, slots=True)
class Date:
    """An instant: milliseconds since 1970 UTC. Java's range is wider than that of Python's datetime."""

    milliseconds: int


@dataclass(slots=True, eq=False)
class JavaObject:
    """An object of a Java class with the fields that were sent."""

    type: str
    fields: dict[str, Value] = field(default_factory=dict)
