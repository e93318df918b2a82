"""The services file: what it means, and that every mistake is told with its place."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from deploy.dubbo.described import described
from deploy.dubbo.services import Reference, service_key
from deploy.dubbo.servicesfile import ServicesError, read_services


def file(method: dict[str, Any], **service: Any) -> str:
    return yaml.safe_dump({"services": [{"interface": "a.B", "methods": {"m": method}, **service}]})


PLAIN: dict[str, Any] = {"url": "http://models", "protocol": "tensorflow", "model": "iris", "arguments": ["rows"]}


def test_a_protocol_brings_path_body_and_the_way_into_the_answer() -> None:
    method = read_services(file(PLAIN))["a.B"].methods["m"]
    assert method.url == "http://models/v1/models/{model}:predict"
    assert method.body == {"instances": Reference(0)}
    assert (method.returns, method.bytes, method.verb) == (("predictions",), "b64-object", "POST")


def test_a_method_may_write_all_of_it_itself() -> None:
    written = {
        "url": "https://models:8443/", "path": "/score?x=1", "host": "iris.models", "arguments": ["a", "b"],
        "body": {"first": "$a.user.name", "list": ["$b", 1, True, None], "price": "$$5"}, "returns": "scores.0",
        "type": "double", "timeout": "300ms", "bytes": "b64-object",
    }  # fmt: skip
    method = read_services(file(written, timeout="2s", version="1.2", group="g"))["g/a.B:1.2"].methods["m"]
    assert method.url == "https://models:8443/score?x=1"
    assert method.body == {
        "first": Reference(0, ("user", "name")), "list": [Reference(1), 1, True, None], "price": "$5",
    }  # fmt: skip
    assert (method.returns, method.timeout_s, method.bytes) == (("scores", "0"), 0.3, "b64-object")


def test_the_models_name_may_come_from_a_caller_who_then_gives_one_input_more() -> None:
    named = PLAIN | {"model": "$name", "models": ["iris-*"], "arguments": ["name", "rows"]}
    method = read_services(file(named))["a.B"].methods["m"]
    assert (method.model, method.models) == (Reference(0), ("iris-*",))
    assert method.body == {"instances": Reference(1)}


def test_no_version_and_dubbos_empty_version_are_one() -> None:
    assert list(read_services(file(PLAIN, version="0.0.0"))) == ["a.B"]
    assert service_key("a.B", "0.0.0", "g") == "g/a.B"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "ftp://models"}, "methods.m.url: 'ftp://models/v1"),
        ({"url": "http://user@models"}, "no user or password"),
        ({"url": "http://models:port"}, "is not an http:// or https:// address"),
        ({"url": "http://mod els"}, "has blanks or other braces"),
        ({"url": "http://{name}"}, "has blanks or other braces"),
        ({"url": "http://models#x", "path": ""}, "behind # is never sent"),
        ({"protocol": "grpc"}, "methods.m.protocol: 'grpc' is none of tensorflow, seldon, v2"),
        ({"verb": "PUT"}, "neither POST nor GET"),
        ({"verb": "GET", "body": {}}, "a GET has none"),
        ({"type": "float"}, "methods.m.type: 'float'"),
        ({"class": "1a"}, "methods.m.class"),
        ({"bytes": "hex"}, "methods.m.bytes"),
        ({"timeout": "soon"}, "methods.m.timeout: 'soon' is not a duration"),
        ({"timeout": "0s"}, "is no time"),
        ({"arguments": ["a b"]}, "methods.m.arguments: 'a b' is not a name"),
        ({"arguments": ["a", "a"]}, "a name is there twice"),
        ({"arguments": ["a", "b"]}, "takes one argument besides the model's name"),
        ({"arguments": []}, "takes one argument besides the model's name"),
        ({"model": ""}, "needs the model's name"),
        ({"model": "Iris"}, "'Iris' is not a DNS label"),
        ({"model": "$name"}, "say which models callers may name"),
        ({"model": "$name", "models": ["x"]}, "'$name' is none of the arguments (rows)"),
        ({"models": ["x"]}, "the model is always 'iris'"),
        ({"model": "$rows", "models": ["x/y"]}, "other characters than a-z"),
        ({"protocol": "seldon"}, "there is no {model} in url, path or host"),
        ({"protocol": "", "path": "/{model}"}, "methods.m.body: say what the request's JSON is"),
        ({"body": {"x": "$other"}}, "methods.m.body.x: '$other' is none of the arguments"),
        ({"body": {"x": ["$rows..a"]}}, "methods.m.body.x[0]: '$rows..a' has an empty part"),
        ({"body": {1: 2}}, "the key 1 is not a text"),
        ({"retries": 1}, "unknown field `retries`"),
        ({"url": 5}, "Expected `str`, got `int` - at `$.url`"),
    ],
)
def test_a_mistake_in_a_method_is_told_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ServicesError, match=re.escape(message)) as error:
        read_services(file(PLAIN | change))
    assert str(error.value).startswith("services[0] (a.B).methods.m")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: []", "services: there is none"),
        ("- a", "the file: Expected `object`, got `array`"),
        ("a: b: c", "not YAML"),
        ("services:\n- {interface: a.B, interface: a.C, methods: {}}", "the key 'interface' is there twice"),
        ("services:\n- {interface: a/B, methods: {}}", "services[0].interface: 'a/B' is not a Java name"),
        ("services:\n- {interface: a.B, methods: {}}", "services[0] (a.B).methods: there is none"),
        ("services:\n- {interface: a.B, methods: {'': {}}}", "methods.: Object missing required field `url`"),
        (file(PLAIN, version="1 0"), "services[0] (a.B).version"),
        (file(PLAIN, group="a/b"), "services[0] (a.B).group"),
        (file(PLAIN, retries=-1), "services[0] (a.B).retries: -1"),
        (file(PLAIN, weight=20_000), "services[0] (a.B).weight"),
        (file(PLAIN, timeout="x"), "services[0] (a.B).timeout"),
        (file(PLAIN) + file(PLAIN)[len("services:\n"):], "services[1]: a.B is there twice"),
        (file(PLAIN).replace("  m:", "  $m:"), "'$m' is not the name of a Java method"),
    ],
)  # fmt: skip
def test_a_mistake_elsewhere_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ServicesError, match=re.escape(message)):
        read_services(text)


def test_what_would_be_served_is_described() -> None:
    named = PLAIN | {"model": "$name", "models": ["iris-*"], "arguments": ["name", "rows"]}
    assert list(described(read_services(file(named, version="1.0.0")))) == [
        "a.B:1.0.0",
        "  m(name, rows) -> POST http://models/v1/models/{model}:predict",
        "    model: $name, one of iris-*",
        '    body: {"instances": "$rows"}',
        "    returns: predictions",
    ]
