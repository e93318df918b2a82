"""Whether the process lives, takes part, and what it measured: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from logserver.metrics import Metrics
from logserver.status import Status


def health_router(status: Status, metrics: Metrics) -> APIRouter:
    """Return the routes over a live status and metrics."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Answer as long as the process works; says nothing of Kafka or the store."""
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(response: Response) -> dict[str, Any]:
        """200 when the store answers and the group is joined, else 503, with what is known either way."""
        response.status_code = 200 if status.ready else 503
        return readiness(status, now_s=time.time())

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics_page() -> Response:
        """Return the metrics in the Prometheus text format."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def readiness(status: Status, *, now_s: float) -> dict[str, Any]:
    """Return the body of `/readyz`."""
    return {
        "ready": status.ready,
        "problem": status.problem or status.kafka_problem,
        "store": {"ok": status.store_ok, "disk_bytes": status.disk_bytes, "disk_limit_bytes": status.disk_limit_bytes},
        "kafka": {
            "ok": not status.kafka_problem,
            "joined": status.joined,
            "assigned": [str(partition) for partition in status.assigned],
            "lag": {str(partition): behind for partition, behind in status.lag.items()},
        },
        "paused": status.paused,
        "last_progress_age_s": round(now_s - status.last_progress_s, 3) if status.last_progress_s else None,
    }
