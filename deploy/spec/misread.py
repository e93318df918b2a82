"""What msgspec says about a document that does not fit its type, made a refusal: the field, the value and the rule.

msgspec names the place as `$.gpu.cores`, and an entry of a mapping as `[...]` without its key; here the document is
searched for the entry that is meant, and the type for the field that an unknown one may be a misspelling of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

import msgspec

from deploy.errors import Refusal

_WHERE = re.compile(r"^(?P<rule>.*?)(?: - at (?:`key` in )?`(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_TYPE_NAMES: dict[type, str] = {
    bool: "bool", int: "int", float: "float", str: "str", list: "array", dict: "object", type(None): "null",
}  # fmt: skip
Steps = list[tuple[str, str]]
"""(key, "") of a mapping, ("", index) of a list, ("", "") for any entry of a mapping."""


def refusal_of(message: str, document: Any, kind: type) -> Refusal:
    """Return what msgspec's message says about a document that should have been a `kind`."""
    match = _WHERE.match(message)
    rule, where = (match["rule"], match["path"] or "$") if match else (message, "$")
    missing, unknown = _quoted("missing required field", rule), _quoted("unknown field", rule)
    steps = _STEP.findall(where)
    if missing or unknown:
        lacking = _at_fault(document, steps, lambda value: not isinstance(value, dict) or missing not in value)
        having = _at_fault(document, steps, lambda value: isinstance(value, dict) and unknown in value)
        path, parent = lacking if missing else having
        if missing:
            return Refusal(_field(f"{path}.{missing}"), None, "it is missing and has no default")
        value = parent.get(unknown) if isinstance(parent, dict) else None
        return Refusal(_field(f"{path}.{unknown}"), value, f"there is no such field{_suggestion(kind, steps, unknown)}")
    got = _quoted("got", rule)
    path, value = _at_fault(document, steps, lambda found: not got or _TYPE_NAMES.get(type(found)) == got)
    quotes = "; write it in quotes" if isinstance(value, (int, float)) and "expected `str`" in rule.lower() else ""
    return Refusal(_field(path), value, f"{rule[:1].lower()}{rule[1:]}{quotes}")


def _quoted(after: str, rule: str) -> str:
    found = re.search(rf"{after} `([^`]+)`", rule)
    return found[1] if found else ""


def _field(path: str) -> str:
    return path.removeprefix("$").removeprefix(".") or "(spec)"


def _at_fault(document: Any, steps: Steps, meant: Callable[[Any], bool]) -> tuple[str, Any]:
    """Return (path, value) of the first place that is meant, else of the first there is."""
    places = list(_places(document, "$", steps)) or [("$", None)]
    return next((place for place in places if meant(place[1])), places[0])


def _places(value: Any, path: str, steps: Steps) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield path, value
        return
    (key, index), *rest = steps
    if key:
        yield from _places(value.get(key) if isinstance(value, dict) else None, f"{path}.{key}", rest)
    elif index:
        inner = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
        yield from _places(inner, f"{path}[{index}]", rest)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(inner, f"{path}[{name}]", rest)


def _suggestion(kind: type, steps: Steps, unknown: str) -> str:
    schema: dict[str, Any] = msgspec.json.schema(kind)
    node = _definition(schema, schema)
    for key, index in steps:
        inner = node.get("properties", {}).get(key) if key else node.get("items" if index else "additionalProperties")
        node = _definition(schema, inner or {})
    close = get_close_matches(unknown, node.get("properties", ()), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _definition(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return what a node of the schema refers to, also where it may be null."""
    for option in (node, *node.get("anyOf", ())):
        if "$ref" in option:
            found: dict[str, Any] = schema["$defs"][option["$ref"].rpartition("/")[2]]
            return found
    return node
