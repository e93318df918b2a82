"""The FastAPI application: routes, errors, middleware. It starts nothing; the composition root runs the hub."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError

from logserver.api.explore import explore_router
from logserver.api.faults import bad_parameter, from_validation
from logserver.api.gone import CancelWhenGone
from logserver.api.logs import logs_router
from logserver.api.pods import pods_router
from logserver.api.reading import Reading
from logserver.api.tail import tail_router
from logserver.errors import QueryTimeout, QueryTooLarge, Rejected, Transient
from logserver.follow.hub import HubEnded, TooManyFollowers
from logserver.metrics import Metrics
from logserver.query.cursor import CursorError
from logserver.query.filters import FilterError
from logserver.read.counts import TooManyBuckets
from logserver.read.reader import Busy
from logserver.webui import UiSettings, add_web_ui
from milepost import __version__
from milepost.problem import Problem, Translation, install
from milepost.timing import Timed, Timing

_DESCRIPTION = """Search and follow the logs of models and pods.

Times are RFC 3339, Unix numbers or durations back from now. Errors are problem details (RFC 9457). What an answer
leaves out (a limit, a time-out, a namespace that may not be read) it says."""

_PROBLEMS: dict[type[Exception], Translation] = {
    RequestValidationError: from_validation,
    FilterError: lambda error: bad_parameter(error.parameter, error.detail),
    CursorError: lambda error: bad_parameter("cursor", str(error)),
    TooManyBuckets: lambda error: bad_parameter("step", str(error)),
    TooManyFollowers: lambda error: Problem(503, str(error), slug="too-many", headers={"Retry-After": "5"}),
    HubEnded: lambda error: Problem(503, str(error), slug="stopping", headers={"Retry-After": "1"}),
    Busy: lambda error: Problem(503, str(error), slug="busy", headers={"Retry-After": "1"}),
    Transient: lambda error: Problem(503, f"the store: {error}", slug="store", headers={"Retry-After": "5"}),
    QueryTimeout: lambda error: Problem(504, f"{error}; narrow the time range or the filters", slug="timeout"),
    QueryTooLarge: lambda error: Problem(413, f"{error}; narrow the time range or the filters", slug="too-large"),
    Rejected: lambda error: Problem(500, "the store refused the query; the log says why", slug="store"),
}


def create_app(reading: Reading, *, health: APIRouter | None = None, ui: UiSettings | None = None) -> FastAPI:
    """Return the application over open parts; `health` holds the routes of the process itself, `ui` adds the web UI."""
    app = FastAPI(title="Milepost log-server", version=__version__, description=_DESCRIPTION)
    for router in (logs_router(reading), tail_router(reading), pods_router(reading), explore_router(reading)):
        app.include_router(router)
    if health is not None:
        app.include_router(health)
    install(app, _PROBLEMS)
    if ui is not None:
        add_web_ui(app, ui)
    app.add_middleware(Timing, observe=lambda timed: _count(reading.metrics, timed))
    app.add_middleware(CancelWhenGone)
    return app


def _count(metrics: Metrics, timed: Timed) -> None:
    if timed.route.startswith("/api/"):
        metrics.histogram("query_duration_seconds", timed.route).observe(timed.took_s)
