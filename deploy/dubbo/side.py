"""The side port: `/healthz`, `/readyz` and `/metrics`, for Kubernetes and Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from deploy.dubbo.metrics import Metrics


def create_app(metrics: Metrics, waiting_for: Callable[[], str]) -> web.Application:
    """Return the application; `waiting_for` says what is missing to be ready, or ""."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        missing = waiting_for()
        if missing:
            return web.json_response({"status": "not ready", "reason": missing}, status=503)
        return web.json_response({"status": "ready"})

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", page)])
    return app
