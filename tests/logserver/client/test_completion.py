"""Completion in a shell: the names that the log-server has, narrowed by what is typed already."""

from __future__ import annotations

import asyncio

from click.shell_completion import ShellComplete

from logserver.client.cli import logs
from logserver.engines.embedded import EmbeddedStore
from tests.logserver.api_server import api_server
from tests.logserver.rows import line_rows


async def completed(words: list[str], incomplete: str) -> list[str]:
    """Return what a shell would offer; in a thread, since completion runs a loop of its own."""
    shell = ShellComplete(logs, {}, "milepost logs", "_MILEPOST_COMPLETE")
    items = await asyncio.to_thread(shell.get_completions, words, incomplete)
    return sorted(item.value for item in items)


async def test_names_of_the_store_are_completed_within_the_filters_typed_so_far(lines_store: EmbeddedStore) -> None:
    names = [
        ("risk", "iris", "iris-a"),
        ("risk", "iris", "iris-b"),
        ("risk", "fraud", "fraud-a"),
        ("vision", "i%", "z"),
    ]
    rows = ({"namespace": namespace, "model": model, "pod": pod} for namespace, model, pod in names)
    lines_store.insert("lines", line_rows(rows))
    async with api_server(lines_store) as server:
        here = ["--server", server.url]
        assert await completed([*here, "-m"], "i") == ["i%", "iris"]
        assert await completed([*here, "-n", "risk", "-m"], "i") == ["iris"]
        assert await completed([*here, "-m", "iris", "-p"], "") == ["iris-a", "iris-b"]
        assert await completed([*here, "-n"], "nothing-like-it") == []


async def test_a_server_that_is_not_there_completes_nothing() -> None:
    assert await completed(["--server", "http://127.0.0.1:1", "-m"], "") == []
