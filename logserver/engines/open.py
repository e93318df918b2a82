"""Which engine the settings ask for, opened with its schema."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from logserver.decode.facts import Transform
from logserver.engines.embedded import EmbeddedStore, Scratch
from logserver.engines.server import ServerStore
from logserver.schema import Dialect, migrate
from logserver.settings import StoreSettings
from logserver.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """An open store; `transform` decodes documents, always in this process; `shared` when others may write too."""

    name: str
    store: Store
    transform: Transform
    shared: bool


@contextlib.contextmanager
def open_engine(settings: StoreSettings) -> Iterator[Engine]:
    """Open the store with its newest schema; closes it at the end. Raises Fatal, Transient, ValueError."""
    if settings.url:
        yield from _server(settings)
        return
    embedded = EmbeddedStore(settings.path, sessions=settings.connections, memory_bytes_max=settings.memory_bytes_max)
    with contextlib.closing(embedded):
        _migrated(embedded, Dialect())
        yield Engine("embedded", embedded, embedded.transform, shared=False)


def _server(settings: StoreSettings) -> Iterator[Engine]:
    store, scratch = ServerStore(settings), Scratch()
    with contextlib.closing(store), contextlib.closing(scratch):
        _migrated(store, Dialect(replicated=settings.replicated, cluster=settings.cluster))
        yield Engine("server", store, scratch.transform, shared=True)


def _migrated(store: Store, dialect: Dialect) -> None:
    if applied := migrate(store, dialect):
        log.info("schema steps applied: %s", ", ".join(map(str, applied)))
