"""The OpenAPI document has an example for every operation, and the examples are true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import pytest_asyncio

from logserver.api import examples
from logserver.engines.embedded import EmbeddedStore
from logserver.query.cursor import decode_page
from logserver.times import format_ns, parse_instant
from tests.logserver.api_server import ApiServer, api_server
from tests.logserver.rows import line_rows

LINE = examples.LINE
MINUTE = "2026-03-04T09:15:00Z"
_NS = parse_instant(LINE["ts"], now_ns=0)


@pytest_asyncio.fixture
async def document(lines_store: EmbeddedStore) -> dict[str, Any]:
    async with api_server(lines_store) as api, api.http.get("/openapi.json") as response:
        found: dict[str, Any] = json.loads(await response.text())
        return found


def contents(document: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield (path, status, media type, content) of every answer of the API."""
    for path, operations in document["paths"].items():
        if path.startswith("/api/"):
            for status, answer in operations["get"]["responses"].items():
                for media_type, content in answer["content"].items():
                    yield path, status, media_type, content


async def test_every_answer_of_every_operation_has_an_example_that_fits_its_schema(document: dict[str, Any]) -> None:
    found = list(contents(document))
    assert len({path for path, *_ in found}) == 12
    for path, status, media_type, content in found:
        where = f"{path} {status} {media_type}"
        assert content.get("example"), f"{where} has no example"
        schema = {**content["schema"], "components": document["components"]}
        jsonschema_rs.validator_for(schema).validate(content["example"])
        if media_type == "application/problem+json":
            assert content["example"]["status"] == int(status), where
        if (name := content["schema"].get("$ref", "").rpartition("/")[2]) and media_type == "application/json":
            assert content["example"].keys() == document["components"]["schemas"][name]["properties"].keys(), where


async def test_every_operation_says_what_it_does_and_every_parameter_what_it_means(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        assert operations["get"].get("description"), path
        for parameter in operations["get"].get("parameters", []):
            assert parameter["in"] == "path" or parameter.get("description"), f"{path}: {parameter['name']}"


async def answer(api: ApiServer, path: str, **params: str) -> Any:
    async with api.http.get(f"/api/v1/{path}", params=params) as response:
        return (
            json.loads(await response.text()) if response.content_type == "application/json" else await response.text()
        )


@pytest.mark.parametrize(
    ("path", "params", "example"),
    [
        ("logs/context", {"id": LINE["id"]}, examples.CONTEXT),
        ("logs/context", {"id": LINE["id"], "format": "ndjson"}, examples.CONTEXT_ALSO["application/x-ndjson"]),
        ("logs", {"limit": "1", "format": "text"}, examples.PAGE_ALSO["text/plain"]),
        ("logs", {"limit": "1"}, {**examples.PAGE, "next": None, "ended": "range"}),
        ("export", {}, examples.EXPORT["application/x-ndjson"]),
        ("namespaces/risk/pods/" + LINE["pod"] + "/log", {"timestamps": "true"}, examples.POD_LOG["text/plain"]),
        ("histogram", {"start": MINUTE, "end": "2026-03-04T09:16:00Z", "step": "1m"}, examples.HISTOGRAM),
        ("fields", {}, examples.FIELDS),
        ("fields/model/values", {}, examples.VALUES),
        ("stats", {}, examples.STATS),
    ],
)  # fmt: skip
async def test_the_examples_are_what_the_server_answers_for_their_store(
    lines_store: EmbeddedStore, path: str, params: dict[str, str], example: object
) -> None:
    place = decode_page(LINE["id"])
    assert (format_ns(place.ts_ns), place.file_offset) == (LINE["ts"], LINE["file_offset"])
    row = {name: LINE[name] for name in ("namespace", "model", "predictor", "pod", "container", "node", "stream")}
    row |= {
        name: LINE[name] for name in ("level", "message", "trace_id", "container_id", "topic", "partition", "offset")
    }
    row |= {"labels": json.dumps(LINE["labels"], separators=(",", ":")), "file_path": LINE["file"]}
    row |= {"ts": _NS, "file_id": place.file_id, "file_offset": place.file_offset}
    lines_store.insert("lines", line_rows([row]))
    async with api_server(lines_store) as api:
        assert await answer(api, path, **params) == example


def single_parameters(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (path, parameter) for everything in a query that is no list."""
    for path, operations in document["paths"].items():
        for parameter in operations["get"].get("parameters", []):
            if parameter["in"] == "query" and parameter["schema"].get("type") != "array":
                yield re.sub(r"\{\w+\}", "x", path), parameter["name"]


async def test_a_parameter_of_one_value_is_refused_when_it_is_given_twice(
    document: dict[str, Any], lines_store: EmbeddedStore
) -> None:
    found = list(single_parameters(document))
    assert {path for path, _ in found} >= {"/api/v1/logs/tail", "/api/v1/export", "/api/v1/namespaces/x/pods/x/log"}
    assert {("/api/v1/logs", "limit"), ("/api/v1/namespaces/x/pods/x/log", "container")} <= set(found)
    found.append(("/api/v1/logs/histogram", "step"))  # an address of old, which the document does not show
    async with api_server(lines_store) as api:
        for path, name in found:
            async with api.http.get(path, params=[(name, "5"), (name, ""), (name, "5")]) as response:
                problem = json.loads(await response.text())
            assert (response.status, response.content_type) == (422, "application/problem+json"), path
            assert problem["detail"] == f"{name}: given 3 times ('5', '', '5'); it may be given once"
            assert problem["faults"] == [
                {
                    "parameter": name,
                    "values": ["5", "", "5"],
                    "what": "given 3 times ('5', '', '5'); it may be given once",
                }
            ]


async def test_every_parameter_given_twice_is_named_and_the_values_are_cut(lines_store: EmbeddedStore) -> None:
    query = [("limit", str(number)) for number in range(900)] + [("tz", "U" * 900), ("tz", "UTC"), ("level", "!info")]
    async with api_server(lines_store) as api, api.http.get("/api/v1/logs", params=query) as response:
        problem = json.loads(await response.text())
    assert problem["parameter"] == "limit"
    assert problem["detail"] == (
        "limit: given 900 times ('0', '1', '2', '3', '4', …); it may be given once; "
        f"tz: given 2 times ('{'U' * 60}…', 'UTC'); it may be given once"
    )


async def test_a_parameter_of_several_values_may_be_given_several_times(lines_store: EmbeddedStore) -> None:
    lines_store.insert("lines", line_rows({"level": level, "pod": level} for level in ("info", "warn", "error")))
    query = [("level", "info"), ("level", "warn"), ("pod", "!warn"), ("limit", "5")]
    async with api_server(lines_store) as api, api.http.get("/api/v1/logs", params=query) as response:
        assert [line["level"] for line in (await response.json())["lines"]] == ["info"]
