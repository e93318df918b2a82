"""Real callers of three generations: what they send arrives, and they get what a Java provider would give them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.dubbo.conftest import SCORER
from tests.dubbo.models import SLOW_S, ModelServer
from tests.dubbo.program import DubboProgram
from tests.parts.dubbo import CallFailed, DubboCaller, Reference

MODELS = "com.example.Models"
ROWS = {"t": "double[][]", "v": [[1, 2.5], [3, 4]]}
SAMPLE = {
    "t": "sample",
    "v": {
        "user": "ada", "age": 36, "balance": 5_000_000_000, "features": [0.25, 0.5], "since": 1_500_000_000_123,
        "kind": "CARD", "parent": {"user": "eve"},
    },
}  # fmt: skip


def text(value: str) -> dict[str, Any]:
    return {"t": "string", "v": value}


def plain(told: Any) -> Any:
    """A told value without its classes."""
    value = told.get("v")
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


@pytest.fixture
def generic(caller: DubboCaller, gateway: DubboProgram) -> Reference:
    return generic_of(caller, gateway)


def generic_of(caller: DubboCaller, gateway: DubboProgram, **options: Any) -> Reference:
    return caller.refer(
        interface=MODELS, url=gateway.address(MODELS), version="1.0.0", group="risk", **options
    )  # fmt: skip


@pytest.fixture
def typed(caller: DubboCaller, gateway: DubboProgram) -> Reference:
    return caller.refer(generic=False, url=gateway.address(SCORER))


def test_a_generic_call_reaches_a_model_of_each_protocol(generic: Reference) -> None:
    assert generic.call("predict", text("sum"), ROWS) == {
        "t": "java.util.ArrayList",
        "v": [{"t": "java.lang.Double", "v": 3.5}, {"t": "java.lang.Double", "v": 7.0}],
    }
    assert plain(generic.call("seldon", ROWS)) == [[3.5], [7.0]]
    assert plain(generic.call("infer", ROWS)) == [10.5]
    hosted = generic.call("hosted", {"t": "map", "v": {"model": text("iris"), "user": text("ada")}})
    assert plain(hosted) == {"user": "ada"}


def test_what_java_sends_arrives_as_json(generic: Reference, models: ModelServer) -> None:
    values = {
        "string": text("Ünï\N{GRINNING FACE}"), "long": {"t": "long", "v": 2**40}, "int": {"t": "int", "v": -7},
        "short": {"t": "short", "v": 300}, "byte": {"t": "byte", "v": -1}, "char": {"t": "char", "v": "ß"},
        "float": {"t": "float", "v": 0.5}, "double": {"t": "double", "v": 0.009}, "yes": {"t": "boolean", "v": True},
        "null": {"t": "null"}, "decimal": {"t": "decimal", "v": "12.50"}, "date": {"t": "date", "v": -1},
        "bytes": {"t": "bytes", "v": "AAEC"}, "ints": {"t": "int[]", "v": [1, 2]},
        "longs": {"t": "long[]", "v": [2**40]},
        "floats": {"t": "float[]", "v": [0.5]}, "doubles": {"t": "double[]", "v": [0.1]},
        "strings": {"t": "String[]", "v": ["a", "b"]}, "linked": {"t": "linked", "v": [text("x")]},
        "set": {"t": "set", "v": [{"t": "int", "v": 1}]}, "tree": {"t": "tree", "v": {"k": text("v")}},
        "linkedmap": {"t": "linkedmap", "v": {"k": {"t": "null"}}},
        "twice": {"t": "twice", "v": {"t": "list", "v": []}},
    }  # fmt: skip
    generic.call("any", {"t": "map", "v": values})
    assert models.seen[-1].body == {
        "price": "$5",
        "it": {
            "string": "Ünï\N{GRINNING FACE}", "long": 2**40, "int": -7, "short": 300, "byte": -1, "char": "ß",
            "float": 0.5, "double": 0.009, "yes": True, "null": None, "decimal": 12.5, "date": -1, "bytes": "AAEC",
            "ints": [1, 2], "longs": [2**40], "floats": [0.5], "doubles": [0.1], "strings": ["a", "b"], "linked": ["x"],
            "set": [1], "tree": {"k": "v"}, "linkedmap": {"k": None}, "twice": [[], []],
        },
    }  # fmt: skip


def test_an_object_arrives_with_its_fields(generic: Reference, models: ModelServer) -> None:
    generic.call("any", SAMPLE)
    sent = models.seen[-1].body["it"]
    assert sent.pop("kind") == {"name": "CARD"}
    parent = sent.pop("parent")
    assert (parent["user"], parent["features"], parent["age"]) == ("eve", None, 0)
    assert sent == {
        "user": "ada", "age": 36, "balance": 5_000_000_000, "features": [0.25, 0.5], "since": 1_500_000_000_123,
    }  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        {"t": "null"}, {"t": "int", "v": 2**31 - 1}, {"t": "long", "v": 5}, {"t": "long", "v": -(2**63)},
        {"t": "double", "v": 12.24}, {"t": "double", "v": "NaN"}, {"t": "double", "v": 65.536},
        {"t": "boolean", "v": True},
        {"t": "date", "v": 1_500_000_000_123}, {"t": "date", "v": 60_000}, {"t": "bytes", "v": "AAEC" * 30_000},
        text(""), text("a" * 40_000), text("\N{GRINNING FACE}ä世" * 30_000),
        {"t": "int[]", "v": list(range(300))}, {"t": "double[][]", "v": [[1.5], [2.5, 3.5]]},
        {"t": "String[]", "v": ["a", "b"]}, {"t": "set", "v": [text("a")]},
        {"t": "tree", "v": {"a": {"t": "int", "v": 1}}},
        {"t": "linked", "v": [text("a"), {"t": "null"}]}, {"t": "twice", "v": {"t": "map", "v": {"a": text("b")}}},
        {"t": "cyclic", "v": "round"}, {"t": "deep", "v": 60}, SAMPLE,
    ],
    ids=lambda value: f"{value['t']}-{str(value.get('v'))[:8]}",
)  # fmt: skip
def test_echo_gives_java_back_the_object_that_it_sent(typed: Reference, value: Any) -> None:
    echoed = typed.echo(value)
    sent = {"long": "java.lang.Long", "set": "java.util.HashSet", "tree": "java.util.TreeMap", "int[]": "int[]",
            "double[][]": "double[][]", "String[]": "java.lang.String[]", "linked": "java.util.LinkedList",
            "date": "java.util.Date", "bytes": "byte[]", "sample": "milepost.test.Sample"}  # fmt: skip
    assert echoed["t"] == sent.get(value["t"], echoed["t"])
    if value["t"] == "cyclic":
        assert echoed["v"] == [{"t": "java.lang.String", "v": "round"}, {"t": "again"}]
    elif value["t"] == "twice":
        assert [item["t"] for item in echoed["v"]] == ["java.util.HashMap", "again"]
    elif value["t"] == "sample":
        assert {key: plain(echoed)[key] for key in ("user", "balance", "features", "since", "kind")} == {
            key: value["v"][key] for key in ("user", "balance", "features", "since", "kind")
        }
    elif value["t"] not in ("deep", "set", "linked", "tree"):
        assert plain(echoed) == value.get("v")


def test_a_typed_caller_gets_objects_of_its_own_classes(typed: Reference) -> None:
    score = {
        "t": "milepost.test.Score",
        "v": {
            "user": {"t": "java.lang.String", "v": "ada"},
            "risk": {"t": "java.lang.Double", "v": 0.75},
            "rows": {"t": "java.lang.Long", "v": 3_000_000_000},
        },
    }
    assert typed.call("score", SAMPLE) == score
    assert typed.call("scoreAll", {"t": "list", "v": [SAMPLE, SAMPLE]})["v"] == [score, score]


def test_a_typed_caller_gets_arrays_and_numbers_of_its_types(typed: Reference) -> None:
    assert typed.call("matrix", ROWS)["t"] == "double[][]"
    assert typed.call("count", {"t": "long", "v": 7}) == {"t": "java.lang.Long", "v": 7}
    assert typed.call("image", {"t": "bytes", "v": "AAEC"}) == {"t": "java.lang.String", "v": "3"}


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("predict", (text("broken"), ROWS), "answered 400: {\"error\": \"Matrix size-incompatible"),
        ("predict", (text("no-json"), ROWS), "the model's answer is not JSON"),
        ("predict", (text("huge"), ROWS), "more than 16777216 bytes (model.answer_max)"),
        ("predict", (text("big-number"), ROWS), "does not fit a Java long"),
        ("predict", (text("moved"), ROWS), "answered 302"),
        ("predict", (text("other"), ROWS), "model 'other' is none of those that predict serves"),
        ("nowhere", (ROWS,), "cannot be reached at http://127.0.0.1:1/v1/models/sum:predict"),
        ("brief", (ROWS,), "took longer than 300 ms"),
        ("missing", (ROWS,), "has no method missing here; there is any, brief"),
    ],
)  # fmt: skip
def test_a_failure_says_in_java_what_went_wrong(
    generic: Reference, method: str, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(CallFailed) as failed:
        generic.call(method, *arguments)
    assert message in failed.value.message
    assert failed.value.error.endswith((".rpc.RpcException", ".rpc.service.GenericException"))


def test_a_typed_caller_gets_the_models_failure_as_an_rpc_exception(typed: Reference) -> None:
    with pytest.raises(CallFailed, match=r"answered 400: .*Matrix size-incompatible") as failed:
        typed.call("broken", ROWS)
    assert failed.value.error.endswith("dubbo.rpc.RpcException")


def test_a_caller_that_does_not_wait_so_long_gives_up(caller: DubboCaller, gateway: DubboProgram) -> None:
    hasty = generic_of(caller, gateway, timeout=400)
    started = time.monotonic()
    with pytest.raises(CallFailed, match=r"[Tt]imeout|took longer than 400 ms"):
        hasty.call("predict", text("slow"), ROWS)
    assert time.monotonic() - started < SLOW_S


def test_the_callers_timeout_ends_the_request_to_the_model(
    caller_of: Callable[[str], DubboCaller], gateway: DubboProgram
) -> None:
    counted = {"interface": MODELS, "method": "predict", "outcome": "timeout"}
    # Callers of 2.7 do not tell how long they wait.
    for version in ("2.6.12", "3.3.2"):
        before = gateway.metric("requests_total", **counted)
        with pytest.raises(CallFailed):
            generic_of(caller_of(version), gateway, timeout=300).call("predict", text("slow"), ROWS)
        deadline = time.monotonic() + SLOW_S - 0.5
        while gateway.metric("requests_total", **counted) == before:
            assert time.monotonic() < deadline, version
            time.sleep(0.02)


def test_many_calls_interleave_on_one_connection_and_each_gets_its_own_answer(
    generic: Reference, gateway: DubboProgram
) -> None:
    rows = [[text("unhurried" if number % 3 else "sum"), {"t": "double[][]", "v": [[number]]}] for number in range(300)]
    started = time.monotonic()
    outcomes = generic.many("predict", rows, threads=60)
    assert [plain(outcome["value"]) for outcome in outcomes] == [[float(number)] for number in range(300)]
    assert time.monotonic() - started < 200 * 0.2 / 4, "the slow ones ran side by side"
    assert gateway.metric("connections") <= 6, "Dubbo shares a connection among references"


@pytest.mark.parametrize("version", ["2.7.23", "3.3.2"])
def test_an_asynchronous_generic_call_is_answered(
    caller_of: Callable[[str], DubboCaller], gateway: DubboProgram, version: str
) -> None:
    reference = generic_of(caller_of(version), gateway)
    assert plain(reference.call("predict", text("sum"), ROWS, op="async")) == [3.5, 7.0]


def test_a_one_way_call_is_done(caller: DubboCaller, gateway: DubboProgram, models: ModelServer) -> None:
    finished = models.finished
    assert generic_of(caller, gateway, oneWay="predict").call("predict", text("unhurried"), ROWS)["t"] == "null"
    deadline = time.monotonic() + 5
    while models.finished == finished:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_another_serialization_is_told_what_is_spoken(
    caller_of: Callable[[str], DubboCaller], gateway: DubboProgram
) -> None:
    other = {"serialization": "fastjson2", "prefer.serialization": "fastjson2"}
    reference = generic_of(caller_of("3.3.2"), gateway, parameters=other)
    with pytest.raises(CallFailed, match=r"only hessian2 \(2\) is spoken here, not fastjson2 \(23\)"):
        reference.call("predict", text("sum"), ROWS)


def test_a_call_of_megabytes_goes_through(generic: Reference, models: ModelServer) -> None:
    picture = {"t": "bytes", "v": "AAECAwQF" * 500_000}
    assert plain(generic.call("any", picture)) == picture["v"]
    assert models.seen[-1].body["it"] == picture["v"]
