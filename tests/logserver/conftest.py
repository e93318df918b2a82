"""A real embedded store and what reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from logserver.engines.embedded import EmbeddedStore
from logserver.query_settings import QuerySettings
from logserver.reader import Reader
from tests.logserver.rows import opened_store


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """One store for the run: the engine serves one directory per process well, so tests share and empty it."""
    with opened_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def lines_store(shared_store: EmbeddedStore) -> EmbeddedStore:
    """An empty store."""
    for table in ("lines", "positions", "rejects"):
        shared_store.execute(f"TRUNCATE TABLE {table}")
    return shared_store


@pytest_asyncio.fixture
async def reader(lines_store: EmbeddedStore) -> AsyncIterator[Reader]:
    """A reader of the empty store."""
    opened = Reader(lines_store, QuerySettings(running_max=3))
    yield opened
    await opened.close()
