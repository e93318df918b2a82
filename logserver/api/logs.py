"""`/api/v1/logs` and its kin: pages, a model's pages, context, exports."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Annotated

import cramjam
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from logserver.api import examples
from logserver.api.access import Allowed
from logserver.api.answers import ContextModel, PageModel, documented, page_response, streamed
from logserver.api.faults import bad_parameter
from logserver.api.params import Compression, ContextParams, ExportParams, PageParams, zone_of
from logserver.api.reading import Reading
from logserver.api.streams import begun
from logserver.errors import LogServerError
from logserver.query.cursor import PageCursor, decode_page, encode_page
from logserver.query.filters import Selection
from logserver.read.context import read_context
from logserver.read.formats import MEDIA_TYPES, json_array, ndjson, ndjson_note, negotiate, text
from logserver.read.pages import Page, read_page
from logserver.read.reader import RequestDeadline
from logserver.times import TimeRange
from milepost.problem import Problem
from milepost.query import StrictRoute

_FORMATS = ("json", "ndjson", "text")


def logs_router(reading: Reading) -> APIRouter:
    """Return the routes that answer lines."""
    router = APIRouter(prefix="/api/v1", tags=["logs"], route_class=StrictRoute)
    paged = documented(PageModel, examples.PAGE, also=examples.PAGE_ALSO)

    @router.get("/logs", responses=paged)
    async def logs(request: Request, params: Annotated[PageParams, Query()]) -> Response:
        """Return a page of lines; page through all of them with `cursor`, exactly."""
        return await _page(reading, request, params, params.selection())

    @router.get("/models/{namespace}/{model}/logs", responses=paged)
    async def model_logs(
        request: Request, namespace: str, model: str, params: Annotated[PageParams, Query()]
    ) -> Response:
        """Return a page of a model's lines, of all its pods, alive or gone."""
        return await _page(reading, request, params, params.selection(namespace=namespace, model=model))

    @router.get("/logs/context", responses=documented(ContextModel, examples.CONTEXT, also=examples.CONTEXT_ALSO))
    async def context(request: Request, params: Annotated[ContextParams, Query()]) -> Response:
        """Return the lines around a line, in the order of its file."""
        caller = await reading.gate.caller(request)
        place = params.place()
        lines = await read_context(reading.reader, place, before=params.before, after=params.after)
        if not lines:
            raise Problem(404, f"there is no line {params.id!r}; it may have expired", slug="no-such-line")
        await reading.gate.namespace(caller, lines[0].namespace)
        form = negotiate(params.format, request.headers.get("accept"), _FORMATS)
        if form == "text":
            return Response(text(lines, params.style(zone_of(params.tz))), media_type=MEDIA_TYPES[form])
        if form == "ndjson":
            return Response(ndjson(lines), media_type=MEDIA_TYPES[form])
        return Response(
            b'{"lines":' + json_array(lines) + f',"id":"{encode_page(place)}"}}'.encode(),
            media_type=MEDIA_TYPES[form],
        )

    @router.get(
        "/export",
        response_class=StreamingResponse,
        responses=streamed(examples.EXPORT),
    )
    async def export(request: Request, params: Annotated[ExportParams, Query()]) -> Response:
        """Stream a whole result of any size as NDJSON; the last object says whether it is complete."""
        allowed = await reading.gate.narrow(await reading.gate.caller(request), params.selection())
        start = decode_page(params.cursor) if params.cursor else None
        stream = _export(reading, params, params.range(), start, allowed)
        media = {"none": MEDIA_TYPES["ndjson"], "gzip": "application/gzip", "zstd": "application/zstd"}
        body = await begun(_compressed(stream, params.compression))
        return StreamingResponse(body, media_type=media[params.compression])

    return router


async def _page(reading: Reading, request: Request, params: PageParams, selection: Selection) -> Response:
    settings = reading.reader.settings
    if params.limit > settings.lines_max:
        raise bad_parameter("limit", f"{params.limit} is more than {settings.lines_max}, the bound of query.lines_max")
    place, time_range = params.place(), params.range()
    style = params.style(params.zone)
    allowed = await reading.gate.narrow(await reading.gate.caller(request), selection)
    form = negotiate(params.format, request.headers.get("accept"), _FORMATS)
    page = await read_page(
        reading.reader,
        allowed.selection,
        time_range,
        cursor=place,
        direction=params.direction or "backward",
        limit=params.limit,
        deadline=RequestDeadline(settings.time_max),
    )
    return page_response(
        page,
        form,
        style,
        allowed.refused,
        upside_down=form == "text" and params.direction is None,
        limit_chosen="limit" in params.model_fields_set,
    )


async def _export(
    reading: Reading, params: ExportParams, time_range: TimeRange, cursor: PageCursor | None, allowed: Allowed
) -> AsyncIterator[bytes]:
    """Yield NDJSON page by page; an error after the first page is the last object, with the cursor to go on from."""
    count = 0
    page: Page | None = None
    said: dict[str, object] = {"refused_namespaces": allowed.refused} if allowed.refused else {}
    while True:
        try:
            page = await read_page(
                reading.reader,
                allowed.selection,
                time_range,
                cursor=cursor,
                direction=params.direction,
                limit=reading.reader.settings.export_page,
                deadline=RequestDeadline(reading.reader.settings.time_max),
            )
        except LogServerError as error:
            if page is None:
                raise
            after = encode_page(cursor) if cursor else None
            yield ndjson_note({"lines": count, "complete": False, "problem": str(error), "next": after, **said})
            return
        count += len(page.lines)
        yield ndjson(page.lines)
        cursor = page.next
        if cursor is not None and reading.hub.ended:
            words = "the server stops; go on from `next`"
            yield ndjson_note(
                {"lines": count, "complete": False, "problem": words, "next": encode_page(cursor), **said}
            )
            return
        if cursor is None:
            yield ndjson_note({"lines": count, "complete": True, **said})
            return


async def _compressed(stream: AsyncIterator[bytes], compression: Compression) -> AsyncIterator[bytes]:
    if compression == "none":
        async for part in stream:
            yield part
    elif compression == "gzip":
        gzip = zlib.compressobj(6, wbits=31)
        async for part in stream:
            yield gzip.compress(part)
        yield gzip.flush()
    else:
        async for part in stream:
            # A zstd file is any number of frames (RFC 8878 §3): one for each page.
            yield bytes(cramjam.zstd.compress(part))
