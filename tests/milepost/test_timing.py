"""What is measured of a request: its route and how it was answered; a stream counts when it begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from milepost.timing import Timed, Timing
from tests.parts.asgi import serve


def measured(observed: list[Timed]) -> FastAPI:
    app = FastAPI()
    app.add_middleware(Timing, observe=observed.append)

    @app.get("/models/{name}")
    async def model(name: str) -> dict[str, str]:
        return {"name": name}

    @app.post("/slow")
    async def slow() -> None:
        await asyncio.sleep(0.05)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            yield "first"
            await asyncio.sleep(30)

        return StreamingResponse(chunks())

    return app


async def test_a_request_is_measured_by_its_route_not_its_url() -> None:
    observed: list[Timed] = []
    async with serve(measured(observed)) as base, aiohttp.ClientSession() as session:
        for path in ("/models/iris", "/models/mnist", "/models/", "/models/iris/x"):
            await (await session.get(base + path)).read()
        await (await session.post(base + "/slow")).read()
        await (await session.delete(base + "/slow")).read()
    assert [(timed.method, timed.route, timed.status) for timed in observed] == [
        ("GET", "/models/{name}", 200),
        ("GET", "/models/{name}", 200),
        ("GET", "", 404),
        ("GET", "", 404),
        ("POST", "/slow", 200),
        ("DELETE", "/slow", 405),
    ]
    assert observed[4].took_s >= 0.05


async def test_a_stream_is_measured_when_it_begins() -> None:
    observed: list[Timed] = []
    async with serve(measured(observed)) as base, aiohttp.ClientSession() as session:
        answer = await session.get(base + "/stream")
        assert await answer.content.read(5) == b"first"
        assert [timed.route for timed in observed] == ["/stream"]
        answer.close()
