"""The model platform's HTTP API.

Lists and watches are answered from the watch cache; who may see a namespace is the cluster's to say (may the caller
list its SeldonDeployments?). A look at one model and every change are made *as the caller*, by impersonation: the API
server itself refuses what the caller has no right to, and its audit log names the caller. Changes answer 202 with a
job; a job is carried out in this process and can be followed as server-sent events. A job whose process dies is not
lost: what was wanted is in the model's record, for whom is in the worklist, and `deploy.operate.resume` goes on with
it.
"""

# FastAPI reads the annotations of a route, and `who` is known only inside the function: they must not become text.
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from deploy.api.answers import PlatformOf, Sight, problem_of
from deploy.api.changes import Change, add_changes
from deploy.api.jobs import Job, Jobs, add_jobs
from deploy.api.openapi import describe
from deploy.api.proposals import add_proposals
from deploy.api.reads import add_list, add_reads
from deploy.api.settings import Server
from deploy.api.sources import add_sources
from deploy.api.streams import Streams
from deploy.api.watching import Watches, add_watches
from deploy.cluster.cache import ModelCache
from deploy.errors import PlatformError
from deploy.metrics import Metrics
from milepost import problem
from milepost.auth import Authorizer, Caller, bearer_token
from milepost.query import StrictRoute
from milepost.timing import Timing

__all__ = ["Job", "Jobs", "Server", "Streams", "create_app"]


def create_app(
    authorizer: Authorizer,
    platform_of: PlatformOf,
    cache: ModelCache,
    jobs: Jobs,
    *,
    streams: Streams | None = None,
    settings: Server | None = None,
    metrics: Metrics | None = None,
) -> FastAPI:
    """Return the application; it holds no task of its own beside the jobs."""
    settings = settings or Server()
    streams = streams or Streams(settings.watches_max, settings.heartbeat)
    metrics = metrics or Metrics()
    app = FastAPI(title="Milepost model platform", version="1")
    problem.install(app, {PlatformError: problem_of})

    async def caller(authorization: Annotated[str | None, Header(include_in_schema=False)] = None) -> Caller:
        return await authorizer.authenticate(bearer_token(authorization))

    who = Annotated[Caller, Depends(caller)]
    sight = Sight(authorizer)
    _add_health(app, cache)
    _add_metrics(app, metrics, cache, streams)
    app.router.route_class = StrictRoute
    add_list(app, who, sight, cache, settings)
    add_watches(app, who, Watches(sight, cache, streams, settings.watch_max))
    add_reads(app, who, platform_of, settings)
    change = Change(platform_of, jobs)
    add_proposals(app, who, platform_of, change)
    add_sources(app, who, platform_of, change)
    add_changes(app, who, change)
    add_jobs(app, who, jobs, streams)
    describe(app)
    return app


def _add_health(app: FastAPI, cache: ModelCache) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, Any]:
        if not cache.ready:
            response.status_code = 503
        return {"listed": cache.ready, "stale_since": cache.stale_since}


def _add_metrics(app: FastAPI, metrics: Metrics, cache: ModelCache, streams: Streams) -> None:
    metrics.gauge("streams").set_function(lambda: streams.open)
    metrics.gauge("models").set_function(lambda: len(cache))
    metrics.gauge("cache_listed").set_function(lambda: cache.ready)
    metrics.gauge("cache_stale_since_timestamp_seconds").set_function(lambda: cache.stale_since)
    app.add_middleware(Timing, observe=metrics.request)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics_page() -> Response:
        """Return the platform's own metrics in the Prometheus text format."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
