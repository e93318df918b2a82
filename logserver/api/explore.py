"""Counts: histogram, fields and their values, rejects, what the store holds."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from logserver.api import examples
from logserver.api.access import Allowed
from logserver.api.answers import (
    FieldsModel,
    HistogramModel,
    RejectsModel,
    StatsModel,
    ValuesModel,
    documented,
    json_response,
)
from logserver.api.faults import bad_parameter
from logserver.api.params import FieldsParams, HistogramParams, RejectsParams, ValuesParams
from logserver.api.reading import Reading
from logserver.query.cursor import encode_reject
from logserver.query.filters import STREAM_FIELDS, Selection
from logserver.read.counts import count_fields, count_values, read_histogram, span
from logserver.read.reader import Reader
from logserver.read.reject_pages import RejectedDocument, read_rejects
from logserver.record import LEVELS
from logserver.times import LATEST_NS, NS, TimeRange, duration_ns, format_ns
from milepost.problem import Problem
from milepost.query import StrictRoute

NAMESPACES_SHOWN = 100


def explore_router(reading: Reading) -> APIRouter:
    """Return the routes that count."""
    router = APIRouter(prefix="/api/v1", tags=["explore"], route_class=StrictRoute)

    async def narrowed(request: Request, selection: Selection) -> Allowed:
        return await reading.gate.narrow(await reading.gate.caller(request), selection)

    @router.get("/histogram", responses=documented(HistogramModel, examples.HISTOGRAM))
    @router.get("/logs/histogram", responses=documented(HistogramModel, examples.HISTOGRAM), include_in_schema=False)
    async def histogram(request: Request, params: Annotated[HistogramParams, Query()]) -> Response:
        """Count lines over time, split by a field."""
        whole, step_ns = params.range(), _step_ns(params.step)
        allowed = await narrowed(request, params.selection())
        return json_response(await _histogram(reading.reader, allowed, params, whole=whole, step_ns=step_ns))

    @router.get("/fields", responses=documented(FieldsModel, examples.FIELDS))
    async def fields(request: Request, params: Annotated[FieldsParams, Query()]) -> Response:
        """Return the fields to filter by and how many values each has."""
        allowed = await narrowed(request, params.selection())
        lines, distinct = await count_fields(reading.reader, allowed.selection, params.range())
        listed = [{"name": name, "distinct": count} for name, count in distinct.items()]
        return json_response({"lines": lines, "fields": listed, "refused_namespaces": allowed.refused})

    @router.get("/fields/{name}/values", responses=documented(ValuesModel, examples.VALUES))
    async def values(request: Request, name: str, params: Annotated[ValuesParams, Query()]) -> Response:
        """Return the most frequent values of a field."""
        if name not in STREAM_FIELDS:
            raise Problem(
                404, f"there is no field {name!r}; there are {', '.join(STREAM_FIELDS)}", slug="no-such-field"
            )
        most = reading.reader.settings.values_max
        if params.limit > most:
            raise bad_parameter("limit", f"{params.limit} is more than {most}, the bound of query.values_max")
        return json_response(await _values(reading.reader, await narrowed(request, params.selection()), name, params))

    @router.get("/rejects", responses=documented(RejectsModel, examples.REJECTS))
    async def rejects(request: Request, params: Annotated[RejectsParams, Query()]) -> Response:
        """Return documents that could not become a line, with their bytes and the reason; for readers of everything."""
        await reading.gate.everything(await reading.gate.caller(request))
        return json_response(await _rejects(reading.reader, params))

    @router.get("/stats", responses=documented(StatsModel, examples.STATS))
    async def stats(request: Request) -> Response:
        """Return what the caller may read of the store: lines, first and last, by namespace and level."""
        return json_response(await _stats(reading, await narrowed(request, Selection())))

    return router


async def _histogram(
    reader: Reader, allowed: Allowed, params: HistogramParams, *, whole: TimeRange, step_ns: int | None
) -> dict[str, Any]:
    buckets = min(params.buckets, reader.settings.buckets_max)
    found = await read_histogram(reader, allowed.selection, whole, by=params.by, buckets=buckets, step_ns=step_ns)
    bars = [
        {"start": format_ns(start), "end": format_ns(start + found.step_ns), "count": sum(by.values()), "by": by}
        for start, by in found.bars
    ]
    return {
        "start": format_ns(found.range.start_ns) if found.range else None,
        "end": format_ns(found.range.end_ns) if found.range else None,
        "step_s": found.step_ns / NS,
        "by": params.by,
        "total": sum(sum(by.values()) for _, by in found.bars),
        "buckets": bars,
        "refused_namespaces": allowed.refused,
    }


async def _values(reader: Reader, allowed: Allowed, name: str, params: ValuesParams) -> dict[str, Any]:
    found = await count_values(
        reader, allowed.selection, params.range(), field=name, prefix=params.prefix, limit=params.limit + 1
    )
    return {
        "field": name,
        "values": _listed(found[: params.limit]),
        "complete": len(found) <= params.limit,
        "refused_namespaces": allowed.refused,
    }


async def _stats(reading: Reading, allowed: Allowed) -> dict[str, Any]:
    reader, whole = reading.reader, TimeRange()
    found = await span(reader, allowed.selection, whole)
    namespaces = await count_values(reader, allowed.selection, whole, field="namespace", limit=NAMESPACES_SHOWN + 1)
    levels = await count_values(reader, allowed.selection, whole, field="level", limit=len(LEVELS))
    return {
        "lines": found[0] if found else 0,
        "oldest": format_ns(found[1]) if found else None,
        "newest": format_ns(found[2]) if found else None,
        "namespaces": _listed(namespaces[:NAMESPACES_SHOWN]),
        "complete": len(namespaces) <= NAMESPACES_SHOWN,
        "levels": _listed(levels),
        "followers": reading.hub.followers,
        "refused_namespaces": allowed.refused,
    }


def _listed(values: list[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{"value": value, "lines": lines} for value, lines in values]


def _step_ns(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        step_ns = duration_ns(text)
    except (ValueError, OverflowError) as error:
        raise bad_parameter("step", str(error)) from error
    if not 1_000_000 <= step_ns <= LATEST_NS:
        raise bad_parameter("step", f"{text!r} is not between 1ms and 292 years")
    return step_ns


async def _rejects(reader: Reader, params: RejectsParams) -> dict[str, Any]:
    page = await read_rejects(
        reader,
        params.range(),
        reasons=params.reason,
        topics=params.topic,
        cursor=params.place(),
        limit=params.limit,
    )
    return {
        "rejects": [_shown(document) for document in page.documents],
        "next": encode_reject(page.next) if page.next else None,
        "total": sum(page.by_reason.values()),
        "by_reason": page.by_reason,
        "complete": page.next is None,
    }


def _shown(document: RejectedDocument) -> dict[str, Any]:
    return {
        "received_at": format_ns(document.place.received_ms * 10**6),
        "topic": document.place.topic,
        "partition": document.place.partition,
        "offset": document.place.offset,
        "reason": document.reason,
        "detail": document.detail,
        "raw": document.raw.decode(errors="replace"),
        "raw_base64": base64.b64encode(document.raw).decode(),
    }
