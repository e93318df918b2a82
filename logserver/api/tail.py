"""`/api/v1/logs/tail`: following as SSE, NDJSON or plain text.

SSE: each event's data is a JSON array of lines and its id the cursor after them; events named `partial`, `dropped`,
`reset`, `access` and `end` tell what a reader must know. NDJSON: lines, and notes with the cursor. A cursor is sent
after the lines it covers, so a reader that remembers the last one it saw misses nothing and sees nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from logserver.api import examples
from logserver.api.access import Allowed
from logserver.api.answers import streamed
from logserver.api.faults import bad_parameter
from logserver.api.params import TailParams, tail_cursor
from logserver.api.reading import Reading
from logserver.errors import LogServerError
from logserver.follow.follower import Chunk, Dropped, Ending, Reset
from logserver.follow.hub import TooManyFollowers
from logserver.follow.tail import Event, Heartbeat, Partial, Tail, Unknown, follow
from logserver.query.filters import Selection
from logserver.read.formats import MEDIA_TYPES, TextStyle, ndjson_note, negotiate, text_line, text_note
from milepost.auth import AuthUnavailable, Unauthenticated
from milepost.problem import Problem
from milepost.query import StrictRoute

_FORMATS = ("sse", "ndjson", "text")
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def tail_router(reading: Reading) -> APIRouter:
    """Return the routes that follow."""
    router = APIRouter(prefix="/api/v1", tags=["follow"], route_class=StrictRoute)
    responses = streamed(examples.TAIL)

    @router.get("/logs/tail", response_class=StreamingResponse, responses=responses)
    async def tail(request: Request, params: Annotated[TailParams, Query()]) -> Response:
        """Return the last lines and then each line as it arrives, exactly once."""
        return await _tail(reading, request, params, params.selection())

    @router.get("/models/{namespace}/{model}/logs/tail", response_class=StreamingResponse, responses=responses)
    async def model_tail(
        request: Request, namespace: str, model: str, params: Annotated[TailParams, Query()]
    ) -> Response:
        """Follow a model across all its pods, those to come included."""
        return await _tail(reading, request, params, params.selection(namespace=namespace, model=model))

    return router


async def _tail(reading: Reading, request: Request, params: TailParams, selection: Selection) -> Response:
    lines_max = reading.reader.settings.lines_max
    if params.lines > lines_max:
        raise bad_parameter("lines", f"{params.lines} is more than {lines_max}, the bound of query.lines_max")
    last_id = request.headers.get("last-event-id")
    cursor = tail_cursor("Last-Event-ID" if last_id else "cursor", last_id or params.cursor)
    until = tail_cursor("until", params.until)
    if until is not None and cursor is None:
        raise bad_parameter("until", "it needs a cursor to begin at")
    time = params.time()
    whole, style = time.range(), params.style(time.zone)
    allowed = await reading.gate.narrow(await reading.gate.caller(request), selection)
    form = negotiate(params.format, request.headers.get("accept"), _FORMATS)
    events = follow(reading.hub, reading.reader, Tail(allowed.selection, whole, params.lines, cursor, until))
    first = await first_event(events)
    permission = Permission(reading, request, selection, allowed)
    stream = frames(checked(permission, first, events), form, style, allowed.refused)
    return StreamingResponse(stream, media_type=MEDIA_TYPES[form], headers=_HEADERS)


async def first_event(events: AsyncIterator[Event]) -> Event | None:
    """Return the first event, so that what fails at once is still an HTTP status; None when there is none."""
    try:
        return await anext(events, None)
    except TooManyFollowers as error:
        raise Problem(503, str(error), slug="too-many-followers", headers={"Retry-After": "5"}) from error


class Ended(Exception):  # noqa: N818 - a way to end a stream
    """The stream ends for this reason, which the reader is told."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What a follower was allowed when it came, and how to ask again."""

    reading: Reading
    request: Request
    selection: Selection
    allowed: Allowed

    async def check(self) -> None:
        """Raise Ended when the answer has changed; raises what the gate raises."""
        caller = await self.reading.gate.caller(self.request)
        if await self.reading.gate.narrow(caller, self.selection) != self.allowed:
            raise Ended(f"what {caller.name} may read has changed; connect again")


async def checked(permission: Permission, first: Event | None, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """Yield the events while the caller may still read them; raises Ended."""
    clock, interval_s = asyncio.get_running_loop().time, permission.reading.hub.settings.check_access
    check_at = clock() + interval_s
    if first is not None:
        yield first
    try:
        async for event in events:
            if clock() >= check_at:
                check_at = clock() + interval_s
                await permission.check()
            yield event
    except Problem as error:
        raise Ended(error.detail) from error
    except (Unauthenticated, AuthUnavailable, LogServerError) as error:
        raise Ended(str(error)) from error


async def frames(
    events: AsyncIterator[Event], form: str, style: TextStyle, refused: tuple[str, ...]
) -> AsyncIterator[bytes]:
    """Yield the events as bytes of a format."""
    writers: dict[str, Callable[[Event], bytes]] = {"sse": _sse, "ndjson": _ndjson, "text": partial(_text, style)}
    write = writers[form]
    if refused:
        yield _note(form, "access", {"refused_namespaces": refused})
    try:
        async for event in events:
            yield write(event)
    except Ended as error:
        yield _note(form, "access", {"ended": str(error)})


def _sse(event: Event) -> bytes:
    match event:
        case Chunk(lines, cursor, known):
            if not lines:
                return b"id: %b\n\n" % cursor.encode()
            if "sse" not in known:
                data = b",".join(followed.json for followed in lines)
                known["sse"] = b"id: %b\ndata: [%b]\n\n" % (cursor.encode(), data)
            return known["sse"]
        case Heartbeat(""):
            return b": still here\n\n"
        case Heartbeat(cursor):
            return b": still here\nid: %b\n\n" % cursor.encode()
        case _:
            name, content, cursor = _notice(event)
            return b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor.encode(), name.encode(), msgspec.json.encode(content))


def _ndjson(event: Event) -> bytes:
    match event:
        case Chunk(lines, cursor, known):
            if "ndjson" not in known:
                known["ndjson"] = b"".join(f.json + b"\n" for f in lines) + ndjson_note({"cursor": cursor})
            return known["ndjson"]
        case Heartbeat(cursor):
            return ndjson_note({"heartbeat": True} | ({"cursor": cursor} if cursor else {}))
        case _:
            name, content, cursor = _notice(event)
            return ndjson_note({name: True, **content, "cursor": cursor})


def _text(style: TextStyle, event: Event) -> bytes:
    match event:
        case Chunk(lines):
            return b"".join(text_line(followed.line, style) for followed in lines)
        case Heartbeat():
            return b""
        case Dropped(lines, start, end):
            return text_note(f"{lines} lines dropped, you read too slowly; get them with cursor={start}&until={end}")
        case Ending(cursor):
            return text_note(f"the server stops; go on with cursor={cursor}")
        case _:
            return text_note(str(_notice(event)[1]["detail"]))


def _notice(event: Event) -> tuple[str, dict[str, object], str]:
    """Return (name, content, cursor) of what is neither lines nor a heartbeat."""
    match event:
        case Dropped(lines, start, end):
            return "dropped", {"dropped": lines, "from": start, "to": end}, end
        case Reset(partition, cursor):
            return "reset", {"partition": partition, "detail": f"{partition}: the topic was made again"}, cursor
        case Partial(why, older, cursor):
            detail = f"there may be older lines: {why}; get them from /logs with cursor={older}"
            return "partial", {"detail": detail, "older": older}, cursor
        case Ending(cursor):
            return (
                "end",
                {"detail": "the server stops; go on from here when it runs again, or at another replica"},
                cursor,
            )
        case Unknown(cursor):
            return "reset", {"detail": "the topic has no such offsets; following goes on from what it has"}, cursor
        case _:
            raise AssertionError(event)


def _note(form: str, name: str, content: dict[str, object]) -> bytes:
    if form == "sse":
        return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(content))
    if form == "ndjson":
        return ndjson_note(content)
    return text_note(", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in content.items()))
