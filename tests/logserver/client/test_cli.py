"""`milepost logs` as a person runs it: against a log-server, lines on stdout, the rest on stderr."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from click.testing import CliRunner, Result

from logserver.client.cli import logs
from logserver.engines.embedded import EmbeddedStore
from logserver.record import TopicPartition
from tests.logserver.api_server import ApiServer, api_server
from tests.logserver.rows import BASE_NS, line_rows, stored_batch, write_positions


@pytest_asyncio.fixture
async def api(lines_store: EmbeddedStore) -> AsyncIterator[ApiServer]:
    """Two pods that take turns; pod b ends with an error of two lines."""
    rows = [
        {
            "ts": BASE_NS + number * 10**9,
            "namespace": "risk",
            "pod": f"iris-{'ab'[number % 2]}",
            "file_id": number % 2,
            "message": f"scored {number}",
        }
        for number in range(9)
    ]
    rows.append({**rows[-1], "pod": "iris-b", "file_id": 1, "ts": BASE_NS + 9 * 10**9, "level": "error",
                 "message": "Traceback:\n  timed out", "trace_id": "4bf9", "node": "gpu-0"})  # fmt: skip
    lines_store.insert("lines", line_rows(rows))
    write_positions(lines_store, {TopicPartition("logs", 0): 10}, 1)
    async with api_server(lines_store) as server:
        yield server


async def run(api: ApiServer, *words: str) -> Result:
    """Run the command in a thread, since it has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, logs, [*words], env={"MILEPOST_SERVER": api.url, "TZ": "UTC"})


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["-t", "2", "-o", "raw"], ["scored 8", "Traceback:", "  timed out"]),
        (["-t", "2", "-o", "raw", "-p", "iris-a"], ["scored 6", "scored 8"]),
        (["-n", "risk", "--model", "iris", "-l", "error", "-o", "raw"], ["Traceback:", "  timed out"]),
        (["-l", "!error", "-t", "1", "-o", "raw"], ["scored 8"]),
        (["-g", r"scored [12]$", "-o", "raw"], ["scored 1", "scored 2"]),
        (["-q", "timed out", "--no-prefix", "--utc"], ["2026-03-04 09:15:36.000Z ERR Traceback:", "  timed out"]),
        (["-w", "OUT timed", "-i", "-o", "raw"], ["Traceback:", "  timed out"]),
        (["--trace-id", "4bf9", "--no-timestamps"], ["ERR iris-b/classifier Traceback:", "  timed out"]),
        (["--node", "gpu-0", "-o", "raw"], ["Traceback:", "  timed out"]),
        (["--end", "2026-03-04T09:15:28Z", "-c", "classifier", "-o", "raw"], ["scored 0"]),
        (["--end", "2026-03-04T09:15:30Z", "--since", "2s", "-o", "raw"], ["scored 1", "scored 2"]),
        (["--start", "2026-03-04T09:15:35Z", "--stream", "stdout", "-o", "raw", "-l", "info"], ["scored 8"]),
        (["--predictor", "canary"], []),
    ],
)  # fmt: skip
async def test_options_choose_the_lines_and_how_they_look(api: ApiServer, words: list[str], shown: list[str]) -> None:
    result = await run(api, *words)
    assert (result.exit_code, result.stdout.splitlines()) == (0, shown)
    assert result.stderr == ("" if shown else "# milepost: found no line\n")


async def test_json_is_the_line_as_the_server_has_it(api: ApiServer) -> None:
    result = await run(api, "-o", "json", "-t", "1")
    line = json.loads(result.stdout)
    assert (line["pod"], line["message"], line["level"]) == ("iris-b", "Traceback:\n  timed out", "error")


async def test_context_shows_what_was_around_each_hit_in_its_own_file(api: ApiServer) -> None:
    result = await run(api, "-g", "scored [36]", "-C", "1", "-o", "raw")
    assert result.stdout.split("\n")[:-1] == ["scored 1", "scored 3", "scored 5", "scored 4", "scored 6", "scored 8"]
    text = (await run(api, "-g", "scored [36]", "-C", "1", "--no-timestamps", "--no-prefix")).stdout
    assert text.splitlines()[3] == "--"


async def test_each_pod_has_its_colour_and_hits_are_marked(api: ApiServer) -> None:
    result = await run(api, "-t", "3", "-g", "scored|out", "--color", "always")
    prefixes = {line.split("\x1b[0m ")[2].split("iris")[0] for line in result.stdout.splitlines() if "iris-" in line}
    assert len(prefixes) == 2
    assert "\x1b[7mscored\x1b[0m" in result.stdout
    assert "\x1b" not in (await run(api, "-t", "1")).stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-l", "eror"], 1, "'eror' is not a level"),
        (["-g", "a("], 1, "missing )"),
        (["-t", "99999"], 1, "query.lines_max"),
        (["-t", "0"], 2, "--follow"),
        (["-f", "-C", "1"], 2, "--context needs a finished search"),
        (["--stream", "stdin"], 2, "stdout"),
        (["--server", "http://127.0.0.1:1"], 1, "MILEPOST_SERVER"),
    ],
)
async def test_what_cannot_be_done_is_said_on_stderr(api: ApiServer, words: list[str], code: int, said: str) -> None:
    result = await run(api, *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


async def test_following_shows_the_last_lines_and_then_each_new_one(api: ApiServer, lines_store: EmbeddedStore) -> None:
    command = [
        sys.executable,
        "-m",
        "milepost.cli",
        "logs",
        "--server",
        api.url,
        "-f",
        "-t",
        "1",
        "-o",
        "raw",
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"Traceback:\n"
            assert await process.stdout.readline() == b"  timed out\n"
            batch = stored_batch(line_rows([{"message": "late", "ts": 0, "offset": 10}]))
            await asyncio.to_thread(lines_store.insert, "lines", batch.lines)
            await asyncio.to_thread(write_positions, lines_store, {TopicPartition("logs", 0): 11}, 2)
            api.hub.on_stored(batch)
            assert await process.stdout.readline() == b"late\n"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
