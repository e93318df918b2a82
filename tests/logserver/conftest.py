"""What reads the store of the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from logserver.engines.embedded import EmbeddedStore
from logserver.query_settings import QuerySettings
from logserver.read.reader import Reader


@pytest_asyncio.fixture
async def reader(lines_store: EmbeddedStore) -> AsyncIterator[Reader]:
    """A reader of the empty store."""
    opened = Reader(lines_store, QuerySettings(running_max=3))
    yield opened
    await opened.close()
