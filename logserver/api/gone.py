"""Ends the work for a client that has left: its task is cancelled, and with it its queries and its following.

A request that is still at work when the time for stopping is over is cancelled too; that is said in one line, and the
client sees an answer cut short.
"""

from __future__ import annotations

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)


class CancelWhenGone:
    """ASGI middleware for routes without a request body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application until it ends or the client leaves."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        gone = asyncio.Event()
        first: list[Message] = [await receive()]

        async def replay() -> Message:
            if first:
                return first.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def watch(work: asyncio.Task[None]) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()
            work.cancel()

        work = asyncio.ensure_future(self._app(scope, replay, send))
        watcher = asyncio.create_task(watch(work))
        try:
            await work
        except asyncio.CancelledError:
            if not gone.is_set():
                log.warning("%s %s is cut off: the server stops", scope["method"], scope["path"])
        finally:
            watcher.cancel()
