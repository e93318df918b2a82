"""Calls: what a request's body says, and the bodies that answer it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.dubbo.frame import Status
from deploy.dubbo.hessian import Bounds, JavaObject, Reader, TypedList, Value, encode
from deploy.dubbo.invocation import Invocation, Refused, exception_body, read_call, value_body

GENERIC = "Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;"


def body(
    method: str = "score", descriptor: str = "", arguments: tuple[Value, ...] = (), attachments: Value = None
) -> bytes:
    return encode("2.0.2", "a.B", "1.0.0", method, descriptor, *arguments, attachments)


def values(data: bytes) -> list[Value]:
    reader, found = Reader(data, Bounds()), []
    while not reader.at_end:
        found.append(reader.value())
    return found


def test_a_typed_call_has_one_argument_for_each_parameter() -> None:
    call = read_call(body("m", "I[[DLjava/util/Map;", (1, [[1.0]], {}), {"timeout": "800", "group": "g"}), Bounds())
    assert (call.interface, call.version, call.group, call.method) == ("a.B", "1.0.0", "g", "m")
    assert call.arguments == (1, [[1.0]], {})
    assert call.timeout_s == 0.8
    assert not call.generic


def test_a_generic_call_is_the_call_that_it_names() -> None:
    arguments = ("score", TypedList("[string", ["java.util.List"]), TypedList("[object", [[1]]))
    call = read_call(body("$invoke", GENERIC, arguments, {"generic": "true"}), Bounds())
    assert (call.method, call.arguments, call.generic) == ("score", ([1],), True)


def test_attachments_may_be_numbers_or_objects_and_may_be_missing() -> None:
    call = read_call(body(attachments={"timeout": 1500, "o": JavaObject("a.C"), "interface": "a.D"}), Bounds())
    assert (call.timeout_s, call.interface) == (1.5, "a.D")
    assert read_call(encode("2.5.3", "a.B", "", "m", ""), Bounds()).attachments == {}


@pytest.mark.parametrize("timeout", ["", "0", "-1", "soon", "1e3", "٣", "9" * 5000])
def test_a_timeout_that_is_none_counts_as_none(timeout: str) -> None:
    assert read_call(body(attachments={"timeout": timeout}), Bounds()).timeout_s is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the message ends within a value"),
        (encode("2.0.2", "a.B", "1", "m", "Q"), "'Q' is not the descriptor of parameters"),
        (encode("2.0.2", "a.B", "1", "m", "I" * 256), "is not the descriptor of parameters"),
        (encode("2.0.2", 7, "1", "m", ""), "the path is not a string"),
        (encode("2.0.2", "a.B", "1", "m", "I"), "the message ends within a value"),
        (body("$invoke", GENERIC, ("m", None, None), {"generic": "nativejava"}), "generic=nativejava is not spoken"),
        (body("$invoke", GENERIC, (1, None, None)), "a generic call takes a method's name"),
        (body("$invoke", "I", (1,)), "a generic call takes a method's name"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(data: bytes, message: str) -> None:
    with pytest.raises(Refused, match=message.replace("(", "\\(")) as refused:
        read_call(data, Bounds())
    assert refused.value.status is Status.BAD_REQUEST


@given(st.binary(max_size=200))
def test_any_body_is_a_call_or_refused(data: bytes) -> None:
    with suppress(Refused):
        assert isinstance(read_call(data, Bounds()), Invocation)


def invocation(dubbo: str = "2.0.2", **changes: Any) -> Invocation:
    return Invocation(dubbo, "a.B", "", "", "m", (), **changes)


@pytest.mark.parametrize(("dubbo", "known"), [
    ("2.0.2", True), ("2.0.99", True), ("2.0.1", False), ("2.5.3", False), ("2.6.12", False), ("3.0.0", False),
    ("", False), ("2.0.2.1", False), ("2.0.x", False), ("2.0.100", False),
])  # fmt: skip
def test_attachments_go_to_those_who_know_them(dubbo: str, known: bool) -> None:
    told = {"id": "1"}
    assert values(value_body(invocation(dubbo), 7, told)) == ([4, 7, told] if known else [1, 7])
    assert values(value_body(invocation(dubbo), None, told)) == ([5, told] if known else [2])
    flag, thrown, *rest = values(exception_body(invocation(dubbo), "no", told))
    assert (flag, thrown.fields["detailMessage"], rest) == ((3, "no", [told]) if known else (0, "no", []))


@pytest.mark.parametrize(
    ("generic", "application", "type_"),
    [
        (True, "shop", "org.apache.dubbo.rpc.service.GenericException"),
        (True, "", "com.alibaba.dubbo.rpc.service.GenericException"),
        (False, "shop", "org.apache.dubbo.rpc.RpcException"),
        (False, "", "com.alibaba.dubbo.rpc.RpcException"),
    ],
)
def test_an_exception_is_of_a_class_that_the_caller_has(generic: bool, application: str, type_: str) -> None:
    attachments = {"remote.application": application} if application else {}
    call = invocation(generic=generic, attachments=attachments)
    thrown = values(exception_body(call, "why", {}))[1]
    assert thrown.type == type_
    assert "why" in thrown.fields.values()
