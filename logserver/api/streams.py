"""Answers that are streamed: what fails at once is still an HTTP status, what fails later is said in the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator

from logserver.errors import LogServerError
from logserver.read.formats import text_note


async def begun(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Return the body once its first part is there; raises what the body raises before it."""
    first = await anext(body, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for part in body:
            yield part

    return whole()


async def told(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield plain text whose last line says so when it breaks off."""
    try:
        async for part in body:
            yield part
    except LogServerError as error:
        yield text_note(f"the log breaks off here: {error}")
