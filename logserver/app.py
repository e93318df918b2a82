"""The composition root: opens everything in order, runs ingest, HTTP and retention side by side.

    directory or server ─▶ schema ─▶ [ ingest │ http │ retention │ stop signal ]   any of them ends ─▶ all end

The three are siblings in one TaskGroup: when one fails the process ends with its reason instead of answering 200 from a
half-dead server. SIGTERM and SIGINT stop in order: no new batch, batches in flight stored, group left, store closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from logserver.decode import Decoder, KeepDays
from logserver.engines.open import open_engine
from logserver.errors import Transient
from logserver.ingest import Ingest
from logserver.ingest.dedup import Dedup
from logserver.ingest.ledger import Ledger
from logserver.ingest.sink import Sink
from logserver.metrics import Metrics
from logserver.record import StoredBatch
from logserver.retention import Retention, keep_days
from logserver.settings import IngestSettings, KafkaSettings, RetentionSettings, StoreSettings
from logserver.status import Status
from logserver.store import Store
from milepost import __version__

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WriteSettings:
    """The groups of the write side."""

    kafka: KafkaSettings
    ingest: IngestSettings
    store: StoreSettings
    retention: RetentionSettings


@dataclass(slots=True)
class Parts:
    """What is open: handed to the HTTP side."""

    store: Store
    metrics: Metrics
    status: Status
    ingest: Ingest
    retention: Retention
    listeners: list[Callable[[StoredBatch], None]]


class Stopped(Exception):  # noqa: N818 # not an error: how an ordered stop leaves the TaskGroup
    """A signal asked the process to stop."""


@contextlib.contextmanager
def open_parts(settings: WriteSettings) -> Iterator[Parts]:
    """Open the store, bring its schema up to date and wire the write side; closes the store at the end.

    Raises Fatal, or ValueError for a setting that cannot be used.
    """
    metrics, status = Metrics(), Status()
    keep = KeepDays(settings.retention.days, keep_days(settings.retention))
    with open_engine(settings.store) as engine:
        metrics.gauge("build_info", __version__, engine.name).set(1)
        ledger = Ledger(
            engine.store,
            shared=engine.shared,
            cluster=settings.store.cluster,
            replicated=settings.store.replicated,
            now=lambda: datetime.datetime.now(datetime.UTC),
        )
        dedup = Dedup(
            engine.store, files_max=settings.ingest.files_max, recent_lines_max=settings.ingest.recent_lines_max
        )
        decoder = Decoder(
            engine.transform,
            keep,
            document_bytes_max=settings.ingest.document_bytes_max,
            reject_bytes_max=settings.ingest.reject_bytes_max,
        )
        listeners: list[Callable[[StoredBatch], None]] = []
        ingest = Ingest(
            kafka=settings.kafka,
            settings=settings.ingest,
            decoder=decoder,
            sink=Sink(engine.store, dedup, ledger),
            metrics=metrics,
            status=status,
            on_stored=lambda batch: _tell(listeners, batch),
        )
        retention = Retention(
            engine.store, settings.retention, cluster=settings.store.cluster, metrics=metrics, status=status
        )
        yield Parts(engine.store, metrics, status, ingest, retention, listeners)


def _tell(listeners: list[Callable[[StoredBatch], None]], batch: StoredBatch) -> None:
    for listener in listeners:
        listener(batch)


async def run(parts: Parts, settings: WriteSettings, serve: Callable[[], Any]) -> None:
    """Run until a signal or until a part fails, whose error is raised; `serve` runs HTTP until cancelled."""
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own gives memory back after every batch, and clears it anew
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_until_signal(), name="signals")
            tasks.create_task(parts.ingest.run(), name="ingest")
            tasks.create_task(_retain(parts, settings.retention), name="retention")
            tasks.create_task(serve(), name="http")
    except* Stopped:
        log.info("stopped in order")


async def _until_signal() -> None:
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[str] = loop.create_future()

    def ask(name: str) -> None:
        if not asked.done():
            asked.set_result(name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask, number.name)
    name = await asked
    log.info("%s: stopping", name)
    raise Stopped(name)


async def _retain(parts: Parts, settings: RetentionSettings) -> None:
    while True:
        try:
            await asyncio.to_thread(parts.retention.apply, datetime.datetime.now(datetime.UTC))
        except Transient as error:
            log.warning("retention is tried again in %g s: %s", settings.interval, error)
        await asyncio.sleep(settings.interval)
