"""A reader of `/logs/tail` like a browser's EventSource: it reconnects with the id of the last event it saw whole."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import aiohttp

from tests.e2e.steps import until

_NUMBER = re.compile(rb"request (\d+) of client")
_RECONNECT_S = 0.3


class Follower:
    """Follows until cancelled and counts how often it was shown each numbered line."""

    def __init__(self, url: str, filters: Mapping[str, str], lines: int) -> None:
        self._url = f"{url}/api/v1/logs/tail"
        self._filters = dict(filters)
        self.seen = bytearray(lines)
        self.last_id = ""
        self.connections = 0
        self.dropped = 0

    @property
    def count(self) -> int:
        """How many lines it was shown."""
        return sum(self.seen)

    async def run(self) -> None:
        """Follow new lines; for ever."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_read=60)) as session:
            while True:
                with suppress(aiohttp.ClientError, TimeoutError):
                    start = {} if self.last_id else {"lines": "0"}
                    async for event in self._events(session, start, self.last_id):
                        await self._take(session, event)
                await asyncio.sleep(_RECONNECT_S)

    async def _events(
        self, session: aiohttp.ClientSession, more: Mapping[str, str], last_id: str
    ) -> AsyncIterator[dict[bytes, bytes]]:
        """Yield whole events as their fields; what is cut off by the connection's end was not seen."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        async with session.get(self._url, params={**self._filters, **more}, headers=headers) as answer:
            answer.raise_for_status()
            self.connections += 1
            left = b""
            async for part in answer.content.iter_any():
                *events, left = (left + part).split(b"\n\n")
                for event in events:
                    lines = (line.partition(b": ") for line in event.split(b"\n") if not line.startswith(b":"))
                    yield {name: value for name, _, value in lines}

    async def _take(self, session: aiohttp.ClientSession, event: dict[bytes, bytes]) -> None:
        kind = event.get(b"event", b"lines")
        if kind == b"lines":
            self._see(event.get(b"data", b""))
        elif kind == b"dropped":
            told = json.loads(event[b"data"])
            self.dropped += told["dropped"]
            await self._fetch(session, told["from"], told["to"])
        else:
            raise AssertionError(f"the tail says {event}")
        self.last_id = event.get(b"id", self.last_id.encode()).decode()

    async def _fetch(self, session: aiohttp.ClientSession, start: str, end: str) -> None:
        """Get what was dropped between two cursors, over as many connections as it takes."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async for event in self._events(session, {"cursor": start, "until": end}, ""):
                    self._see(event.get(b"data", b""))
                    start = event.get(b"id", start.encode()).decode()
                return
            await asyncio.sleep(_RECONNECT_S)

    def _see(self, data: bytes) -> None:
        for number in _NUMBER.findall(data):
            self.seen[int(number)] += 1


@asynccontextmanager
async def followed(url: str, lines: int, *filters: Mapping[str, str]) -> AsyncIterator[list[Follower]]:
    """Follow by each of the filters from before it is yielded until after; a follower that fails is told."""
    followers = [Follower(url, each, lines) for each in filters]
    running = [asyncio.create_task(follower.run()) for follower in followers]
    try:
        await until(lambda: all(follower.last_id for follower in followers), "the tails' begin")
        yield followers
    finally:
        for task in running:
            task.cancel()
        for outcome in await asyncio.gather(*running, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError), outcome
