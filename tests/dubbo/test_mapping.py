"""Arguments to JSON and answers to values: every type of Java, every way in which either can be wrong."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given

from deploy.dubbo.hessian import Date, HessianError, JavaObject, Long, TypedList, Value, encode
from deploy.dubbo.invocation import Invocation, ModelFailed, Refused
from deploy.dubbo.mapping import Request, request_of, value_of
from deploy.dubbo.services import Method
from deploy.dubbo.servicesfile import read_services
from tests.dubbo.test_hessian import VALUES
from tests.dubbo.test_servicesfile import PLAIN, file

ANY = {"url": "http://m", "path": "/x", "arguments": ["x"], "body": "$x", "returns": ""}


def method(**fields: Any) -> Method:
    return read_services(file({**ANY, **fields}))["a.B"].methods["m"]


def call(*arguments: Value, generic: bool = False) -> Invocation:
    return Invocation("2.0.2", "a.B", "", "", "m", arguments, generic=generic)


def ask(of: Method, invocation: Invocation, body_bytes_max: int = 100_000, values_max: int = 1_000_000) -> Request:
    return request_of(of, invocation, body_bytes_max=body_bytes_max, values_max=values_max)


def body(of: Method, invocation: Invocation) -> Any:
    return json.loads(ask(of, invocation).body or b"")


@pytest.mark.parametrize(
    ("value", "as_json"),
    [
        (Long(5), 5),
        (TypedList("[double", [1.5, 2.0]), [1.5, 2.0]),
        ({"a": {1: True, None: 2.5}}, {"a": {"1": True, "null": 2.5}}),
        (JavaObject("a.Sample", {"user": "ada", "kind": None}), {"user": "ada", "kind": None}),
        (JavaObject("java.math.BigDecimal", {"value": "1.50"}), 1.5),
        (Date(1_500), 1500),
        (b"\x00\x01", "AAE="),
        ("\N{GRINNING FACE}", "\N{GRINNING FACE}"),
    ],
)
def test_a_value_of_java_becomes_json(value: Value, as_json: Any) -> None:
    assert body(method(), call(value)) == as_json


def test_bytes_become_what_tensorflow_serving_wants() -> None:
    of = read_services(file(PLAIN))["a.B"].methods["m"]
    assert body(of, call([b"\x00\x01"])) == {"instances": [{"b64": "AAE="}]}


def test_not_a_number_is_written_as_the_word_that_tensorflow_serving_reads() -> None:
    assert ask(method(), call([float("nan"), float("-inf")])).body == b"[NaN,-Infinity]"


def test_the_class_of_a_generic_callers_map_is_left_out_and_a_field_of_that_name_is_not() -> None:
    sample = {"class": "com.example.Sample", "age": 3}
    assert body(method(), call(sample, generic=True)) == {"age": 3}
    assert body(method(), call({"class": "gold"}, generic=True)) == {"class": "gold"}
    assert body(method(), call(sample)) == sample


def test_parts_of_an_argument_are_found_in_objects_maps_and_lists() -> None:
    of = method(body={"a": "$x.user.name", "b": "$x.rows.1"})
    value = JavaObject("a.R", {"user": {"name": "ada"}, "rows": [1, 2]})
    assert body(of, call(value)) == {"a": "ada", "b": 2}


@pytest.mark.parametrize(
    ("of", "arguments", "message"),
    [
        (method(), (), "a.B.m takes 1 (x) arguments, not 0"),
        (method(body="$x.a"), ({},), "the arguments of m have no x.a: no 'a'"),
        (method(body="$x.1"), ([1],), "the arguments of m have no x.1: no '1'"),
        (method(body="$x.a"), (7,), "the arguments of m have no x.a"),
        (method(), ({b"k": 1},), "a key of a map is a bytes"),
        (method(), ("x" * 100_001,), "more than 100000 bytes as JSON"),
        (method(), (b"x" * 80_000,), "more than 100000 bytes as JSON"),
        (method(), (JavaObject("java.math.BigDecimal", {"value": "much"}),), "'much' is no number"),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(of: Method, arguments: tuple[Value, ...], message: str) -> None:
    with pytest.raises(Refused, match=re.escape(message)):
        ask(of, call(*arguments))


def test_a_value_that_contains_itself_is_refused() -> None:
    cyclic: list[Value] = []
    cyclic.append(cyclic)
    with pytest.raises(Refused, match="contain themselves"):
        ask(method(), call(cyclic))


def test_what_unfolds_without_end_is_refused_at_the_bound() -> None:
    value: Value = ["x" * 10]
    for _ in range(40):
        value = [value, value]
    with pytest.raises(Refused, match="more than 100000 bytes"):
        ask(method(), call(value))


@pytest.mark.parametrize("leaf", [["x"], [1, 2], {"a": None}, []])
def test_values_that_references_unfold_to_are_counted_like_those_of_a_message(leaf: Value) -> None:
    value = leaf
    for _ in range(40):
        value = [value, value]
    with pytest.raises(Refused, match=re.escape("more than 10000 values (dubbo.values_max)")):
        ask(method(), call(value), body_bytes_max=1 << 30, values_max=10_000)


NAMED = read_services(file({
    "url": "http://{model}.models", "path": "/p", "host": "{model}.internal", "arguments": ["name"],
    "model": "$name", "models": ["iris-*", "fraud"], "body": {},
}))["a.B"].methods["m"]  # fmt: skip


def test_the_models_name_goes_into_address_and_host() -> None:
    request = ask(NAMED, call("iris-2"))
    assert (request.url, request.host, request.model) == ("http://iris-2.models/p", "iris-2.internal", "iris-2")


@pytest.mark.parametrize("name", ["", "other", "iris-", "iris-a.b", "iris-/../x", "iris-@evil", "iris-x\n", "IRIS-A",
                                  "iris-" + "a" * 60, 5, None])  # fmt: skip
def test_no_other_name_than_an_allowed_label_does(name: Value) -> None:
    with pytest.raises(Refused):
        ask(NAMED, call(name))


V2 = read_services(file({"url": "http://m", "protocol": "v2", "model": "iris", "arguments": ["x"]}))["a.B"].methods["m"]


@pytest.mark.parametrize(
    ("value", "shape", "data"),
    [
        ([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [3, 2], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        ([[[1], [2]]], [1, 2, 1], [1, 2]),
        ([1, 2], [2], [1, 2]),
        (7, [1], [7]),
        ([], [0], []),
        ([[], []], [2, 0], []),
    ],
)
def test_a_tensor_has_the_shape_of_its_lists(value: Value, shape: list[int], data: list[Any]) -> None:
    (tensor,) = body(V2, call(value))["inputs"]
    assert tensor == {"name": "input-0", "datatype": "FP32", "shape": shape, "data": data}


@pytest.mark.parametrize("value", [[[1], [2, 3]], [1, [2]], [[1], 2], [[[1]], [2]]])
def test_an_uneven_tensor_is_refused(value: Value) -> None:
    with pytest.raises(Refused, match="not all of one length"):
        ask(V2, call(value))


@given(VALUES)
def test_every_value_becomes_json_or_is_refused(value: Value) -> None:
    with suppress(Refused):
        json.loads(ask(method(), call(value)).body or b"")


@pytest.mark.parametrize(
    ("fields", "answer", "value"),
    [
        ({}, {"a": [1, 2.5, None]}, {"a": [1, 2.5, None]}),
        ({"returns": "a.1.b"}, {"a": [0, {"b": "c"}]}, "c"),
        ({"type": "long"}, [1, 2.0, None], [Long(1), Long(2), None]),
        ({"type": "int"}, 3.0, 3),
        ({"type": "double"}, {"a": 1}, {"a": 1.0}),
        ({"type": "string"}, [1, "b", True], ["1", "b", "true"]),
        ({"type": "boolean"}, [True], [True]),
    ],
)
def test_an_answer_becomes_the_returned_value(fields: dict[str, Any], answer: Any, value: Value) -> None:
    found = value_of(method(**fields), call(None), json.dumps(answer).encode())
    assert found == value
    assert [type(item) for item in found] == [type(item) for item in value] if isinstance(value, list) else True


def test_maps_become_objects_of_a_class_and_maps_that_name_it_for_generic_callers() -> None:
    of = method(**{"class": "a.Score"})
    (found,) = value_of(of, call(None), b'[{"risk": 0.5}]')
    assert (found.type, found.fields) == ("a.Score", {"risk": 0.5})
    assert value_of(of, call(None, generic=True), b'[{"risk": 0.5}]') == [{"class": "a.Score", "risk": 0.5}]


@pytest.mark.parametrize(
    ("fields", "answer", "message"),
    [
        ({}, b"<html>", "not JSON"),
        ({}, b"[" * 100_000, "not JSON"),
        ({}, b"\xff", "not JSON"),
        ({"returns": "predictions"}, b'{"error": "shape"}', "has no predictions: no 'predictions' in {\"error\""),
        ({"returns": "a.5"}, b'{"a": [1]}', "has no a.5: no '5'"),
        ({"type": "int"}, b"[1.5]", "has 1.5 where a int is due"),
        ({"type": "double"}, b'["x"]', 'has "x" where a double is due'),
        ({"type": "boolean"}, b"[1]", "has 1 where a boolean is due"),
        ({"type": "int"}, b"[Infinity]", "where a int is due"),
    ],
)
def test_another_answer_is_the_models_failure(fields: dict[str, Any], answer: bytes, message: str) -> None:
    with pytest.raises(ModelFailed, match=re.escape(message)):
        value_of(method(**fields), call(None), answer)


def test_a_number_beyond_a_long_has_no_form() -> None:
    with pytest.raises(HessianError, match="does not fit"):
        encode(value_of(method(), call(None), b"[18446744073709551616]"))
