"""What every stream of server-sent events obeys: there are only so many, a quiet one beats, all end with the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from fastapi.responses import StreamingResponse

from deploy.errors import Unavailable

# A proxy that buffers would hold progress back until it has a page full of it.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Streams:
    """The open streams. Caller: the routes that stream. Affects: nothing but itself."""

    def __init__(self, most: int, heartbeat_s: float) -> None:
        self._most = most
        self.heartbeat_s = heartbeat_s
        self._closed = asyncio.Event()
        self.open = 0

    @property
    def closing(self) -> bool:
        """Whether the server is about to stop."""
        return self._closed.is_set()

    def close(self) -> None:
        """End every stream at its next border."""
        self._closed.set()

    def answer(self, events: AsyncIterator[str]) -> StreamingResponse:
        """Return the stream as an answer, counted while it is read. Raises Unavailable when there are too many."""
        return StreamingResponse(self.counted(events), media_type="text/event-stream", headers=HEADERS)

    def counted(self, events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        """Return the stream, counted while it is read. Raises Unavailable when there are too many."""
        if self.open >= self._most:
            raise Unavailable(f"{self._most} streams are open (platform.watches_max): try again later")
        return self._until_its_end(events)

    async def woken(self, changed: asyncio.Event) -> bool:
        """Wait until `changed` or the server's end and return True, or False when it is time for a heartbeat."""
        waits = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(self._closed.wait())]
        try:
            done, _ = await asyncio.wait(waits, timeout=self.heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return bool(done)

    async def _until_its_end(self, events: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        # Counted here: a stream whose client is gone before its first event is never read, and would count for ever.
        self.open += 1
        try:
            async for event in events:
                yield event
        finally:
            self.open -= 1
