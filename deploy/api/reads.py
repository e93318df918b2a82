"""The routes that change nothing."""

# FastAPI reads the annotations of a route, and `who` is known only inside the function: they must not become text.
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query, Response

from deploy import edits
from deploy.api.answers import PlatformOf, Sight, answer, plain, silent
from deploy.api.settings import Server
from deploy.cache import ModelCache
from deploy.diff import told
from deploy.errors import Unavailable
from deploy.evidence import gather, happened
from deploy.permissions import permissions
from deploy.selection import page, selection
from deploy.specfile import addressed
from deploy.status import status_of
from deploy.timeline import timeline
from deploy.why import why


def add_list(app: FastAPI, who: Any, sight: Sight, cache: ModelCache, settings: Server) -> None:
    """Add the list of models."""

    @app.get("/api/v1/models")
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
        return answer(
            {
                "models": found.rows,
                "continue": found.next,
                "remaining": found.remaining,
                "mark": cache.feed.mark,
                "stale_since": cache.stale_since,
            }
        )


def add_reads(app: FastAPI, who: Any, platform_of: PlatformOf, settings: Server) -> None:
    """Add the routes that look at one model, as the caller."""

    @app.get("/api/v1/models/{namespace}/{name}")
    async def model(caller: who, namespace: str, name: str) -> Response:
        """Return the revision that serves, the tracks and the operation."""
        record = await silent(platform_of, caller).record(namespace, name)
        revision = record.revision(record.stable.revision) if record.stable else None
        return answer({"revision": revision, "tracks": record.tracks, "operation": record.operation})

    @app.get("/api/v1/models/{namespace}/{name}/status")
    async def status(caller: who, namespace: str, name: str) -> Response:
        """Return the state, the tracks with their replicas, and the steps left."""
        return answer(status_of(await silent(platform_of, caller).look(namespace, name)))

    @app.get("/api/v1/models/{namespace}/{name}/history")
    async def history(caller: who, namespace: str, name: str) -> Response:
        """Return each applied spec with author, time and reason, and the audit trail."""
        record = await silent(platform_of, caller).record(namespace, name)
        return answer({"revisions": record.revisions, "audit": record.audit})

    @app.get("/api/v1/models/{namespace}/{name}/why")
    async def explain(caller: who, namespace: str, name: str) -> Response:
        """Say why the model does not serve, and what to do."""
        platform = silent(platform_of, caller)
        look = await platform.look(namespace, name)
        return answer({"findings": [plain(item) for item in why(await gather(platform.cluster, look))]})

    @app.get("/api/v1/models/{namespace}/{name}/permissions")
    async def may(caller: who, namespace: str, name: str) -> Response:
        """Say which verbs the caller may use on this model, and which of them can be done now."""
        platform = silent(platform_of, caller)
        stored = await platform.store.load(namespace, name)
        found = await permissions(platform, stored.record, caller=caller.name, exists=bool(stored.version))
        return answer(found)

    @app.get("/api/v1/models/{namespace}/{name}/events")
    async def events(caller: who, namespace: str, name: str, since: float = 0.0) -> Response:
        """Return what happened to the model since a time (Unix seconds), oldest first."""
        platform = silent(platform_of, caller)
        record = await platform.record(namespace, name)
        pods, warnings = await happened(platform.cluster, namespace, name)
        return answer(timeline(record, pods, warnings, since=since, most=settings.events_max))

    @app.post("/api/v1/models/{namespace}/{name}/diff")
    async def diff(caller: who, namespace: str, name: str, document: Annotated[Any, Body()]) -> Response:
        """Return what an apply of this spec would change, by a dry-run on the server."""
        platform, spec = silent(platform_of, caller), addressed(document, namespace, name)
        deed = platform.deed("diff")
        diffs = await platform.diff(namespace, name, lambda found: edits.apply(found, spec, deed))
        return answer({"text": told(diffs), "changes": sum(item.verb != "keep" for item in diffs)})
