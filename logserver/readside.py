"""The read side, opened in order: authorizer, reader, hub, application; served until cancelled.

The hub and the HTTP server are siblings of one TaskGroup: a hub that fails ends the process, it never leaves tails
that silently stand still.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI

from logserver.api.access import Gate
from logserver.api.app import create_app
from logserver.api.reading import Reading
from logserver.follow.hub import Hub
from logserver.metrics import Metrics
from logserver.query_settings import QuerySettings, TailSettings
from logserver.read.reader import Reader
from logserver.record import StoredBatch
from logserver.store import Store
from logserver.webui import UiSettings
from milepost.auth import AuthSettings, open_authorizer
from milepost.kube import KubeClient, KubeSettings

READ_GROUPS: dict[str, type] = {
    "query": QuerySettings,
    "tail": TailSettings,
    "auth": AuthSettings,
    "kube": KubeSettings,
    "ui": UiSettings,
}
"""The settings groups of the read side, beside `http`."""


async def run_read_side(
    store: Store,
    metrics: Metrics,
    *,
    listeners: list[Callable[[StoredBatch], None]],
    health: APIRouter,
    loaded: Mapping[str, Any],
    serve: Callable[[FastAPI], Coroutine[Any, Any, None]],
) -> None:
    """Run the hub and HTTP until cancelled or until one of them fails; raises SettingsError."""
    auth: AuthSettings = loaded["auth"]
    async with contextlib.AsyncExitStack() as stack:
        client = None
        if auth.mode == "kubernetes":
            client = await stack.enter_async_context(KubeClient.load(settings=loaded["kube"]))
        reader = Reader(store, loaded["query"])
        stack.push_async_callback(reader.close)
        hub = Hub(reader, loaded["tail"], metrics)
        listeners.append(hub.on_stored)
        stack.callback(listeners.remove, hub.on_stored)
        reading = Reading(reader, hub, Gate(open_authorizer(auth, client), reader), metrics)
        app = create_app(reading, health=health, ui=loaded["ui"])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hub.run(), name="hub")
            tasks.create_task(serve(app), name="http")
