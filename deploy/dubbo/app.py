"""Runs the Dubbo entry: models, server, registry and side port as siblings; on SIGTERM it stops without losing a call.

The order of a stop is what it is about: first nobody new is sent here (readiness, registry), then callers are told,
then what is under way is finished, and the session with the models is closed last.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from deploy.dubbo.backend import Backend
from deploy.dubbo.handler import Handler
from deploy.dubbo.metrics import Metrics
from deploy.dubbo.provider import Provider, entry_of, folder_of
from deploy.dubbo.server import Server
from deploy.dubbo.services import Services
from deploy.dubbo.servicesfile import ServicesError, read_services
from deploy.dubbo.settings import DubboSettings, HttpSettings, ModelSettings, RegistrySettings, secret_of
from deploy.dubbo.side import create_app
from deploy.dubbo.zookeeper import Entry, Registry, reaching
from milepost.settings import SettingsError

log = logging.getLogger(__name__)

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class Settings:
    """The groups together."""

    dubbo: DubboSettings
    model: ModelSettings
    registry: RegistrySettings
    http: HttpSettings


async def run(settings: Settings, *, listening: Callable[[str], None] = log.info) -> None:
    """Run until SIGTERM or SIGINT; `listening` is told both addresses. Raises SettingsError before anything runs."""
    services = load_services(settings.dubbo.services)
    token = _secret(settings.dubbo.token_file)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(Backend(settings.model))
        handler = Handler(services, backend, metrics, dubbo=settings.dubbo, model=settings.model, token=token)
        server = Server(handler, metrics, settings.dubbo)
        host, port = await server.start()
        registry = Registry(settings.registry, metrics) if settings.registry.zookeeper else None
        entries = _entries(settings.registry, services, host, port, token=token) if registry is not None else []
        side = await _side(settings.http, metrics, lambda: _missing(server, registry), stack)
        listening(f"listening on dubbo://{_written(host)}:{port}, health and metrics on {side}")
        stopped = _stop_signal()
        async with asyncio.TaskGroup() as group:
            heartbeats = group.create_task(server.keep_alive(), name="heartbeats")
            if registry is not None:
                registering = group.create_task(registry.run(entries), name="registry")
            await stopped.wait()
            log.info("stopping")
            server.stopping = True
            if registry is not None:
                registering.cancel()
                await registry.leave()
            await server.stop()
            heartbeats.cancel()
            log.info("stopped")


def load_services(file: str) -> Services:
    """Return the services of this file. Raises SettingsError."""
    if not file:
        raise SettingsError("dubbo.services names no file; docs/dubbo.md shows one")
    try:
        return read_services(Path(file).read_text())
    except (OSError, UnicodeDecodeError, ServicesError) as error:
        raise SettingsError(f"{file}: {error}") from error


async def _side(settings: HttpSettings, metrics: Metrics, missing: Callable[[], str], stack: AsyncExitStack) -> str:
    runner = web.AppRunner(create_app(metrics, missing), access_log=None, handle_signals=False)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        raise SettingsError(f"cannot listen on http.host {settings.host!r}, {settings.port}: {error}") from error
    host, port = runner.addresses[0][:2]
    return f"http://{_written(host)}:{port}"


def _missing(server: Server, registry: Registry | None) -> str:
    if server.stopping:
        return "stopping"
    # Only the first time: who knows our address, or found it before, needs no ZooKeeper to be served.
    return "not all services are registered in ZooKeeper" if registry is not None and not registry.announced else ""


def _entries(settings: RegistrySettings, services: Services, host: str, port: int, *, token: str) -> list[Entry]:
    address = settings.address or (reaching(settings.zookeeper) if host in _WILDCARDS else host)
    started_ms = int(time.time() * 1000)
    us = Provider(settings.application, address, settings.port or port, os.getpid(), started_ms, asks_token=token)
    return [Entry(folder_of(settings.root, service), entry_of(us, service)) for service in services.values()]


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def _secret(file: str) -> str:
    if not file:
        return ""
    text = secret_of("dubbo.token_file", file)
    if not text:
        raise SettingsError(f"dubbo.token_file {file!r} is empty")
    return text


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host
