"""Measures every request until its answer begins, by route."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logserver.metrics import Metrics


class Timing:
    """ASGI middleware: observes `query_duration_seconds{endpoint}`; the label is the route's path, never the URL."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and note when its answer begins."""
        started = time.perf_counter()

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "")
                if path.startswith("/api/"):
                    took = time.perf_counter() - started
                    self._metrics.histogram("query_duration_seconds", path).observe(took)
            await send(message)

        await self._app(scope, receive, observed if scope["type"] == "http" else send)
