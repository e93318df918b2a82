"""The services file: which interfaces are served, and which request to which model each of their methods becomes. Pure.

    services:
      - interface: com.example.risk.FraudService
        version: 1.0.0
        methods:
          score:
            protocol: tensorflow
            url: http://fraud.models.internal
            model: fraud
            arguments: [instances]

A protocol is a row of defaults for `path`, `body`, `returns` and `bytes`, each of which a method may write itself. In
a body, `$name` stands for an argument and `$name.field` for a part of it. Every mistake is found when the file is
read, and told with its place.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from deploy.dubbo.services import DNS_LABEL, MODEL, PROTOCOLS, TYPES, Method, Protocol, Reference, Service, Services
from milepost.units import parse_duration

_JAVA_NAME = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PATTERN = re.compile(r"[a-z0-9*-]+")
_KEY_PART = re.compile(r"[\w.+-]*", re.ASCII)


class ServicesError(ValueError):
    """The services file cannot be used; the message names the place and what is wrong with it."""


def read_services(text: str) -> Services:
    """Return the services of a file by their keys. Raises ServicesError."""
    try:
        content = yaml.load(text, Loader=_Strict)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ServicesError(f"not YAML: {error}") from error
    file = _convert(content, _File, "the file")
    if not file.services:
        raise ServicesError("services: there is none")
    found: dict[str, Service] = {}
    for number, raw in enumerate(file.services):
        service = _service(raw, f"services[{number}]")
        if service.key in found:
            raise ServicesError(f"services[{number}]: {service.key} is there twice")
        found[service.key] = service
    return found


class _File(msgspec.Struct, forbid_unknown_fields=True):
    services: list[Any]


class _Service(msgspec.Struct, forbid_unknown_fields=True):
    interface: str
    methods: dict[str, Any]
    version: str = ""
    group: str = ""
    timeout: str = ""
    retries: int | None = None
    weight: int = 100


class _Method(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    url: str
    protocol: str = ""
    path: str | None = None
    host: str = ""
    verb: str = "POST"
    model: str = ""
    models: list[str] = []
    arguments: list[str] = []
    body: Any = msgspec.UNSET
    returns: str | None = None
    type: str = ""
    class_: str = msgspec.field(default="", name="class")
    bytes: str = ""
    timeout: str = ""


class _Strict(yaml.SafeLoader):
    """Refuses a key that is there twice: the last one would count, and nobody would know."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            value = self.construct_object(key, deep=True)
            if isinstance(value, str) and value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {value!r} is there twice", key.start_mark)
            if isinstance(value, str):
                seen.add(value)
        return super().construct_mapping(node, deep)


def _service(content: Any, place: str) -> Service:
    raw = _convert(content, _Service, place)
    _demand(_JAVA_NAME.fullmatch(raw.interface), f"{place}.interface: {raw.interface!r} is not a Java name")
    place = f"{place} ({raw.interface})"
    for field in ("version", "group"):
        value = getattr(raw, field)
        _demand(_KEY_PART.fullmatch(value), f"{place}.{field}: {value!r} has other characters than a-z, 0-9, .+-_")
    _demand(raw.methods, f"{place}.methods: there is none")
    _demand(raw.retries is None or 0 <= raw.retries <= 10, f"{place}.retries: {raw.retries} is not between 0 and 10")
    _demand(0 <= raw.weight <= 10_000, f"{place}.weight: {raw.weight} is not between 0 and 10000")
    return Service(
        raw.interface,
        "" if raw.version == "0.0.0" else raw.version,
        raw.group,
        {name: _method(name, body, f"{place}.methods.{name}") for name, body in raw.methods.items()},
        _duration(raw.timeout, f"{place}.timeout"),
        raw.retries,
        raw.weight,
    )


def _method(name: str, content: Any, place: str) -> Method:
    raw = _convert(content, _Method, place)
    _demand(_NAME.fullmatch(name), f"{place}: {name!r} is not the name of a Java method")
    _demand(raw.protocol in ("", *PROTOCOLS), f"{place}.protocol: {raw.protocol!r} is none of {', '.join(PROTOCOLS)}")
    _demand(raw.verb in ("POST", "GET"), f"{place}.verb: {raw.verb!r} is neither POST nor GET")
    _demand(raw.type in ("", *TYPES), f"{place}.type: {raw.type!r} is none of {', '.join(TYPES)}")
    _demand(not raw.class_ or _JAVA_NAME.fullmatch(raw.class_), f"{place}.class: {raw.class_!r} is not a class's name")
    _demand(raw.bytes in ("", "base64", "b64-object"), f"{place}.bytes: {raw.bytes!r} is neither base64 nor b64-object")
    for argument in raw.arguments:
        _demand(_NAME.fullmatch(argument), f"{place}.arguments: {argument!r} is not a name")
    _demand(len(set(raw.arguments)) == len(raw.arguments), f"{place}.arguments: a name is there twice")
    protocol = PROTOCOLS.get(raw.protocol, Protocol("", None, ""))
    url = raw.url.rstrip("/") + (protocol.path if raw.path is None else raw.path)
    _check_address(url, raw.host, place)
    model = _model(raw, url, place)
    return Method(
        name,
        tuple(raw.arguments),
        url,
        raw.host,
        raw.verb,
        _body(raw, protocol, model, place),
        _path(protocol.returns if raw.returns is None else raw.returns),
        raw.type,
        raw.class_,
        raw.bytes or protocol.bytes,
        model,
        tuple(raw.models),
        _duration(raw.timeout, f"{place}.timeout"),
    )


def _check_address(url: str, host: str, place: str) -> None:
    try:
        parts = urlsplit(url.replace(MODEL, "model"))
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        named, parts = False, urlsplit("")
    _demand(parts.scheme in ("http", "https") and named, f"{place}.url: {url!r} is not an http:// or https:// address")
    _demand("@" not in parts.netloc, f"{place}.url: no user or password belongs there")
    _demand(not parts.fragment, f"{place}.url: a part behind # is never sent")
    for text in (url, host):
        _demand(not re.search(r"[\s{}]", text.replace(MODEL, "")), f"{place}: {text!r} has blanks or other braces")


def _model(raw: _Method, url: str, place: str) -> str | Reference:
    wanted = MODEL in url or MODEL in raw.host
    _demand(raw.model or not wanted, f"{place}.model: {url} needs the model's name, or $argument that gives it")
    _demand(wanted or not raw.model, f"{place}.model: there is no {MODEL} in url, path or host")
    if not raw.model.startswith("$"):
        _demand(not raw.models, f"{place}.models: the model is always {raw.model!r}")
        _demand(not raw.model or DNS_LABEL.fullmatch(raw.model), f"{place}.model: {raw.model!r} is not a DNS label")
        return raw.model
    _demand(raw.models, f"{place}.models: say which models callers may name, as names or patterns with *")
    for pattern in raw.models:
        _demand(_PATTERN.fullmatch(pattern), f"{place}.models: {pattern!r} has other characters than a-z, 0-9, - and *")
    return _reference(raw.model, raw.arguments, f"{place}.model")


def _body(raw: _Method, protocol: Protocol, model: str | Reference, place: str) -> Any:
    if raw.verb == "GET":
        _demand(raw.body is msgspec.UNSET, f"{place}.body: a GET has none")
        return None
    if raw.body is not msgspec.UNSET:
        return _template(raw.body, raw.arguments, f"{place}.body")
    _demand(protocol.body is not None, f"{place}.body: say what the request's JSON is, or a protocol that does")
    taken = model.argument if isinstance(model, Reference) and not model.path else -1
    inputs = [name for number, name in enumerate(raw.arguments) if number != taken]
    message = f"the body of protocol {raw.protocol} takes one argument besides the model's name; write the body"
    _demand(len(inputs) == 1, f"{place}.arguments: {message}")
    return _template(protocol.body, ["input"], place, at=raw.arguments.index(inputs[0]))


def _template(node: Any, names: list[str], place: str, at: int = 0) -> Any:
    """Return the JSON with references for its `$name`; `$$` at the beginning of a text is a dollar."""
    if isinstance(node, dict):
        return {_text_key(key, place): _template(value, names, f"{place}.{key}", at) for key, value in node.items()}
    if isinstance(node, list):
        return [_template(value, names, f"{place}[{number}]", at) for number, value in enumerate(node)]
    if isinstance(node, str) and node.startswith("$$"):
        return node[1:]
    if isinstance(node, str) and node.startswith("$"):
        found = _reference(node, names, place)
        return Reference(found.argument + at, found.path)
    _demand(node is None or isinstance(node, str | bool | int | float), f"{place}: {node!r} is not JSON; quote it")
    return node


def _text_key(key: Any, place: str) -> str:
    _demand(isinstance(key, str), f"{place}: the key {key!r} is not a text")
    return str(key)


def _reference(text: str, names: list[str], place: str) -> Reference:
    name, *path = text[1:].split(".")
    _demand(name in names, f"{place}: {text!r} is none of the arguments ({', '.join(names) or 'there are none'})")
    _demand(all(path), f"{place}: {text!r} has an empty part")
    return Reference(names.index(name), tuple(path))


def _path(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(".") if part)


def _duration(text: str, place: str) -> float | None:
    if not text:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ServicesError(f"{place}: {error}") from error
    _demand(seconds > 0, f"{place}: {text!r} is no time")
    return seconds


def _convert(content: Any, kind: Any, place: str) -> Any:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise ServicesError(f"{place}: {error}") from error


def _demand(held: object, message: str) -> None:
    if not held:
        raise ServicesError(message)
