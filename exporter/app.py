"""Runs the exporter: connections, then the watches, the sampler and the server as siblings in one task group.

When one of the siblings ends, the process ends, with the reason. On SIGTERM the server finishes its open requests
first, then the rest is cancelled and the connections are closed, in the mirror of the start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import uvicorn

from exporter.api import create_app
from exporter.compose import build
from exporter.serving import Exporter
from exporter.settings import Settings
from milepost.auth import open_authorizer
from milepost.kube import KubeClient
from milepost.settings import SettingsError

log = logging.getLogger(__name__)

_SHUTDOWN_S = 5


class _Stopped(Exception):  # noqa: N818 - not an error
    """The server was asked to stop."""


async def run(
    settings: Settings, *, env: Mapping[str, str] = os.environ, listening: Callable[[str], None] = log.info
) -> None:
    """Run until SIGTERM, or until a part ends; then what it raised. `listening` is told the server's URL.

    Raises SettingsError, KubeConfigError before anything runs.
    """
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(KubeClient.load(settings=settings.kube))
        exporter = await build(settings, client, stack, env)
        app = create_app(exporter, open_authorizer(settings.auth, client), settings.scrape)
        listener = stack.enter_context(_listen(settings.exporter.host, settings.exporter.port))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            limit_concurrency=settings.exporter.connections_max,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        host, port = listener.getsockname()[:2]
        listening(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(exporter.kubernetes.run(), name="watches")
                group.create_task(sample(exporter, settings), name="sampler")
                for source in exporter.background:
                    group.create_task(source.run(lambda: exporter.kubernetes.complete), name=source.name)
                group.create_task(_serve(uvicorn.Server(config), listener), name="server")
        except* _Stopped:
            log.info("stopped")


async def sample(exporter: Exporter, settings: Settings) -> None:
    """Collect whenever nobody has for an interval of the history, so that it has no gaps without a scraper."""
    loop, interval_s = asyncio.get_running_loop(), settings.history.interval
    while True:
        wait_s = exporter.collector.collected_at + interval_s - loop.time()
        if exporter.kubernetes.complete and wait_s <= 0:
            await exporter.collector.collect(min(settings.scrape.timeout, interval_s))
        else:
            await asyncio.sleep(min(max(wait_s, 0.1), interval_s))


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    # The server takes these signals over while it runs and raises them again when it has stopped; by then they have
    # been obeyed.
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: None)
    await server.serve(sockets=[listener])
    raise _Stopped


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise SettingsError(f"cannot listen on exporter.host {host!r}, exporter.port {port}: {error}") from error
    return listener
