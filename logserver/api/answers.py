"""The answers of the API: what OpenAPI says they are, and pages in each format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from fastapi import Response
from pydantic import BaseModel, Field

from logserver.api.examples import PROBLEMS
from logserver.query.cursor import encode_page
from logserver.read.formats import MEDIA_TYPES, TextStyle, json_array, ndjson, ndjson_note, text, text_note
from logserver.read.pages import PARTIAL, Page


class LineModel(BaseModel):
    """One log line with its identity and where it came from."""

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
    """What the store holds; `complete` says whether all namespaces are listed."""

    lines: int
    oldest: str | None
    newest: str | None
    namespaces: list[ValueModel]
    complete: bool
    levels: list[ValueModel]
    followers: int
    refused_namespaces: list[str]


def documented(
    model: type[BaseModel], example: Mapping[str, Any], *, also: Mapping[str, str] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route: its model for JSON, its other formats, and problems, with examples."""
    content: dict[str, Any] = {MEDIA_TYPES["json"]: {"example": example}, **_texts(also or {})}
    return {200: {"model": model, "content": content}, **_problems()}


def streamed(examples: Mapping[str, str]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that streams, by media type."""
    return {200: {"description": "A stream.", "content": _texts(examples)}, **_problems()}


def _texts(examples: Mapping[str, str]) -> dict[str, Any]:
    return {media: {"schema": {"type": "string"}, "example": example} for media, example in examples.items()}


def _problems() -> dict[int | str, dict[str, Any]]:
    schema = {"type": "object", "required": ["type", "title", "status", "detail"]}
    return {
        status: {
            "description": words,
            "content": {
                "application/problem+json": {
                    "schema": schema,
                    "example": {**example, "status": status, "instance": "/api/v1/logs"},
                }
            },
        }
        for status, (words, example) in PROBLEMS.items()
    }


def json_response(content: object) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(content), media_type=MEDIA_TYPES["json"])


def page_response(
    page: Page, form: str, style: TextStyle, refused: tuple[str, ...], *, upside_down: bool, limit_chosen: bool
) -> Response:
    """Return a page in a format; `upside_down` shows the newest line last.

    Plain text says that the limit ended it when nobody chose that limit; the other formats always have `next`.
    """
    after = encode_page(page.next) if page.next else None
    partial = PARTIAL.get(page.ended, "")
    detail = f"{partial}; go on with `next`" if partial else ""
    lines = page.lines[::-1] if upside_down else page.lines
    said = {"partial": detail, "refused_namespaces": refused}
    headers = {"Milepost-Complete": "false" if detail else "true"} | ({"Milepost-Next": after} if after else {})
    if form == "ndjson":
        body = ndjson(lines) + ndjson_note({"next": after} | {name: value for name, value in said.items() if value})
    elif form == "text":
        ends = partial or (
            "" if limit_chosen or page.ended != "limit" else "there are more lines than the default limit"
        )
        body = text(lines, style)
        body += text_note(f"{ends}; go on with cursor={after}") if ends else b""
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
