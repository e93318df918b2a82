"""Lines of megabytes: answers end early and say so, nothing is lost, and no reader's memory is without a bound."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from logserver.engines.embedded import EmbeddedStore
from logserver.query_settings import QuerySettings, TailSettings
from logserver.record import TopicPartition
from milepost.units import Bytes, Seconds
from tests.logserver.api_server import ApiServer, api_server
from tests.logserver.rows import BASE_NS, line_rows, write_positions

MEBIBYTE = 2**20
POD = "/api/v1/namespaces/models/pods/iris-default-0-x2m7k/log"
PARTIAL = "the memory limit (query.memory_max) ended this page early"


@pytest_asyncio.fixture
async def api(lines_store: EmbeddedStore) -> AsyncIterator[ApiServer]:
    """A result may have 4 MiB."""
    query = QuerySettings(running_max=3, export_page=8, memory_max=Bytes(32 * MEBIBYTE))
    async with api_server(lines_store, query=query, tail=TailSettings(poll_interval=Seconds(0.02))) as server:
        yield server


@pytest.fixture
def twelve(lines_store: EmbeddedStore) -> EmbeddedStore:
    """Twelve lines of a mebibyte each; only their first characters differ."""
    lines_store.insert("lines", line_rows(huge_lines(12)))
    write_positions(lines_store, {TopicPartition("logs", 0): 12}, 1)
    return lines_store


def huge_lines(count: int) -> list[dict[str, Any]]:
    return [{"ts": BASE_NS + number, "message": f"{number:02}".ljust(MEBIBYTE, ".")} for number in range(count)]


def names(lines: list[dict[str, Any]]) -> list[int]:
    return [int(line["message"][:2]) for line in lines]


async def body(api: ApiServer, path: str, **params: str | int) -> str:
    async with api.http.get(path, params=params) as response:
        assert response.status == 200, await response.text()
        return await response.text()


@pytest.mark.usefixtures("twelve")
async def test_a_page_ends_at_its_bytes_and_says_where_it_goes_on(api: ApiServer) -> None:
    params: dict[str, str | int] = {"limit": 12}
    seen: list[int] = []
    turns = 0
    while True:
        page = json.loads(await body(api, "/api/v1/logs", **params))
        seen += names(page["lines"])
        turns += 1
        assert len(page["lines"]) < 10
        if page["next"] is None:
            break
        assert (page["complete"], page["ended"]) == (False, "memory")
        assert page["detail"].startswith(PARTIAL)
        params["cursor"] = page["next"]
    assert seen == list(range(11, -1, -1))
    assert turns > 1


@pytest.mark.usefixtures("twelve")
async def test_an_export_of_them_is_whole(api: ApiServer) -> None:
    *lines, note = map(json.loads, (await body(api, "/api/v1/export")).splitlines())
    assert names(lines) == list(range(12))
    assert note == {"milepost": {"lines": 12, "complete": True}}


@pytest.mark.usefixtures("twelve")
async def test_the_log_of_a_pod_says_that_its_last_lines_are_not_all(api: ApiServer) -> None:
    note, *lines = (await body(api, POD, tailLines=12)).splitlines()
    assert note == f"# milepost: there may be older lines: {PARTIAL}"
    assert 1 < len(lines) < 10
    assert lines[-1].startswith("11")
    assert len((await body(api, POD)).splitlines()) == 12


@pytest.mark.usefixtures("twelve")
async def test_a_tail_says_that_its_past_is_not_all_and_where_the_rest_is(api: ApiServer) -> None:
    async with api.http.get(
        "/api/v1/logs/tail", params={"lines": 12, "format": "ndjson"}, read_bufsize=2**22
    ) as response:
        received: list[dict[str, Any]] = []
        async with asyncio.timeout(20):
            while not received or "partial" not in received[-1].get("milepost", {}):
                received.append(json.loads(await response.content.readuntil(b"\n")))
    note = received[-1]["milepost"]
    assert PARTIAL in note["detail"]
    assert note["cursor"] == received[-2]["milepost"]["cursor"]
    shown = names(received[:-2])
    older = json.loads(await body(api, "/api/v1/logs", cursor=note["older"], limit=2))
    assert names(older["lines"]) == [shown[0] - 1, shown[0] - 2]


async def test_a_line_beyond_the_limit_breaks_a_log_off_in_words(api: ApiServer, lines_store: EmbeddedStore) -> None:
    rows = [{"ts": BASE_NS + number, "message": "small"} for number in range(8)]
    lines_store.insert("lines", line_rows([*rows, {"ts": BASE_NS + 9, "message": "." * 5 * MEBIBYTE}]))
    *lines, note = (await body(api, POD)).splitlines()
    assert lines == ["small"] * 8
    assert note.startswith("# milepost: the log breaks off here: this needs more memory than query.memory_max=32MiB")
    *_, last = map(json.loads, (await body(api, "/api/v1/export")).splitlines())
    assert (last["milepost"]["complete"], last["milepost"]["lines"]) == (False, 8)


async def test_what_another_replica_stored_reaches_followers(api: ApiServer, lines_store: EmbeddedStore) -> None:
    async with api.http.get(
        "/api/v1/logs/tail", params={"lines": 0, "format": "ndjson"}, read_bufsize=2**22
    ) as response:
        await response.content.readuntil(b"\n")
        await asyncio.to_thread(lines_store.insert, "lines", line_rows(huge_lines(12)))
        await asyncio.to_thread(write_positions, lines_store, {TopicPartition("logs", 0): 12}, 1)
        seen: list[int] = []
        async with asyncio.timeout(30):
            while len(seen) < 12:
                found = json.loads(await response.content.readuntil(b"\n"))
                seen += names([found]) if "message" in found else []
    assert seen == list(range(12))
