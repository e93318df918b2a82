"""Calls and their outcomes as the bodies of frames. Pure.

A request's body is a row of Hessian values: Dubbo's version, path, the service's version, method, parameter descriptor,
the arguments, attachments (`DecodeableRpcInvocation`). An answer's is a number that says what follows, the value or the
exception, and attachments for callers that know them (`DubboCodec`).

Two kinds of failure reach a Java caller in different ways, and the difference matters: a status other than OK becomes
an RpcException that the cluster of the caller tries again, elsewhere, up to its `retries`; an exception as the outcome
is thrown as it is. What never reached a model is told by status, and so is a timeout, as the caller's own would be.
What a model answered is told by exception, because nobody knows whether that call may be repeated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from deploy.dubbo.frame import Status
from deploy.dubbo.hessian import Bounds, HessianError, JavaObject, Reader, Value, encode

GENERIC_METHODS = ("$invoke", "$invokeAsync")
ECHO = "$echo"
GENERIC_TRUE = ("true", "")
"""What attachment `generic` says when values are plain maps and lists; callers before 2.7 may leave it out."""
ARGUMENTS_MAX = 255
"""The most parameters of a Java method."""
_ATTACHMENTS_SINCE, _ATTACHMENTS_UNTIL = 20002, 20099
_WITH_ATTACHMENTS = 3
_EXCEPTION, _VALUE, _NULL = 0, 1, 2
_PARAMETER = re.compile(r"\[*(?:[ZBCDFIJS]|L[^;\[(]+;)")
_TIMEOUT_MS = re.compile(r"[1-9][0-9]{0,9}")
_RPC_UNKNOWN = 0


class Refused(Exception):  # noqa: N818 - an outcome
    """The call was not passed on to a model; a status and a text tell the caller."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status


class ModelFailed(Exception):  # noqa: N818 - an outcome
    """The model, or what stands before it, answered something else than a result; an exception tells the caller."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call: of a typed method, or of a generic one with the method that it names."""

    dubbo: str
    interface: str
    version: str
    group: str
    method: str
    arguments: tuple[Value, ...]
    attachments: dict[str, str] = field(default_factory=dict)
    generic: bool = False

    @property
    def timeout_s(self) -> float | None:
        """How long the caller waits, when it says so."""
        text = self.attachments.get("timeout", "")
        return int(text) / 1000 if _TIMEOUT_MS.fullmatch(text) else None

    @property
    def application(self) -> str:
        """The caller's name of itself, or ""."""
        return self.attachments.get("remote.application") or self.attachments.get("application", "")


def read_call(body: bytes, bounds: Bounds) -> Invocation:
    """Return the call of a request's body. Raises Refused."""
    try:
        return _read(Reader(body, bounds))
    except HessianError as error:
        raise Refused(Status.BAD_REQUEST, f"the request cannot be read: {error}") from error


def _read(reader: Reader) -> Invocation:
    dubbo = reader.text("Dubbo's version")
    path = reader.text("the path")
    version = reader.text("the service's version")
    method = reader.text("the method")
    count = len(_parameters(reader.text("the parameter descriptor")))
    arguments = tuple(reader.value() for _ in range(count))
    given = None if reader.at_end else reader.value()
    attachments = _strings(given)
    call = Invocation(
        dubbo,
        attachments.get("interface") or path,
        attachments.get("version", version),
        attachments.get("group", ""),
        method,
        arguments,
        attachments,
    )
    return _named(call) if method in GENERIC_METHODS else call


def _parameters(descriptor: str) -> list[str]:
    found = _PARAMETER.findall(descriptor)
    if "".join(found) != descriptor or len(found) > ARGUMENTS_MAX:
        raise HessianError(f"{descriptor[:200]!r} is not the descriptor of parameters")
    return found


def _strings(attachments: Value) -> dict[str, str]:
    """Keep strings and numbers: Dubbo 3 lets callers attach objects too, which mean nothing here."""
    if not isinstance(attachments, dict):
        return {}
    told = attachments.items()
    return {key: str(value) for key, value in told if isinstance(key, str) and isinstance(value, str | int)}


def _named(call: Invocation) -> Invocation:
    """Return the call that a generic call names."""
    kind = call.attachments.get("generic", "")
    if kind not in GENERIC_TRUE:
        raise Refused(Status.BAD_REQUEST, f"generic={kind} is not spoken here; call with generic=true")
    match call.arguments:
        case (str() as method, list() | None, (list() | None) as values):
            return Invocation(
                call.dubbo,
                call.interface,
                call.version,
                call.group,
                method,
                tuple(values or ()),
                call.attachments,
                generic=True,
            )
    raise Refused(Status.BAD_REQUEST, "a generic call takes a method's name, its parameter types and its arguments")


def value_body(call: Invocation, value: Value, told: dict[str, str]) -> bytes:
    """Return the body of a result; `told` are attachments. Raises HessianError."""
    return _body(call, _NULL if value is None else _VALUE, (() if value is None else (value,)), told)


def exception_body(call: Invocation, text: str, told: dict[str, str]) -> bytes:
    """Return the body that makes the caller throw an exception with this text."""
    return _body(call, _EXCEPTION, (_exception(call, text),), told)


def text_body(text: str) -> bytes:
    """Return the body of a status other than OK."""
    return encode(text)


def _body(call: Invocation, kind: int, values: tuple[Value, ...], told: dict[str, str]) -> bytes:
    if _knows_attachments(call.dubbo):
        return encode(kind + _WITH_ATTACHMENTS, *values, told)
    return encode(kind, *values)


def _knows_attachments(dubbo: str) -> bool:
    parts = dubbo.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 3 for part in parts):
        return False
    number = int(parts[0]) * 10_000 + int(parts[1]) * 100 + int(parts[2])
    return _ATTACHMENTS_SINCE <= number <= _ATTACHMENTS_UNTIL


def _exception(call: Invocation, text: str) -> JavaObject:
    """Return the exception in classes that the caller has: those of Apache since 2.7, of Alibaba before.

    The bodies of 2.6 and 2.7 carry the same version. What tells them apart is that callers since 2.7 attach their
    application's name. 2.7 has both classes, so that a wrong guess about it does no harm.
    """
    root = "org.apache.dubbo" if call.application else "com.alibaba.dubbo"
    if not call.generic:
        return JavaObject(f"{root}.rpc.RpcException", {"code": _RPC_UNKNOWN, "detailMessage": text})
    named = {"exceptionClass": f"{root}.rpc.RpcException", "exceptionMessage": text, "detailMessage": text}
    return JavaObject(f"{root}.rpc.service.GenericException", named)
