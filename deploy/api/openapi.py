"""The OpenAPI document (3.1, https://spec.openapis.org/oas/v3.1.0): bodies and answers by the types that routes use.

FastAPI describes pydantic models; ours are msgspec's, so each route says what it takes and answers with `takes` and
`answers`, and `describe` adds the schemas, the bearer token and takes out what FastAPI would add by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI

from deploy.api.permissions import Permissions
from deploy.api.shapes import (
    Adoptable,
    Difference,
    EnvironmentShown,
    Findings,
    History,
    JobShown,
    MigrationRequest,
    ModelShown,
    ModelsPage,
    ProposalRequest,
    ProposalShown,
    RebuildRequest,
    RolloutRequest,
)
from deploy.spec import ModelSpec, Shadow
from deploy.status import Status
from deploy.why.timeline import Timeline
from milepost.problem import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_KINDS: tuple[type, ...] = (
    Adoptable, Difference, EnvironmentShown, Findings, History, JobShown, MigrationRequest, ModelShown, ModelSpec,
    ModelsPage, Permissions, ProposalRequest, ProposalShown, RebuildRequest, RolloutRequest, Shadow, Status, Timeline,
)  # fmt: skip
_SCHEMAS, _COMPONENTS = msgspec.json.schema_components(_KINDS, ref_template="#/components/schemas/{name}")
_BY_KIND: Mapping[type, dict[str, Any]] = dict(zip(_KINDS, _SCHEMAS, strict=True))
_PROBLEMS = {
    401: "There is no valid bearer token.",
    403: "The caller may not do this.",
    404: "There is no such model, revision or job.",
    409: "Somebody else is at this model, or too many jobs run: try again.",
    422: "What was sent cannot be used; `faults` names each field, its value and the rule.",
    503: "The API server does not answer, the models are not listed yet, or too many streams are open.",
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "faults": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "value": {}, "rule": {"type": "string"}},
            },
        },
    },
}


def takes(kind: type) -> dict[str, Any]:
    """Return the `openapi_extra` of a route whose body is of this type."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _BY_KIND[kind]}}}}


def answers(kind: type, status: int = 200, also: Mapping[int, type] | None = None) -> Responses:
    """Return the `responses` of a route that answers with this type, or with others by status."""
    found: Responses = {}
    for code, answered in {status: kind, **(also or {})}.items():
        content = {"application/json": {"schema": _BY_KIND[answered]}}
        found[code] = {"description": " ".join((answered.__doc__ or "").split()), "content": content}
    return {**found, **_problems()}


def streamed(description: str) -> Responses:
    """Return the `responses` of a route that sends events until the caller has enough."""
    content = {"text/event-stream": {"schema": {"type": "string"}}}
    return {200: {"description": description, "content": content}, **_problems()}


def describe(app: FastAPI) -> None:
    """Let the document of the app have our schemas and the bearer token."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        components = document.setdefault("components", {})
        components["schemas"] = {**_COMPONENTS, "Problem": _PROBLEM}
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"bearer": []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _problems() -> Responses:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {code: {"description": told, "content": content} for code, told in _PROBLEMS.items()}
