"""A call to the request that a method makes of it, and the model's answer to what the method returns. Pure.

Java values may share parts and contain themselves, JSON cannot: what a few references would unfold to is counted while
it is unfolded, and refused beyond the bound.
"""

from __future__ import annotations

import base64
import fnmatch
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from deploy.dubbo.frame import Status
from deploy.dubbo.hessian import Date, JavaObject, Long, Value
from deploy.dubbo.invocation import Invocation, ModelFailed, Refused
from deploy.dubbo.services import DNS_LABEL, MODEL, TENSOR, Method, Reference

DEPTH_MAX = 100
SHOWN_CHARS = 200
_NUMBER_CHARS = 20
"""What a number takes at most as JSON, with its comma."""
_NUMBERS = frozenset({int, float, Long, bool})
_BIG_NUMBERS = ("java.math.BigDecimal", "java.math.BigInteger")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent to a model."""

    verb: str
    url: str
    host: str
    model: str
    body: bytes | None


class TooLarge(Refused):
    """The arguments are more as JSON than they may be."""


def request_of(method: Method, call: Invocation, *, body_bytes_max: int, values_max: int) -> Request:
    """Return the request that this call becomes. Raises Refused, TooLarge for its size."""
    if len(call.arguments) != len(method.arguments):
        expected = f"{len(method.arguments)} ({', '.join(method.arguments)})" if method.arguments else "none"
        raise Refused(
            Status.BAD_REQUEST, f"{call.interface}.{method.name} takes {expected} arguments, not {len(call.arguments)}"
        )
    model = _model(method, call)
    url, host = method.url.replace(MODEL, model), method.host.replace(MODEL, model)
    if method.body is None:
        return Request(method.verb, url, host, model, None)
    unfold = _Unfolding(method.bytes, body_bytes_max, values_max, drop_class=call.generic)
    body = _filled(method.body, call.arguments, method, unfold)
    # NaN and Infinity are written as words, which TF Serving and Python's own servers read; strict JSON has no form.
    return Request(method.verb, url, host, model, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())


def _model(method: Method, call: Invocation) -> str:
    if not isinstance(method.model, Reference):
        return method.model
    name = _part(call.arguments, method.model, method)
    if not isinstance(name, str) or DNS_LABEL.fullmatch(name) is None:
        raise Refused(Status.BAD_REQUEST, f"the model's name {str(name)[:SHOWN_CHARS]!r} is not a DNS label")
    if not any(fnmatch.fnmatchcase(name, pattern) for pattern in method.models):
        raise Refused(Status.BAD_REQUEST, f"model {name!r} is none of those that {method.name} serves")
    return name


def _filled(node: Any, arguments: tuple[Value, ...], method: Method, unfold: _Unfolding) -> Any:
    if isinstance(node, Reference):
        return unfold(_part(arguments, node, method))
    if isinstance(node, dict):
        filled = {key: _filled(value, arguments, method, unfold) for key, value in node.items()}
        return _tensor(filled) if TENSOR in filled else filled
    if isinstance(node, list):
        return [_filled(value, arguments, method, unfold) for value in node]
    return node


def _part(arguments: tuple[Value, ...], reference: Reference, method: Method) -> Value:
    value: Value = arguments[reference.argument]
    for key in reference.path:
        try:
            value = _member(value, key)
        except LookupError:
            place = ".".join((method.arguments[reference.argument], *reference.path))
            raise Refused(Status.BAD_REQUEST, f"the arguments of {method.name} have no {place}: no {key!r}") from None
    return value


def _member(value: Value, key: str) -> Value:
    """Return a field, an entry or an element. Raises LookupError."""
    if isinstance(value, JavaObject):
        return value.fields[key]
    if isinstance(value, dict):
        return value[key]
    if isinstance(value, list) and key.isascii() and key.isdigit():
        return value[int(key)]
    raise LookupError(key)


class _Unfolding:
    """Turns Java values into JSON values, up to a size; `drop_class` leaves out the entry that names a map's class."""

    def __init__(self, bytes_as: str, bytes_max: int, values_max: int, *, drop_class: bool) -> None:
        self._bytes_as = bytes_as
        self._bytes_max = bytes_max
        self._left = bytes_max
        self._values_max = values_max
        self._values_left = values_max
        self._drop_class = drop_class

    def __call__(self, value: Value, depth: int = 0) -> Any:
        self._spend(2)
        self._count(1)
        if depth > DEPTH_MAX:
            raise Refused(Status.BAD_REQUEST, f"the arguments nest deeper than {DEPTH_MAX}, or contain themselves")
        match value:
            case list() if _NUMBERS.issuperset(map(type, value)):
                # Most of what models are asked: nothing in it needs to be looked at.
                self._spend(len(value) * _NUMBER_CHARS)
                self._count(len(value))
                unfolded: Any = value
            case list():
                unfolded = [self(item, depth + 1) for item in value]
            case dict():
                unfolded = self._map(value.items(), depth)
            case JavaObject():
                unfolded = self._object(value, depth)
            case bytes():
                unfolded = self._bytes(value)
            case str():
                self._spend(len(value))
                unfolded = value
            case Date():
                unfolded = value.milliseconds
            case _:
                self._spend(_NUMBER_CHARS)
                unfolded = value
        return unfolded

    def _count(self, values: int) -> None:
        self._values_left -= values
        if self._values_left < 0:
            text = f"the arguments unfold to more than {self._values_max} values (dubbo.values_max)"
            raise Refused(Status.BAD_REQUEST, text)

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooLarge(Status.BAD_REQUEST, f"the arguments are more than {self._bytes_max} bytes as JSON")

    def _map(self, entries: Iterable[tuple[Value, Value]], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in entries:
            # How generic=true tells the class of an object that became a map; the model has no such field.
            if self._drop_class and key == "class" and isinstance(value, str) and "." in value:
                continue
            name = self._key(key)
            self._spend(len(name))
            found[name] = self(value, depth + 1)
        return found

    def _key(self, key: Value) -> str:
        if isinstance(key, str):
            return key
        if key is None or isinstance(key, bool | int | float):
            return json.dumps(key)
        raise Refused(Status.BAD_REQUEST, f"a key of a map is a {type(key).__name__}, which JSON does not have")

    def _object(self, value: JavaObject, depth: int) -> Any:
        if value.type in _BIG_NUMBERS and isinstance(text := value.fields.get("value"), str):
            try:
                number = Decimal(text)
            except InvalidOperation:
                raise Refused(Status.BAD_REQUEST, f"{text[:SHOWN_CHARS]!r} is no number") from None
            return float(number)
        return self._map(value.fields.items(), depth)

    def _bytes(self, value: bytes) -> Any:
        self._spend(len(value) * 4 // 3)
        text = base64.b64encode(value).decode()
        return {"b64": text} if self._bytes_as == "b64-object" else text


def _tensor(filled: dict[str, Any]) -> dict[str, Any]:
    """Return a tensor of the V2 protocol: the shape of nested lists, and their values in one row."""
    data = filled.pop(TENSOR)
    shape: list[int] = []
    level: Any = data if isinstance(data, list) else [data]
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    return {**filled, "shape": shape, "data": _row(data if isinstance(data, list) else [data], shape)}


def _row(values: Any, shape: list[int]) -> list[Any]:
    deepest = len(shape) == 1
    even = isinstance(values, list) and len(values) == shape[0]
    if not even or (deepest and any(isinstance(value, list) for value in values)):
        raise Refused(Status.BAD_REQUEST, "the rows of a tensor are not all of one length")
    return list(values) if deepest else [value for row in values for value in _row(row, shape[1:])]


def value_of(method: Method, call: Invocation, answer: bytes) -> Value:
    """Return what the method returns, from the model's answer. Raises ModelFailed."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise ModelFailed(f"the model's answer is not JSON ({error}): {shown(answer)}") from error
    for key in method.returns:
        try:
            value = _member(value, key)
        except LookupError:
            where = ".".join(method.returns)
            raise ModelFailed(f"the model's answer has no {where}: no {key!r} in {shown(answer)}") from None
    if method.type:
        value = _leaves(value, _CONVERSIONS[method.type], method.type)
    return _classed(value, method.java_class, generic=call.generic) if method.java_class else value


def _leaves(value: Any, convert: Callable[[Any], Value], type_: str) -> Value:
    if isinstance(value, list):
        return [_leaves(item, convert, type_) for item in value]
    if isinstance(value, dict):
        return {key: _leaves(item, convert, type_) for key, item in value.items()}
    if value is None:
        return None
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        raise ModelFailed(f"the model's answer has {json.dumps(value)[:SHOWN_CHARS]} where a {type_} is due") from None


def _classed(value: Any, name: str, *, generic: bool) -> Value:
    """Return maps as objects of the class; for a generic caller as maps that name it."""
    if isinstance(value, list):
        return [_classed(item, name, generic=generic) for item in value]
    if not isinstance(value, dict):
        return value
    return {"class": name, **value} if generic else JavaObject(name, value)


def _whole(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _string(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_CONVERSIONS: dict[str, Callable[[Any], Value]] = {
    "int": _whole,
    "long": lambda value: Long(_whole(value)),
    "double": float,
    "string": _string,
    "boolean": _boolean,
}


def shown(answer: bytes) -> str:
    """Return the beginning of an answer, for a message."""
    text = " ".join(answer[: SHOWN_CHARS * 4].decode(errors="replace").split())
    return text[:SHOWN_CHARS] + ("…" if len(text) > SHOWN_CHARS else "")
