"""The Kubernetes-shaped pod log: the parameters and the plain text of `kubectl logs`, for pods long gone too.

As with a kubelet, the log is that of the container's newest instance, `previous` that of the one before; following
goes on across restarts, which a kubelet does not. What is no line of the log (lines dropped for a slow reader or not
reached within a query's limits, the end of the server or of the permission) is said in lines that begin with
`# milepost:`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from logserver.api import examples
from logserver.api.access import Allowed
from logserver.api.answers import streamed
from logserver.api.faults import bad_parameter
from logserver.api.params import literal_filter
from logserver.api.reading import Reading
from logserver.api.streams import begun, told
from logserver.api.tail import Permission, checked, first_event, frames
from logserver.follow.tail import Tail, follow
from logserver.query import conditions
from logserver.query.cursor import PageCursor
from logserver.query.filters import Selection
from logserver.read.formats import TextStyle, text, text_note
from logserver.read.pages import PARTIAL, read_page
from logserver.read.reader import RequestDeadline
from logserver.times import EARLIEST_NS, NS, TimeRange, parse_instant
from milepost.problem import Problem
from milepost.query import StrictRoute


class PodLogParams(BaseModel):
    """The parameters of the Kubernetes pod log API, with its names and meanings."""

    container: Annotated[str, Field(description="Needed when the pod has several containers.")] = ""
    follow: Annotated[bool, Field(description="Go on with new lines.")] = False
    previous: Annotated[bool, Field(description="The container's instance before its last restart.")] = False
    sinceSeconds: Annotated[int | None, Field(ge=1, le=10**10, description="How far back.")] = None  # noqa: N815
    sinceTime: Annotated[str | None, Field(description="From this RFC 3339 time.")] = None  # noqa: N815
    tailLines: Annotated[int | None, Field(ge=0, le=10**9, description="The last lines only.")] = None  # noqa: N815
    limitBytes: Annotated[int | None, Field(ge=1, le=2**63 - 1, description="End after this many bytes.")] = None  # noqa: N815
    timestamps: Annotated[bool, Field(description="Begin each line with its time.")] = False
    stream: Annotated[Literal["All", "Stdout", "Stderr"], Field(description="Which stream.")] = "All"
    pretty: Annotated[str, Field(description="Accepted and without effect, as for Kubernetes.")] = ""
    insecureSkipTLSVerifyBackend: Annotated[bool, Field(description="Accepted and without effect.")] = False  # noqa: N815


def pods_router(reading: Reading) -> APIRouter:
    """Return the pod log route."""
    router = APIRouter(prefix="/api/v1", tags=["logs"], route_class=StrictRoute)

    @router.get(
        "/namespaces/{namespace}/pods/{pod}/log",
        response_class=StreamingResponse,
        responses=streamed(examples.POD_LOG),
    )
    async def pod_log(request: Request, namespace: str, pod: str, params: Annotated[PodLogParams, Query()]) -> Response:
        """Return the log of a pod's container as plain text."""
        await reading.gate.namespace(await reading.gate.caller(request), namespace)
        whole = _since(params)
        selection = await _instance(reading, namespace, pod, params)
        style = TextStyle(timestamps=params.timestamps)
        if params.follow:
            lines = reading.reader.settings.lines_max if params.tailLines is None else params.tailLines
            tail = Tail(selection, whole, min(lines, reading.reader.settings.lines_max))
            events = follow(reading.hub, reading.reader, tail)
            permission = Permission(reading, request, selection, Allowed(selection))
            body = frames(checked(permission, await first_event(events), events), "text", style, ())
        else:
            body = told(await begun(_read(reading, selection, whole, params.tailLines, style)))
        return StreamingResponse(_limited(body, params.limitBytes), media_type="text/plain; charset=utf-8")

    return router


def _since(params: PodLogParams) -> TimeRange:
    if params.sinceSeconds is not None and params.sinceTime is not None:
        raise bad_parameter("sinceTime", "give sinceSeconds or sinceTime, not both")
    if params.sinceSeconds is not None:
        return TimeRange(max(EARLIEST_NS, time.time_ns() - params.sinceSeconds * NS))
    if params.sinceTime is not None:
        try:
            return TimeRange(parse_instant(params.sinceTime, now_ns=time.time_ns()))
        except ValueError as error:
            raise bad_parameter("sinceTime", str(error)) from error
    return TimeRange()


async def _instance(reading: Reading, namespace: str, pod: str, params: PodLogParams) -> Selection:
    """Return the selection of the container's instance; raises Problem when it is not clear which one."""
    names = {"namespace": namespace, "pod": pod} | ({"container": params.container} if params.container else {})
    selection = literal_filter(**names)
    statement = conditions(selection)
    rows = await reading.reader.rows(
        "SELECT container, container_id, max(ts) AS newest FROM lines "  # noqa: S608 (bound)
        f"{statement.where} GROUP BY container, container_id ORDER BY newest DESC",
        statement.params,
    )
    found = (
        [(row["container"], row["container_id"]) for row in rows.drop_columns("newest").to_pylist()]
        if rows.num_rows
        else []
    )
    containers = sorted({container for container, _ in found})
    if not found:
        raise Problem(404, f"there is no line of pod {pod} in namespace {namespace}", slug="no-such-pod")
    if len(containers) > 1:
        raise bad_parameter("container", f"pod {pod} has several, choose one of {', '.join(containers)}")
    if params.previous and len(found) < 2:
        raise bad_parameter("previous", f"no earlier instance of container {containers[0]} in pod {pod} is stored")
    if params.stream != "All":
        names["stream"] = params.stream.lower()
    selection = literal_filter(**names)
    if params.follow and not params.previous:
        return selection
    return replace(selection, container_id=found[1 if params.previous else 0][1])


async def _read(
    reading: Reading, selection: Selection, whole: TimeRange, tail_lines: int | None, style: TextStyle
) -> AsyncIterator[bytes]:
    """Yield the whole log, or its last lines, oldest first."""
    settings = reading.reader.settings
    cursor: PageCursor | None = None
    if tail_lines is not None and tail_lines <= settings.lines_max:
        page = await read_page(
            reading.reader,
            selection,
            whole,
            cursor=None,
            direction="backward",
            limit=tail_lines,
            deadline=RequestDeadline(settings.time_max),
        )
        if page.ended in PARTIAL:
            yield text_note(f"there may be older lines: {PARTIAL[page.ended]}")
        yield text(page.lines[::-1], style)
        return
    if tail_lines is not None:
        cursor = await _start_of_tail(reading, selection, whole, tail_lines)
    while True:
        page = await read_page(
            reading.reader,
            selection,
            whole,
            cursor=cursor,
            direction="forward",
            limit=settings.export_page,
            deadline=RequestDeadline(settings.time_max),
        )
        yield text(page.lines, style)
        cursor = page.next
        if cursor is None:
            return


async def _start_of_tail(reading: Reading, selection: Selection, whole: TimeRange, lines: int) -> PageCursor | None:
    """Return the place after which the last `lines` lines lie, None when there are no more than that."""
    statement = conditions(selection, whole)
    skipped = statement.bind("UInt64", lines)
    rows = await reading.reader.rows(
        "SELECT toUnixTimestamp64Nano(ts) AS at, file_id, file_offset FROM lines "  # noqa: S608 (bound)
        f"{statement.where} ORDER BY ts DESC, file_id DESC, file_offset DESC LIMIT 1 OFFSET {skipped}",
        statement.params,
    )
    return next((PageCursor(row["at"], row["file_id"], row["file_offset"]) for row in rows.to_pylist()), None)


async def _limited(body: AsyncIterator[bytes], limit_bytes: int | None) -> AsyncIterator[bytes]:
    left = limit_bytes
    async for part in body:
        if left is None:
            yield part
        else:
            yield part[:left]
            left -= len(part)
            if left <= 0:
                return
