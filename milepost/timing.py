"""Measures every HTTP request until its answer begins, by route."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Timed:
    """One answered request; `route` is the route's path, never the URL, and empty when no route took it."""

    method: str
    route: str
    status: int
    took_s: float


class Timing:
    """ASGI middleware: hands each request to `observe` when its answer begins, so that streams are measured too."""

    def __init__(self, app: ASGIApp, observe: Callable[[Timed], None]) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and note when its answer begins."""
        started = time.perf_counter()

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "")
                took_s = time.perf_counter() - started
                self._observe(Timed(scope["method"], path, message["status"], took_s))
            await send(message)

        await self._app(scope, receive, observed if scope["type"] == "http" else send)
