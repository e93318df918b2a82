"""The published JSON Schema and the page of fields, made from the code: `python -m tests.deploy.field_reference`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from deploy.spec.file import json_schema

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = DOCS / "schema" / "model-spec-v1.json"
PAGE = DOCS / "model-spec-fields.md"
HEAD = """# Fields of the model spec

Written from the code by `python -m tests.deploy.field_reference`; what they are for is in
[model-spec.md](model-spec.md). An unknown field is refused.
"""
FIRST = ("ModelSpec", "Unit", "Shadow")
Schema = dict[str, Any]


def published() -> bytes:
    """Return the JSON Schema as it is published."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=1) + b"\n"


def page() -> str:
    """Return the page: one table for each part of a spec."""
    parts: dict[str, Schema] = json_schema()["$defs"]
    order = [*FIRST, *sorted(set(parts) - set(FIRST))]
    return HEAD + "".join(_part(name, parts[name], parts["ModelSpec"]["properties"]) for name in order)


def _part(name: str, body: Schema, servers: Schema) -> str:
    """Return the table of one part; the fields of a server are told once, for ModelSpec."""
    fields = body["properties"]
    own = fields if name == "ModelSpec" else {key: node for key, node in fields.items() if servers.get(key) != node}
    inherited = ", ".join(f"`{key}`" for key in fields if key not in own)
    same = f"\nAlso the fields of a server, as in ModelSpec: {inherited}.\n" if inherited else ""
    rows = "".join(
        f"| `{key}` | {_type(node)} | {_default(key, node, body['required'])} | {_cell(node['description'])} |\n"
        for key, node in own.items()
    )
    head = "| field | type | default | meaning |\n| --- | --- | --- | --- |\n"
    return f"\n## {name}\n\n{body['description']}\n{same}\n{head}{rows}"


def _type(node: Schema) -> str:
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_type(option) for option in node["anyOf"]))
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get("type") == "array":
        return f"list of {_type(node['items'])}"
    if node.get("type") == "object":
        inner = node.get("additionalProperties")
        return f"mapping to {_type(inner)}" if inner else "mapping"
    bounds = [f"{sign} {node[key]}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in node]
    if "maxLength" in node:
        bounds.append(f"≤ {node['maxLength']} characters")
    return ", ".join([node.get("type", "anything"), *bounds])


def _default(key: str, node: Schema, required: list[str]) -> str:
    if "default" in node:
        return f"`{msgspec.json.encode(node['default']).decode()}`"
    return "required" if key in required else "see there"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    SCHEMA.write_bytes(published())
    PAGE.write_text(page())
