"""The HTTP API, asked by a real client on loopback."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import cramjam
import pyarrow as pa
import pytest
import pytest_asyncio

from logserver.engines.embedded import EmbeddedStore
from logserver.query_settings import QuerySettings, TailSettings
from logserver.record import REJECT_SCHEMA
from logserver.store import read
from milepost.auth import TokenFile
from milepost.units import Bytes, Seconds
from tests.logserver.api_server import ApiServer, api_server
from tests.logserver.rows import BASE_NS, line_rows, stored_batch, write_positions

Params = dict[str, Any]


@pytest_asyncio.fixture
async def api(lines_store: EmbeddedStore) -> AsyncIterator[ApiServer]:
    tail = TailSettings(poll_interval=Seconds(0.02), heartbeat=Seconds(0.3))
    async with api_server(lines_store, tail=tail, query=QuerySettings(running_max=3, export_page=7)) as server:
        yield server


@pytest.fixture
def store(lines_store: EmbeddedStore) -> EmbeddedStore:
    """Thirty lines of two pods: the last is the newest."""
    lines_store.insert(
        "lines",
        line_rows(
            {
                "ts": BASE_NS + number * 10**9,
                "message": f"line {number}",
                "pod": f"iris-{number % 2}",
                "level": "error" if number % 10 == 0 else "info",
                "namespace": "risk" if number < 20 else "sales",
                "file_id": number % 2,
            }
            for number in range(30)
        ),
    )
    return lines_store


async def get(
    api: ApiServer, path: str, params: Any = None, status: int = 200, headers: dict[str, str] | None = None
) -> Any:
    async with api.http.get(path, params=params, headers=headers) as response:
        body = await response.text()
        assert response.status == status, body
        return json.loads(body) if "json" in response.content_type and "nd" not in response.content_type else body


@pytest.mark.usefixtures("store")
async def test_a_page_says_whether_there_is_more(api: ApiServer) -> None:
    page = await get(api, "/api/v1/logs", {"limit": 20})
    assert [line["message"] for line in page["lines"]] == [f"line {n}" for n in range(29, 9, -1)]
    assert (page["complete"], page["ended"]) == (True, "limit")
    rest = await get(api, "/api/v1/logs", {"limit": 20, "cursor": page["next"]})
    assert [line["message"] for line in rest["lines"]] == [f"line {n}" for n in range(9, -1, -1)]
    assert (rest["next"], rest["ended"]) == (None, "range")
    assert page["lines"][0]["ts"] == "2026-03-04T09:15:56.000000000Z"
    assert page["lines"][0]["labels"] == {"app": "iris"}


@pytest.mark.usefixtures("store")
async def test_filters_reach_the_store(api: ApiServer) -> None:
    async def messages(**params: Any) -> list[str]:
        return [line["message"] for line in (await get(api, "/api/v1/logs", params))["lines"]]

    assert await messages(level="error") == ["line 20", "line 10", "line 0"]
    assert await messages(namespace="!risk", pod="*-1", limit=2) == ["line 29", "line 27"]
    assert await messages(q="ne 2", words="9") == []
    assert await messages(words="29") == ["line 29"]
    assert await messages(regex="^line 1.$", limit=1, direction="forward") == ["line 10"]
    assert await messages(start="2026-03-04T09:15:28Z", end="2026-03-04T09:15:30Z") == ["line 2", "line 1"]


@pytest.mark.usefixtures("store")
async def test_a_page_comes_in_the_format_asked_for(api: ApiServer) -> None:
    text = await get(
        api, "/api/v1/logs", {"limit": 2, "prefix": "pod", "timestamps": "true"}, headers={"Accept": "text/plain"}
    )
    assert text == (
        "2026-03-04T09:15:55.000000000Z [iris-0] line 28\n2026-03-04T09:15:56.000000000Z [iris-1] line 29\n"
    )
    lines = (await get(api, "/api/v1/logs", {"limit": 2, "format": "ndjson"})).splitlines()
    assert [json.loads(line).get("message") for line in lines] == ["line 29", "line 28", None]
    assert json.loads(lines[2])["milepost"]["next"] == json.loads(lines[1])["id"]
    colored = await get(api, "/api/v1/logs", {"q": "line 20", "format": "text", "color": "true"})
    assert colored == "\x1b[31mline 20\x1b[0m\n"


async def test_plain_text_says_that_a_limit_nobody_chose_ended_it(api: ApiServer, lines_store: EmbeddedStore) -> None:
    lines_store.insert("lines", line_rows({"message": f"m{number}"} for number in range(101)))
    *lines, note = (await get(api, "/api/v1/logs", {"format": "text"})).splitlines()
    assert lines == [f"m{number}" for number in range(1, 101)]
    words, _, cursor = note.rpartition("cursor=")
    assert words.startswith("# milepost: there are more lines than the default limit")
    assert await get(api, "/api/v1/logs", {"format": "text", "cursor": cursor}) == "m0\n"
    assert "milepost" not in await get(api, "/api/v1/logs", {"format": "text", "limit": 100})


@pytest.mark.usefixtures("store")
async def test_a_model_has_its_own_address(api: ApiServer) -> None:
    assert len((await get(api, "/api/v1/models/sales/iris/logs"))["lines"]) == 10
    assert (await get(api, "/api/v1/models/sales/other/logs"))["lines"] == []
    problem = await get(api, "/api/v1/models/sales/iris/logs", {"model": "x"}, 422)
    assert problem["parameter"] == "model"


@pytest.mark.parametrize(
    ("path", "params", "parameter", "said"),
    [
        ("logs", {"namspace": "x"}, "namspace", "there are color, container, cursor"),
        ("stats", {"since": "1h"}, "since", "there is none"),
        ("logs", {"level": "eror"}, "level", "'eror' is not a level; there are trace, debug, info"),
        ("logs", {"limit": "0"}, "limit", "'0': Input should be greater than or equal to 1"),
        ("logs", {"limit": "999999"}, "limit", "999999 is more than 10000, the bound of query.lines_max"),
        ("logs", {"direction": "up"}, "direction", "'up': Input should be 'backward' or 'forward'"),
        ("logs", {"start": "soon"}, "start", "'soon' is not a time; write RFC 3339"),
        ("logs", {"start": "1h", "since": "1h"}, "start", "not both"),
        ("logs", {"regex": "a("}, "regex", "'a(' is not an RE2 expression: missing )"),
        ("logs", {"cursor": "zzz"}, "cursor", "'zzz' is another kind of cursor"),
        ("logs", {"tz": "Mars"}, "tz", "'Mars' is not an IANA time zone"),
        ("logs", {"pod": "x" * 5000}, "pod", "longer than 4096"),
        ("logs/context", {"id": "nope"}, "id", "'nope' is another kind of cursor"),
        ("logs/context", {}, "id", "Field required"),
        ("logs/tail", {"cursor": "x"}, "cursor", "'x' is"),
        ("logs/tail", {"until": "AgRsb2dzAQAB"}, "until", "it needs a cursor"),
        ("histogram", {"by": "colour"}, "by", "'colour': Input should be 'namespace', 'model'"),
        ("histogram", {"step": "1ms", "start": "2d", "end": "1d"}, "step", "query.buckets_max"),
        ("histogram", {"step": "x"}, "step", "'x' is not a duration"),
        ("export", {"compression": "rar"}, "compression", "'rar': Input should be 'none', 'gzip' or 'zstd'"),
        ("rejects", {"cursor": "x"}, "cursor", "'x' is"),
        ("namespaces/n/pods/p/log", {"tailLines": "-1"}, "tailLines", "'-1': Input should be greater"),
        ("namespaces/n/pods/p/log", {"follow": "maybe"}, "follow", "'maybe': Input should be a valid boolean"),
    ],
)
async def test_a_problem_names_the_parameter_the_value_and_what_is_allowed(
    api: ApiServer, path: str, params: Params, parameter: str, said: str
) -> None:
    async with api.http.get(f"/api/v1/{path}", params=params) as response:
        problem = json.loads(await response.text())
        assert (response.status, response.content_type) == (422, "application/problem+json")
    assert problem["parameter"] == parameter
    assert said in problem["detail"]
    assert (problem["status"], problem["instance"]) == (422, f"/api/v1/{path}")


async def test_context_follows_the_file(api: ApiServer, store: EmbeddedStore) -> None:
    [hit] = (await get(api, "/api/v1/logs", {"words": "15"}))["lines"]
    around = await get(api, "/api/v1/logs/context", {"id": hit["id"], "before": 2, "after": 1})
    assert [line["message"] for line in around["lines"]] == ["line 11", "line 13", "line 15", "line 17"]
    store.insert(
        "lines",
        line_rows(
            [{"ts": BASE_NS - 1, "pod": "iris-1", "namespace": "risk", "file_id": 99, "message": "rotated away"}]
        ),
    )
    first = (await get(api, "/api/v1/logs", {"words": "1", "q": "line 1"}))["lines"][-1]
    around = await get(api, "/api/v1/logs/context", {"id": first["id"], "before": 5, "after": 0})
    assert [line["message"] for line in around["lines"]] == ["rotated away", "line 1"]
    missing = await get(api, "/api/v1/logs/context", {"id": "AQAAAAAAAAAAAAAB"[:13] + "A"}, 422)
    assert missing["status"] == 422


@pytest.mark.usefixtures("store")
async def test_a_histogram_counts_every_line_once(api: ApiServer) -> None:
    found = await get(api, "/api/v1/histogram", {"step": "10s"})
    assert found["total"] == 30
    assert [bar["count"] for bar in found["buckets"]] == [3, 10, 10, 7]
    assert found["buckets"][0]["by"] == {"error": 1, "info": 2}
    by_pod = await get(api, "/api/v1/histogram", {"by": "pod", "buckets": 5, "q": "line 1"})
    assert sum(bar["by"].get("iris-1", 0) for bar in by_pod["buckets"]) == 6
    empty = await get(api, "/api/v1/histogram", {"namespace": "none"})
    assert (empty["total"], empty["buckets"]) == (0, [])


@pytest.mark.usefixtures("store")
async def test_fields_and_values_are_counted(api: ApiServer) -> None:
    fields = await get(api, "/api/v1/fields")
    assert {"name": "pod", "distinct": 2} in fields["fields"]
    values = await get(api, "/api/v1/fields/level/values", {"limit": 1})
    assert (values["values"], values["complete"]) == ([{"value": "info", "lines": 27}], False)
    assert (await get(api, "/api/v1/fields/colour/values", status=404))["type"].endswith("no-such-field")
    stats = await get(api, "/api/v1/stats")
    assert (stats["lines"], stats["newest"], stats["complete"]) == (30, "2026-03-04T09:15:56.000000000Z", True)


async def test_the_stats_say_when_there_are_more_namespaces_than_they_list(
    api: ApiServer, lines_store: EmbeddedStore
) -> None:
    rows = [{"namespace": f"team-{number:03}", "file_offset": number} for number in range(101)]
    lines_store.insert("lines", line_rows(rows))
    stats = await get(api, "/api/v1/stats")
    assert (stats["lines"], len(stats["namespaces"]), stats["complete"]) == (101, 100, False)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
async def test_an_export_holds_every_line_and_says_that_it_is_whole(api: ApiServer, compression: str) -> None:
    async with api.http.get("/api/v1/export", params={"compression": compression}) as response:
        body = await response.read()
    plain: dict[str, Callable[[bytes], bytes]] = {
        "none": bytes,
        "gzip": gzip.decompress,
        "zstd": lambda raw: bytes(cramjam.zstd.decompress(raw)),
    }
    lines = [json.loads(line) for line in plain[compression](body).splitlines()]
    assert [line["message"] for line in lines[:-1]] == [f"line {n}" for n in range(30)]
    assert lines[-1] == {"milepost": {"lines": 30, "complete": True}}


async def test_rejects_can_be_read_with_their_bytes(api: ApiServer, lines_store: EmbeddedStore) -> None:
    rows = {
        "received_at": [1, 2],
        "topic": ["logs", "logs"],
        "partition": [0, 0],
        "offset": [5, 6],
        "reason": ["not_json", "no_timestamp"],
        "detail": ["", "x"],
        "raw": [b"\xff{", b"{}"],
        "key": [b"", b""],
    }
    columns = {field.name: pa.array(rows[field.name]).cast(field.type) for field in REJECT_SCHEMA}
    lines_store.insert("rejects", pa.table(columns, schema=REJECT_SCHEMA))
    found = await get(api, "/api/v1/rejects", {"limit": 1})
    assert (found["total"], found["complete"]) == (2, False)
    assert found["by_reason"] == {"not_json": 1, "no_timestamp": 1}
    [reject] = (await get(api, "/api/v1/rejects", {"reason": "not_json"}))["rejects"]
    assert (reject["raw"], reject["raw_base64"]) == ("\ufffd{", "/3s=")
    await get(api, "/api/v1/rejects", {"cursor": "x"}, status=422)


def rejects(places: list[tuple[int, int]], received_ms: int) -> pa.Table:
    """Return rejected documents at these (partition, offset), all received at the same moment."""
    rows: dict[str, list[Any]] = {
        "received_at": [received_ms] * len(places),
        "topic": ["logs"] * len(places),
        "partition": [partition for partition, _ in places],
        "offset": [offset for _, offset in places],
        "reason": ["not_json"] * len(places),
        "detail": [""] * len(places),
        "raw": [b"?"] * len(places),
        "key": [b""] * len(places),
    }
    return pa.table({field.name: pa.array(rows[field.name]).cast(field.type) for field in REJECT_SCHEMA})


async def test_rejects_are_paged_exactly_while_others_arrive(api: ApiServer, lines_store: EmbeddedStore) -> None:
    places = [(partition, offset) for partition in range(3) for offset in range(20)]
    lines_store.insert("rejects", rejects(places, 5000))
    lines_store.insert("rejects", rejects(places[:7], 5000))  # stored twice by two replicas
    seen: list[tuple[int, int]] = []
    params: Params = {"limit": 7}
    while True:
        page = await get(api, "/api/v1/rejects", params)
        seen += [(reject["partition"], reject["offset"]) for reject in page["rejects"]]
        lines_store.insert("rejects", rejects([(9, len(seen))], 6000))
        assert page["complete"] == (page["next"] is None)
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert seen == places[::-1]
    assert page["total"] == 60 + 8


async def test_the_pod_log_is_what_kubectl_shows(api: ApiServer, lines_store: EmbeddedStore) -> None:
    rows = [
        {"ts": BASE_NS + n, "pod": "p", "container": "c", "container_id": "old" if n < 4 else "new", "message": f"m{n}"}
        for n in range(10)
    ]
    lines_store.insert("lines", line_rows([*rows, {"pod": "two", "container": "a"}, {"pod": "two", "container": "b"}]))
    path = "/api/v1/namespaces/models/pods/p/log"
    assert await get(api, path) == "m4\nm5\nm6\nm7\nm8\nm9\n"
    assert await get(api, path, {"previous": "true"}) == "m0\nm1\nm2\nm3\n"
    assert await get(api, path, {"tailLines": "2", "timestamps": "true"}) == (
        "2026-03-04T09:15:27.000000008Z m8\n2026-03-04T09:15:27.000000009Z m9\n"
    )
    assert await get(api, path, {"limitBytes": "4"}) == "m4\nm"
    assert await get(api, path, {"sinceTime": "2026-03-04T09:15:27.000000008Z"}) == "m8\nm9\n"
    assert await get(api, path, {"stream": "Stderr"}) == ""
    assert "choose one of a, b" in (await get(api, "/api/v1/namespaces/models/pods/two/log", status=422))["detail"]
    await get(api, "/api/v1/namespaces/models/pods/gone/log", status=404)


async def store_and_tell(api: ApiServer, store: EmbeddedStore, messages: list[str], first: int) -> None:
    batch = stored_batch(
        line_rows(
            {"message": message, "offset": first + n, "file_offset": first + n} for n, message in enumerate(messages)
        )
    )
    await asyncio.to_thread(store.insert, "lines", batch.lines)
    moved = {place: span.next_offset for place, span in batch.spans.items()}
    await asyncio.to_thread(write_positions, store, moved, first + 1)
    api.hub.on_stored(batch)


async def until_followed_by(api: ApiServer, count: int) -> None:
    async with asyncio.timeout(30):
        while api.hub.followers != count:  # noqa: ASYNC110 - a server has no event for a test to wait for
            await asyncio.sleep(0.02)


async def sse_events(response: Any, count: int) -> list[dict[str, str]]:
    """Return the next events that have an id, as a browser would see them."""
    events: list[dict[str, str]] = []
    event: dict[str, str] = {}
    async with asyncio.timeout(10):
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif "data" in event:
                events.append(event)
                event = {}
                if len(events) == count:
                    break
            else:
                event = {}
    return events


async def test_a_browser_that_reconnects_sees_each_line_once(api: ApiServer, lines_store: EmbeddedStore) -> None:
    await store_and_tell(api, lines_store, ["a", "b"], 0)
    seen = []
    async with api.http.get("/api/v1/logs/tail", params={"lines": 1}) as response:
        assert response.content_type == "text/event-stream"
        [first] = await sse_events(response, 1)
        seen += [line["message"] for line in json.loads(first["data"])]
        await store_and_tell(api, lines_store, ["c"], 2)
        [second] = await sse_events(response, 1)
        seen += [line["message"] for line in json.loads(second["data"])]
    await store_and_tell(api, lines_store, ["d", "e"], 3)
    async with api.http.get("/api/v1/logs/tail", headers={"Last-Event-ID": second["id"]}) as response:
        [third] = await sse_events(response, 1)
        seen += [line["message"] for line in json.loads(third["data"])]
    assert seen[-4:] == ["b", "c", "d", "e"]


async def test_a_follower_that_leaves_is_forgotten(api: ApiServer) -> None:
    async with api.http.get("/api/v1/logs/tail", params={"format": "ndjson"}) as response:
        note = json.loads(await response.content.readline())
        assert "cursor" in note["milepost"]
        assert api.hub.followers == 1
        assert "heartbeat" in json.loads(await response.content.readline())["milepost"]
    await until_followed_by(api, 0)


@pytest.mark.slow
async def test_hundreds_follow_at_once(api: ApiServer, lines_store: EmbeddedStore) -> None:
    async def one(number: int) -> str:
        params: Params = {"lines": 0, "format": "text", "q": f"for {number % 7} "}
        async with api.http.get("/api/v1/logs/tail", params=params) as response:
            return (await response.content.readline()).decode()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(300)]
        await until_followed_by(api, 300)
        await store_and_tell(api, lines_store, [f"for {number} all" for number in range(7)], 0)
    assert [task.result() for task in tasks] == [f"for {number % 7} all\n" for number in range(300)]


SLOW = "(A[0-9A-F]{200}|B[0-9A-F]{300}|C[0-9A-F]{400})[G-Z]"
"""Has too many states for the fast ways of RE2: over `store_slow_lines` it takes most of a minute."""


def store_slow_lines(store: EmbeddedStore) -> None:
    store.execute(
        "INSERT INTO lines (ts, message, file_offset, day) SELECT toDateTime64('2026-03-04', 9, 'UTC'), "
        "repeat(hex(cityHash64(number)), 50), number, '2026-03-04' FROM numbers(400000)"
    )


@pytest.mark.slow
async def test_a_query_whose_client_leaves_is_cancelled_in_the_store(
    api: ApiServer, lines_store: EmbeddedStore
) -> None:
    store_slow_lines(lines_store)
    asked = asyncio.create_task(get(api, "/api/v1/histogram", {"regex": SLOW}))
    await until_at_work(lines_store, 1)
    asked.cancel()
    await until_at_work(lines_store, 0)


async def until_at_work(store: EmbeddedStore, count: int) -> None:
    """Wait until the store works on this many queries of lines."""
    sql = "SELECT countIf(query LIKE '%FROM lines%' AND query NOT LIKE '%processes%') AS found FROM system.processes"
    async with asyncio.timeout(15):
        while (await asyncio.to_thread(read, store, sql))[0]["found"] != count:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)


async def test_a_reader_too_slow_for_its_buffer_gets_every_line_with_the_cursors_of_the_notice(
    lines_store: EmbeddedStore,
) -> None:
    """The connection itself holds megabytes, so the lines are large; the reader sleeps until some were dropped."""
    tail = TailSettings(poll_interval=Seconds(0.02), lines_max=20, bytes_max=Bytes(2**20))
    async with api_server(lines_store, tail=tail) as api:
        seen: list[str] = []
        params = {"lines": "0", "format": "ndjson"}
        async with api.http.get("/api/v1/logs/tail", params=params, read_bufsize=2**18) as response:
            sent = 0
            while not api.metrics.counter("follower_dropped_lines_total")._value.get():
                await store_and_tell(api, lines_store, [f"{sent + n}".ljust(2**17) for n in range(10)], sent)
                sent += 10
                assert sent < 2000
            async with asyncio.timeout(60):
                while len(seen) < sent:
                    found = json.loads(await response.content.readuntil(b"\n"))
                    seen += [found["message"].strip()] if "message" in found else []
                    if "dropped" in found.get("milepost", {}):
                        seen += await fetched(api, found["milepost"])
        assert seen == [str(number) for number in range(sent)]


async def fetched(api: ApiServer, note: dict[str, Any]) -> list[str]:
    """Return the messages that a notice says were dropped."""
    params = {"cursor": note["from"], "until": note["to"], "format": "ndjson"}
    lines = [json.loads(line) for line in (await get(api, "/api/v1/logs/tail", params)).splitlines()]
    messages = [line["message"].strip() for line in lines if "message" in line]
    assert len(messages) == note["dropped"]
    return messages


@pytest.mark.slow
async def test_a_slow_expression_ends_soon_after_the_time_limit(lines_store: EmbeddedStore) -> None:
    store_slow_lines(lines_store)
    async with api_server(lines_store, query=QuerySettings(running_max=3, time_max=Seconds(1))) as api:
        async with asyncio.timeout(15):
            await get(api, "/api/v1/histogram", {"regex": SLOW}, status=504)


async def test_an_answer_out_of_time_says_the_limit_with_its_setting(store: EmbeddedStore) -> None:
    async with api_server(store, query=QuerySettings(running_max=3, time_max=Seconds(1e-9))) as api:
        for path in ("logs", "export"):
            problem = await get(api, f"/api/v1/{path}", status=504)
            assert problem["detail"].startswith("this takes longer than query.time_max=")


async def test_a_chart_of_more_rows_than_a_query_may_return_is_refused(store: EmbeddedStore) -> None:
    async with api_server(store, query=QuerySettings(running_max=3, rows_max=5)) as api:
        assert (await get(api, "/api/v1/histogram", {"by": "pod", "step": "1m"}))["total"] == 30
        problem = await get(api, "/api/v1/histogram", {"by": "pod", "step": "1s"}, status=413)
        assert problem["type"].endswith("too-large")


async def test_a_token_opens_its_namespaces_and_names_the_others(store: EmbeddedStore, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.yaml"
    digest = hashlib.sha256(b"secret").hexdigest()
    tokens.write_text(
        f"tokens:\n  - name: ana\n    sha256: {digest}\n    allow:\n"
        "      - {verbs: [get], resources: [pods/log], namespaces: [risk]}\n"
    )
    async with api_server(store, authorizer=TokenFile(tokens)) as api:
        await get(api, "/api/v1/logs", status=401)
        bearer = {"Authorization": "Bearer secret"}
        assert len((await get(api, "/api/v1/logs", {"namespace": "risk"}, headers=bearer))["lines"]) == 20
        both = await get(api, "/api/v1/logs", [("namespace", "risk"), ("namespace", "sales")], headers=bearer)
        assert (len(both["lines"]), both["refused_namespaces"]) == (20, ["sales"])
        open_query = await get(api, "/api/v1/logs", headers=bearer)
        assert (len(open_query["lines"]), open_query["refused_namespaces"]) == (20, ["sales"])
        await get(api, "/api/v1/logs", {"namespace": "sales"}, 403, headers=bearer)
        await get(api, "/api/v1/rejects", status=403, headers=bearer)
        await get(api, "/api/v1/namespaces/sales/pods/iris-0/log", status=403, headers=bearer)
        stats = await get(api, "/api/v1/stats", headers=bearer)
        assert (stats["lines"], stats["refused_namespaces"], stats["complete"]) == (20, ["sales"], True)
        hidden = (await get(api, "/api/v1/fields/namespace/values", headers=bearer))["values"]
        assert hidden == [{"value": "risk", "lines": 20}]
