"""The routes that change nothing."""

# FastAPI reads the annotations of a route, and `who` is known only inside the function: they must not become text.
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query, Response

from deploy.api.answers import PlatformOf, Sight, addressed, answer, given, silent
from deploy.api.openapi import answers, takes
from deploy.api.permissions import Permissions, permissions
from deploy.api.settings import Server
from deploy.api.shapes import Difference, Findings, History, ModelShown, ModelsPage
from deploy.cluster.cache import ModelCache
from deploy.errors import Unavailable
from deploy.objects.diff import told
from deploy.operate.evidence import gather, happened
from deploy.record import edits
from deploy.spec import ModelSpec
from deploy.status import Status, status_of
from deploy.status.selection import page, selection
from deploy.why import why
from deploy.why.timeline import Timeline, timeline


def add_list(app: FastAPI, who: Any, sight: Sight, cache: ModelCache, settings: Server) -> None:
    """Add the list of models."""

    @app.get("/api/v1/models", responses=answers(ModelsPage))
    async def models(
        caller: who,
        *,
        namespace: str = "",
        state: Annotated[list[str] | None, Query()] = None,
        selector: str = "",
        limit: Annotated[int | None, Query(ge=1)] = None,
        continue_: Annotated[str, Query(alias="continue")] = "",
    ) -> Response:
        """List models from the watch cache: by namespace, state (repeatable) and label selector, in pages."""
        await sight.check(caller, namespace)
        if not cache.ready:
            raise Unavailable("the models are not listed yet")
        wanted = selection(namespace=namespace, states=state or (), selector=selector)
        most = min(limit or settings.page, settings.page)
        found = page(cache.rows(namespace), wanted, limit=most, after=continue_)
        return answer(ModelsPage(found.rows, found.next, found.remaining, cache.feed.mark, cache.stale_since))


def add_reads(app: FastAPI, who: Any, platform_of: PlatformOf, settings: Server) -> None:
    """Add the routes that look at one model, as the caller."""

    @app.get("/api/v1/models/{namespace}/{name}", responses=answers(ModelShown))
    async def model(caller: who, namespace: str, name: str) -> Response:
        """Return the revision that serves, the tracks and the operation."""
        record = await silent(platform_of, caller).record(namespace, name)
        revision = record.revision(record.stable.revision) if record.stable else None
        return answer(ModelShown(revision, record.tracks, record.operation))

    @app.get("/api/v1/models/{namespace}/{name}/status", responses=answers(Status))
    async def status(caller: who, namespace: str, name: str) -> Response:
        """Return the state, the tracks with their replicas, and the steps left."""
        return answer(status_of(await silent(platform_of, caller).look(namespace, name)))

    @app.get("/api/v1/models/{namespace}/{name}/history", responses=answers(History))
    async def history(caller: who, namespace: str, name: str) -> Response:
        """Return each applied spec with author, time and reason, and the audit trail."""
        record = await silent(platform_of, caller).record(namespace, name)
        return answer(History(record.revisions, record.audit))

    @app.get("/api/v1/models/{namespace}/{name}/why", responses=answers(Findings))
    async def explain(caller: who, namespace: str, name: str) -> Response:
        """Say why the model does not serve, and what to do."""
        platform = silent(platform_of, caller)
        look = await platform.look(namespace, name)
        return answer(Findings(why(await gather(platform.cluster, look))))

    @app.get("/api/v1/models/{namespace}/{name}/permissions", responses=answers(Permissions))
    async def may(caller: who, namespace: str, name: str) -> Response:
        """Say which verbs the caller may use on this model, and which of them can be done now."""
        platform = silent(platform_of, caller)
        stored = await platform.store.load(namespace, name)
        found = await permissions(platform, stored.record, caller=caller.name, exists=bool(stored.version))
        return answer(found)

    @app.get("/api/v1/models/{namespace}/{name}/events", responses=answers(Timeline))
    async def events(caller: who, namespace: str, name: str, since: float = 0.0) -> Response:
        """Return what happened to the model since a time (Unix seconds), oldest first."""
        platform = silent(platform_of, caller)
        record = await platform.record(namespace, name)
        pods, warnings = await happened(platform.cluster, record)
        return answer(timeline(record, pods, warnings, since=since, most=settings.events_max))

    @app.post("/api/v1/models/{namespace}/{name}/diff", responses=answers(Difference), openapi_extra=takes(ModelSpec))
    async def diff(caller: who, namespace: str, name: str, document: Annotated[Any, Body()]) -> Response:
        """Return what an apply of this spec would change, by a dry-run on the server."""
        platform, spec = silent(platform_of, caller), addressed(given(document, ModelSpec), namespace, name)
        deed = platform.deed("diff")
        diffs = await platform.diff(namespace, name, lambda found: edits.apply(found, spec, deed))
        return answer(Difference(told(diffs), sum(item.verb != "keep" for item in diffs)))
