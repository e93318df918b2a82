"""The platform's OpenAPI document is whole; that it is true, every answer in the API's tests is held to."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import jsonschema_rs
import pytest

from deploy.api import Jobs, create_app
from deploy.cluster.cache import ModelCache
from milepost.auth import Authorizer


def document() -> dict[str, Any]:
    app = create_app(cast("Authorizer", None), lambda *_: pytest.fail("nobody asks"), ModelCache(), Jobs())
    return app.openapi()


def operations(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, methods in found["paths"].items()
        if path.startswith("/api/")
        for method, operation in methods.items()
    ]


def test_every_route_says_what_it_takes_and_answers() -> None:
    found = operations(document())
    assert len(found) >= 25
    for name, operation in found:
        good = {code: one["content"] for code, one in operation["responses"].items() if code.startswith("2")}
        assert good, name
        for content in good.values():
            assert list(content) == ["text/event-stream"] or "$ref" in content["application/json"]["schema"], name
        assert "application/problem+json" in operation["responses"]["422"]["content"], name
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert "$ref" in content["schema"], name
        assert [one["name"] for one in operation.get("parameters", ()) if one["name"] == "authorization"] == [], name


def test_every_reference_leads_somewhere_and_the_spec_of_a_model_is_checked_by_it() -> None:
    found = document()
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(found)))
    assert references <= set(found["components"]["schemas"])
    body = found["paths"]["/api/v1/models/{namespace}/{name}"]["put"]["requestBody"]
    schema = {**body["content"]["application/json"]["schema"], "components": found["components"]}
    spec = {"name": "mnist", "namespace": "models", "image": "registry.example/mnist:1"}
    jsonschema_rs.validate(schema, spec)
    with pytest.raises(jsonschema_rs.ValidationError, match=r"-1 is less than"):
        jsonschema_rs.validate(schema, spec | {"replicas": -1})
