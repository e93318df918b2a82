"""The client's answers: lines and notes, exact across broken connections, errors that say what to do."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from logserver.client.http import ClientError, ClientRefusedError, LogClient

Answer = Callable[[web.Request], AsyncIterator[bytes]]


def line(number: int) -> bytes:
    return json.dumps({"id": str(number), "ts": "2026-03-04T09:15:27Z", "message": f"m{number}"}).encode() + b"\n"


def cursor(name: str) -> bytes:
    return json.dumps({"milepost": {"cursor": name}}).encode() + b"\n"


@asynccontextmanager
async def client_of(answer: Answer) -> AsyncIterator[LogClient]:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for part in answer(request):
            await response.write(part)
        return response

    app = web.Application()
    app.router.add_get("/logs", handle)
    async with TestServer(app) as server, LogClient(str(server.make_url("")), "secret") as client:
        yield client


async def test_lines_and_notes_come_apart_however_the_bytes_are_cut() -> None:
    async def answer(_: web.Request) -> AsyncIterator[bytes]:
        whole = line(1) + line(2) + cursor("c")
        for start in range(0, len(whole), 7):
            yield whole[start : start + 7]

    async with client_of(answer) as client:
        got = [received async for received in client.stream("/logs", [])]
    assert [one.line.message if one.line else one.note for one in got] == ["m1", "m2", {"cursor": "c"}]


async def test_a_follower_resumes_behind_the_last_whole_chunk() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> AsyncIterator[bytes]:
        asked.append(request.query.get("cursor", ""))
        if len(asked) == 1:
            yield line(1) + cursor("after-1") + line(2)  # cut before the cursor of line 2
        else:
            yield line(2) + cursor("after-2") + line(3) + cursor("after-3")

    got: list[str] = []
    async with client_of(answer) as client:
        async for received in client.follow("/logs", []):
            if received.line is not None:
                got.append(received.line.message)
            if len(got) == 3:
                break
    assert got == ["m1", "m2", "m3"]
    assert asked == ["", "after-1"]


async def test_a_refusal_says_what_the_server_said_and_is_not_retried() -> None:
    async def handle(_: web.Request) -> web.Response:
        problem = {"title": "Forbidden", "detail": "ann may not get pods/log in namespace risk"}
        return web.json_response(problem, status=403)

    app = web.Application()
    app.router.add_get("/logs", handle)
    async with TestServer(app) as server, LogClient(str(server.make_url("")), None) as client:
        with pytest.raises(ClientRefusedError, match="ann may not get pods/log in namespace risk"):
            async for _ in client.follow("/logs", []):
                pass


async def test_a_server_that_is_not_there_is_named_with_the_setting() -> None:
    async with LogClient("http://127.0.0.1:9", None) as client:
        with pytest.raises(ClientError, match=r"127\.0\.0\.1:9.*MILEPOST_SERVER"):
            await client.json("/logs", [])
