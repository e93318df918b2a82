"""The log-server with its web UI in a thread of its own, for tests that block on a browser; and lines to show."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from logserver.engines.embedded import EmbeddedStore
from logserver.query_settings import QuerySettings, TailSettings
from logserver.record import StoredBatch, TopicPartition
from logserver.webui import UiSettings
from milepost.auth import Authorizer
from milepost.units import Seconds
from tests.logserver.api_server import ApiServer, api_server
from tests.logserver.rows import line_rows, stored_batch, write_positions

PARTITIONS = 4


@contextlib.contextmanager
def served(
    store: EmbeddedStore,
    *,
    authorizer: Authorizer | None = None,
    port: int = 0,
    ui: UiSettings | None = None,
    tail_lines_max: int = 20_000,
    query: QuerySettings | None = None,
) -> Iterator[ApiServer]:
    """Serve until the block ends; `port` 0 takes a free one, `tail_lines_max` is what waits for a slow page."""
    started: Future[tuple[ApiServer, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        tail = TailSettings(poll_interval=Seconds(0.1), heartbeat=Seconds(0.5), lines_max=tail_lines_max)
        stopping = asyncio.Event()
        try:
            async with api_server(
                store,
                authorizer=authorizer,
                query=query or QuerySettings(running_max=3),
                tail=tail,
                ui=ui or UiSettings(),
                port=port,
            ) as server:
                started.set_result((server, asyncio.get_running_loop(), stopping))
                await stopping.wait()
        except OSError as error:
            started.set_exception(error)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="log-server")
    thread.start()
    server, loop, stopping = started.result(timeout=30)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(timeout=30)
        assert not thread.is_alive(), "the log-server did not stop"


class Feed:
    """Stores lines the way the write side does: the lines, then the positions, then the hub is told."""

    def __init__(self, store: EmbeddedStore) -> None:
        self._store = store
        self._next = [0] * PARTITIONS
        self._seq = 0

    def send(self, lines: list[dict[str, Any]], server: ApiServer | None = None) -> None:
        """Store lines, stamped now unless they say otherwise; `file_id` chooses the partition, as a key does."""
        batch = self.store(lines)
        self._seq += 1
        write_positions(self._store, {TopicPartition("logs", p): o for p, o in enumerate(self._next) if o}, self._seq)
        if server is not None:
            server.hub.on_stored(batch)

    def store(self, lines: list[dict[str, Any]]) -> StoredBatch:
        """Store lines and tell nobody yet."""
        now = time.time_ns()
        table = line_rows([self._placed({"ts": now + place, **line}) for place, line in enumerate(lines)])
        self._store.insert("lines", table)
        return stored_batch(table)

    def _placed(self, row: dict[str, Any]) -> dict[str, Any]:
        partition = row.get("file_id", 0) % PARTITIONS
        offset = self._next[partition]
        self._next[partition] += 1
        return {**row, "partition": partition, "offset": offset, "file_offset": offset * 100}


def numbered(start: int, count: int, files: int = 8) -> list[dict[str, Any]]:
    """Return lines of several pods, each with one file, whose messages are `file N line M` with M counting by file."""
    return [
        {
            "message": f"file {number % files} line {number // files}",
            "pod": f"iris-default-0-{number % files:05}",
            "file_id": number % files,
            "file_path": f"/var/log/containers/iris-{number % files}.log",
            "level": "error" if number % 10 == 0 else "info",
        }
        for number in range(start, start + count)
    ]
