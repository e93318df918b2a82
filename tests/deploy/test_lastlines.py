"""The last lines of a failing container, from a log-server on loopback; where there are none, why is said instead."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from deploy.operate.lastlines import Logs, last_lines, lines_of
from deploy.why import Finding
from milepost.units import Bytes, Seconds
from tests.parts.ports import free_port

FINDING = Finding("oom", "pod p-1", "killed", "give it memory", pod="p-1", container="ner")


@contextlib.asynccontextmanager
async def log_server(status: int = 200, body: str = "") -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Yield the URL of a server that answers every request so, and the requests it got."""
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}", seen
    finally:
        await runner.cleanup()


async def lines(settings: Logs, finding: Finding = FINDING) -> str:
    async with aiohttp.ClientSession() as session:
        return await last_lines(session, settings, "nlp", finding)


async def test_the_container_of_the_finding_is_asked_for_with_the_token() -> None:
    async with log_server(body="loading\nkilled\n") as (url, seen):
        assert await lines(Logs(url=url + "/", token="t-1", lines=3)) == "loading\nkilled"
    (request,) = seen
    assert request.path == "/api/v1/namespaces/nlp/pods/p-1/log"
    assert dict(request.query) == {"container": "ner", "tailLines": "3"}
    assert request.headers["Authorization"] == "Bearer t-1"


async def test_each_finding_has_its_lines_in_order() -> None:
    other = Finding("quota", "m", "exceeded", "ask for more")
    async with log_server(body="said") as (url, seen):
        assert await lines_of(Logs(url=url), "nlp", [FINDING, other, *[FINDING] * 20]) == ["said", "", *["said"] * 20]
    assert len(seen) == 21


async def test_an_answer_is_read_to_its_bound_and_broken_text_is_shown_all_the_same() -> None:
    async with log_server(body="a" * 5000) as (url, _):
        assert await lines(Logs(url=url, body_max=Bytes(100))) == "a" * 100


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_a_refusal_is_told_by_its_status(status: int) -> None:
    async with log_server(status) as (url, _):
        assert await lines(Logs(url=url)) == f"(no log lines: the log-server answered {status})"


async def test_a_log_server_that_is_away_is_told() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert (await lines(Logs(url=url, timeout=Seconds(5)))).startswith("(no log lines: the log-server does not answer:")


async def test_without_a_log_server_or_a_container_nothing_is_asked() -> None:
    assert await lines(Logs()) == "(no log lines: logs.url names no log-server)"
    assert await lines(Logs(), Finding("quota", "m", "exceeded", "ask for more")) == ""
