"""`milepost logserver`: settings in, the program out; logs on stderr."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import click
import uvicorn

from logserver.app import Parts, WriteSettings, open_parts, run
from logserver.errors import LogServerError
from logserver.health import health_router
from logserver.query_settings import HttpSettings
from logserver.readside import READ_GROUPS, run_read_side
from logserver.settings import IngestSettings, KafkaSettings, RetentionSettings, StoreSettings
from milepost.settings import SettingsError, add_options, load

GROUPS: dict[str, type] = {
    "kafka": KafkaSettings,
    "ingest": IngestSettings,
    "store": StoreSettings,
    "retention": RetentionSettings,
    "http": HttpSettings,
    **READ_GROUPS,
}


@click.command()
@add_options(GROUPS)
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]))
def logserver(*, config: Path | None, log_level: str, **flags: str | None) -> None:
    """Run the log-server: Kafka to store to HTTP."""
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    try:
        loaded = load(GROUPS, flags=flags, env=os.environ, file=config)
        write = WriteSettings(loaded["kafka"], loaded["ingest"], loaded["store"], loaded["retention"])
        with open_parts(write) as parts:
            asyncio.run(run(parts, write, server(parts, loaded)))
    except (LogServerError, SettingsError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    except ExceptionGroup as group:
        raise click.ClickException("; ".join(_reasons(group))) from group


def server(parts: Parts, loaded: Mapping[str, Any]) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return what serves HTTP until it is cancelled, then ends open requests in order."""
    return lambda: run_read_side(
        parts.store,
        parts.metrics,
        listeners=parts.listeners,
        health=health_router(parts.status, parts.metrics),
        loaded=loaded,
        serve=lambda app: serve(app, loaded["http"]),
    )


async def serve(app: Any, settings: HttpSettings) -> None:
    """Serve an ASGI application until cancelled."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=int(settings.shutdown_timeout),
    )
    http = _Server(config)
    serving = asyncio.create_task(http.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        http.should_exit = True
        await serving
        raise
    raise LogServerError("the HTTP server ended")


class _Server(uvicorn.Server):
    """Leaves signals to the program: it ends ingest and HTTP together."""

    def capture_signals(self) -> Any:
        """Catch none."""
        return contextlib.nullcontext()


def _reasons(group: BaseExceptionGroup[BaseException]) -> list[str]:
    reasons = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            reasons.extend(_reasons(error))
        elif isinstance(error, LogServerError):
            reasons.append(str(error))
        else:
            raise error
    return reasons
