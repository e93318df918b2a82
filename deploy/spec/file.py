"""Reading a spec: YAML or JSON text to a checked `ModelSpec`, and back; and the JSON Schema that editors use.

A value of the wrong type or range, an unknown key and a missing one are refused here, each with the field's path, the
value found there and the rule. Rules over several fields are `deploy.rules`; `parse_spec` applies both.
"""

from __future__ import annotations

from typing import Any

import msgspec
import yaml

from deploy.errors import Refusal, Refused
from deploy.spec import ModelSpec, Shadow
from deploy.spec.fields import described
from deploy.spec.misread import refusal_of

SCHEMA_ID = "https://milepost.dev/schema/model-spec-v1.json"
SPEC_BYTES_MAX = 256 * 1024
"""A Kubernetes annotation holds at most 256 KiB, and the applied spec is kept in one."""


def read_spec(text: str | bytes) -> ModelSpec:
    """Parse YAML or JSON (JSON is YAML). Raises Refused."""
    return from_document(read_document(text))


def read_document(text: str | bytes) -> Any:
    """Return the plain data of YAML or JSON. Raises Refused."""
    if len(text) > SPEC_BYTES_MAX:
        raise Refused([Refusal("(spec)", f"{len(text)} bytes", f"a spec has at most {SPEC_BYTES_MAX} bytes")])
    try:
        return _Loader(text).get_single_data()
    except yaml.YAMLError as error:
        raise Refused([Refusal("(spec)", _mark(error), f"it must be YAML or JSON: {_problem(error)}")]) from error


class _Loader(yaml.SafeLoader):
    """Refuses a key that is written twice, of which YAML's own loader would keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} is written twice", key.start_mark
                    )
                seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def from_document(document: Any) -> ModelSpec:
    """Build the spec of a decoded document. Raises Refused naming the field, the value and the rule."""
    try:
        return msgspec.convert(document, ModelSpec)
    except msgspec.ValidationError as error:
        raise Refused([refusal_of(str(error), document, ModelSpec)]) from error


def addressed(document: Any, namespace: str, name: str) -> ModelSpec:
    """Build the spec of a document that was sent to this model's address. Raises Refused when it is another one's."""
    spec = from_document(document)
    if (spec.namespace, spec.name) != (namespace, name):
        raise Refused([Refusal("name", spec.key, f"the path says {namespace}/{name}")])
    return spec


def shadow_of(document: Any) -> Shadow:
    """Build a shadow of a decoded document. Raises Refused as `from_document` does."""
    try:
        return msgspec.convert(document, Shadow)
    except msgspec.ValidationError as error:
        raise Refused([refusal_of(str(error), document, Shadow)]) from error


def to_document(spec: ModelSpec) -> dict[str, Any]:
    """Return the spec as plain data; fields at their default are left out."""
    document: dict[str, Any] = msgspec.to_builtins(spec)
    return document


def write_spec(spec: ModelSpec) -> str:
    """Return the spec as YAML, in the order of the fields."""
    return yaml.safe_dump(to_document(spec), sort_keys=False, allow_unicode=True, width=120)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a spec, with the description of every field."""
    schema: dict[str, Any] = described(msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(ModelSpec))))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, "title": "ModelSpec"} | schema


def _mark(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "unreadable"


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error)
