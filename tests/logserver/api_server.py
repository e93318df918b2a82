"""A log-server's API on loopback, over a real store, served by uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import uvicorn

from logserver.api.access import Gate
from logserver.api.app import create_app
from logserver.api.reading import Reading
from logserver.follow.hub import Hub
from logserver.health import health_router
from logserver.metrics import Metrics
from logserver.query_settings import QuerySettings, TailSettings
from logserver.read.reader import Reader
from logserver.status import Status
from logserver.store import Store
from logserver.webui import UiSettings, add_web_ui
from milepost.auth import AllowAll, Authorizer


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A running server: its address, a client, and its parts."""

    url: str
    http: aiohttp.ClientSession
    hub: Hub
    metrics: Metrics
    reader: Reader


@contextlib.asynccontextmanager
async def api_server(
    store: Store,
    *,
    authorizer: Authorizer | None = None,
    query: QuerySettings | None = None,
    tail: TailSettings | None = None,
    ui: UiSettings | None = None,
    port: int = 0,
) -> AsyncIterator[ApiServer]:
    """Serve until the block ends, with the web UI when `ui` is given."""
    metrics = Metrics()
    reader = Reader(store, query or QuerySettings(running_max=3))
    hub = Hub(reader, tail or TailSettings(), metrics)
    reading = Reading(reader, hub, Gate(authorizer or AllowAll(), reader), metrics)
    app = create_app(reading, health=health_router(Status(joined=True), metrics))
    if ui is not None:
        add_web_ui(app, ui)
    listening = socket.create_server(("127.0.0.1", port))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
    tasks = [asyncio.create_task(server.serve(sockets=[listening])), asyncio.create_task(hub.run())]
    await hub.ready({}, 0)
    try:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(base_url=url, connector=connector) as session:
            yield ApiServer(url, session, hub, metrics, reader)
    finally:
        server.should_exit = True
        await tasks[0]
        tasks[1].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tasks[1]
        listening.close()
        await reader.close()
