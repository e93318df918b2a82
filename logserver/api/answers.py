"""The answers of the API: what OpenAPI says they are, and pages in each format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from fastapi import Response
from pydantic import BaseModel, Field

from logserver.cursor import encode_page
from logserver.formats import MEDIA_TYPES, TextStyle, json_array, ndjson, ndjson_note, text, text_note
from logserver.pages import Page

_PARTIAL = {
    "time": "the time limit (query.time_max) passed before the whole range was searched; go on with `next`",
    "memory": "the memory limit (query.memory_max) ended this page early; go on with `next`",
}

LINE_EXAMPLE: dict[str, Any] = {
    "id": "ARcZ3E0yAb5Nqv2LtMKhqZkxlr0C",
    "ts": "2026-03-04T09:15:27.481000000Z",
    "namespace": "risk",
    "model": "iris",
    "predictor": "default",
    "pod": "iris-default-0-classifier-6c9f7d8b54-x2m7k",
    "container": "classifier",
    "node": "node-a1",
    "stream": "stderr",
    "level": "error",
    "message": "feature vector has 3 columns, expected 4",
    "trace_id": "",
    "labels": {"app": "iris-default-0-classifier"},
    "flags": [],
    "container_id": "9f0c5e1a",
    "file": "/var/log/containers/iris.log",
    "file_offset": 40718,
    "topic": "logs",
    "partition": 3,
    "offset": 81234,
}


class LineModel(BaseModel):
    """One log line with its identity and where it came from."""

    model_config = {"json_schema_extra": {"examples": [LINE_EXAMPLE]}}

    id: str = Field(description="The line's place in the total order: a cursor for /logs, the id for /logs/context.")
    ts: str = Field(description="RFC 3339 with nanoseconds.")
    namespace: str
    model: str
    predictor: str
    pod: str
    container: str
    node: str
    stream: str
    level: str
    message: str
    trace_id: str
    labels: dict[str, Any]
    flags: list[str]
    container_id: str
    file: str
    file_offset: int
    topic: str
    partition: int
    offset: int


class PageModel(BaseModel):
    """A page of lines; what is not complete is said."""

    lines: list[LineModel]
    next: str | None = Field(description="The cursor of the next page; null when the range holds no more lines.")
    complete: bool = Field(description="Whether the range was searched as far as the limit asked.")
    ended: Literal["range", "limit", "time", "memory"] = Field(description="Why the page ends.")
    detail: str = Field(description="In words, what is missing; empty when complete.")
    refused_namespaces: list[str] = Field(description="Namespaces asked for that the caller may not read.")


class ContextModel(BaseModel):
    """Lines around a line, in the order of its file."""

    lines: list[LineModel]
    id: str = Field(description="The line in the middle.")


class BucketModel(BaseModel):
    """One bar: from `start` inclusive to `end` exclusive."""

    start: str
    end: str
    count: int
    by: dict[str, int]


class HistogramModel(BaseModel):
    """Counts over time, bars without lines included."""

    start: str | None
    end: str | None
    step_s: float
    by: str
    total: int
    buckets: list[BucketModel]
    refused_namespaces: list[str]


class FieldModel(BaseModel):
    """A field and how many values it has in the selection (estimated above 65,536)."""

    name: str
    distinct: int


class FieldsModel(BaseModel):
    """The fields of a selection."""

    lines: int
    fields: list[FieldModel]
    refused_namespaces: list[str]


class ValueModel(BaseModel):
    """A value and its lines."""

    value: str
    lines: int


class ValuesModel(BaseModel):
    """The most frequent values of a field."""

    field: str
    values: list[ValueModel]
    complete: bool = Field(description="False when there are more values than `limit`.")
    refused_namespaces: list[str]


class RejectModel(BaseModel):
    """A document that could not become a line."""

    received_at: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    raw: str = Field(description="The document as text; bytes that are not UTF-8 are U+FFFD.")
    raw_base64: str = Field(description="The document's bytes.")


class RejectsModel(BaseModel):
    """Rejected documents, the newest first."""

    rejects: list[RejectModel]
    next: str | None = Field(description="The cursor of the next page; null when there are no more.")
    total: int = Field(description="Documents of the whole range, whatever the page.")
    by_reason: dict[str, int]
    complete: bool = Field(description="Whether this page is the last one.")


class StatsModel(BaseModel):
    """What the store holds."""

    lines: int
    oldest: str | None
    newest: str | None
    namespaces: list[ValueModel]
    levels: list[ValueModel]
    followers: int


def documented(model: type[BaseModel], *, also: Mapping[str, Any] | None = None) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route: its model for JSON, its other formats, and problems."""
    content: dict[str, Any] = {media: {} for media in (also or {})}
    return {
        200: {"model": model, "content": content},
        **{code: _problem(words) for code, words in _PROBLEMS.items()},
    }


def streamed(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that streams."""
    content = {media: {"schema": {"type": "string"}} for media in media_types}
    return {
        200: {"description": "A stream.", "content": content},
        **{code: _problem(words) for code, words in _PROBLEMS.items()},
    }


_PROBLEMS = {
    401: "No valid bearer token.",
    403: "The caller may not read this.",
    404: "There is no such line, pod or field.",
    422: "A parameter cannot be used.",
    503: "The store is down, or too much is asked at once.",
    504: "The time limit passed before anything was found.",
}


def _problem(words: str) -> dict[str, Any]:
    schema = {"type": "object", "required": ["type", "title", "status", "detail"]}
    return {"description": words, "content": {"application/problem+json": {"schema": schema}}}


def json_response(content: object) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(content), media_type=MEDIA_TYPES["json"])


def page_response(page: Page, form: str, style: TextStyle, refused: tuple[str, ...], *, upside_down: bool) -> Response:
    """Return a page in a format; `upside_down` shows the newest line last."""
    after = encode_page(page.next) if page.next else None
    detail = _PARTIAL.get(page.ended, "")
    lines = page.lines[::-1] if upside_down else page.lines
    said = {"partial": detail, "refused_namespaces": refused}
    headers = {"Milepost-Complete": "false" if detail else "true"} | ({"Milepost-Next": after} if after else {})
    if form == "ndjson":
        body = ndjson(lines) + ndjson_note({"next": after} | {name: value for name, value in said.items() if value})
    elif form == "text":
        body = text(lines, style)
        body += text_note(detail.replace("`next`", f"cursor={after}")) if detail else b""
        body += text_note(f"not allowed: namespace {', '.join(refused)}") if refused else b""
    else:
        rest = {
            "next": after,
            "complete": not detail,
            "ended": page.ended,
            "detail": detail,
            "refused_namespaces": refused,
        }
        body = b'{"lines":' + json_array(lines) + b"," + msgspec.json.encode(rest)[1:]
    return Response(body, media_type=MEDIA_TYPES[form], headers=headers)
