"""The web UI's files and its neighbours are served from one address."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastapi import FastAPI

from logserver.webui import FILES, UiSettings, add_web_ui
from milepost.problem import install
from milepost.units import Bytes
from tests.parts.asgi import serve


@asynccontextmanager
async def neighbour() -> AsyncIterator[str]:
    async def echo(request: web.Request) -> web.Response:
        seen = {
            "path": request.path_qs,
            "token": request.headers.get("Authorization"),
            "cookie": "Cookie" in request.headers,
        }
        return web.json_response(seen)

    app = web.Application()
    app.router.add_route("*", "/api/v1/models", echo)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


@asynccontextmanager
async def ui(settings: UiSettings) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    app = FastAPI()
    install(app, {})
    add_web_ui(app, settings)
    async with serve(app) as url, aiohttp.ClientSession() as session:
        yield session, url


async def test_the_page_and_every_module_it_names_are_served_with_a_policy() -> None:
    async with ui(UiSettings()) as (session, url):
        for file in [FILES / "index.html", *sorted((FILES / "js").glob("*.js"))]:
            async with session.get(f"{url}/ui/{file.relative_to(FILES)}") as response:
                assert response.status == 200
                assert "default-src 'self'" in response.headers["Content-Security-Policy"]
                assert await response.read() == file.read_bytes()


async def test_the_root_leads_to_the_page() -> None:
    async with ui(UiSettings()) as (session, url), session.get(url) as response:
        assert str(response.url) == f"{url}/ui/"
        assert "<title>Milepost</title>" in await response.text()


async def test_a_neighbour_is_asked_with_the_callers_token_and_without_cookies() -> None:
    async with neighbour() as exporter, ui(UiSettings(exporter_url=exporter)) as (session, url):
        headers = {"Authorization": "Bearer t", "Cookie": "a=b"}
        async with session.get(f"{url}/exporter/api/v1/models?namespace=a%26b", headers=headers) as response:
            assert await response.json() == {
                "path": "/api/v1/models?namespace=a%26b",
                "token": "Bearer t",
                "cookie": False,
            }
        async with session.get(f"{url}/ui/config.json") as response:
            assert await response.json() == {"exporter": True, "platform": False, "lines_max": 50_000}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://ui.example"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://milepost.example", "Host": "milepost.example"}, 200),
    ],
)
async def test_only_pages_of_this_origin_may_change_something(headers: dict[str, str], status: int) -> None:
    async with neighbour() as platform, ui(UiSettings(platform_url=platform)) as (session, url):
        async with session.post(f"{url}/platform/api/v1/models", headers=headers) as response:
            assert response.status == status
        async with session.get(f"{url}/platform/api/v1/models", headers=headers) as response:
            assert response.status == 200


async def test_a_path_stays_a_path() -> None:
    async with neighbour() as platform, ui(UiSettings(platform_url=platform)) as (session, url):
        answer = await session.get(f"{url}/platform/api/v1/models%3Fnamespace=a")
        assert answer.status == 404


async def test_who_leaves_in_the_midst_of_an_answer_ends_it_at_the_neighbour_too() -> None:
    ended = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"data: 1\n\n")
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    app = web.Application()
    app.router.add_get("/api/v1/watch", endless)
    async with TestServer(app) as server, ui(UiSettings(platform_url=str(server.make_url("")))) as (session, url):
        async with session.get(f"{url}/platform/api/v1/watch") as response:
            assert await response.content.readany()
            response.close()
        async with asyncio.timeout(10):
            await ended.wait()
    gc.collect()  # an answer that was not closed warns when it is collected, and a warning fails the test


@pytest.mark.parametrize(
    ("settings", "method", "path", "status", "words"),
    [
        (UiSettings(), "GET", "/exporter/api/v1/models", 404, "set ui.exporter_url"),
        (UiSettings(exporter_url="http://127.0.0.1:9"), "GET", "/exporter/x", 502, "the exporter does not answer"),
        (UiSettings(platform_url="http://127.0.0.1:9", body_max=Bytes(3)), "POST", "/platform/x", 413, "ui.body_max"),
    ],
)
async def test_what_a_neighbour_cannot_do_is_said(
    settings: UiSettings, method: str, path: str, status: int, words: str
) -> None:
    async with ui(settings) as (session, url), session.request(method, url + path, data=b"12345") as response:
        assert response.status == status
        assert words in (await response.json())["detail"]
