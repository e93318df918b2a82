"""The exporter's HTTP: the page for Prometheus, health, and the same figures as JSON.

`/metrics` and the health routes are open, as Prometheus expects. `/api/v1/*` asks the authorizer: a caller sees the
pods and models of the namespaces in which it may `get pods`.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Annotated

import msgspec
from fastapi import FastAPI, Header, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse

from exporter.cluster.pods import PodEntry
from exporter.page.render import compressed
from exporter.serving import Exporter
from exporter.settings import ScrapeSettings
from exporter.views import Answer, answer, model_keys, model_views, pod_view
from milepost import __version__
from milepost.auth import Authorizer, Caller, bearer_token
from milepost.problem import Problem, install
from milepost.query import StrictRoute
from milepost.units import Seconds, format_duration, parse_duration

PAGE_MAX = 5000
"""Most pods or models of one answer."""
_NAMESPACE_CHECKS = 16
"""Most permission checks under way at once for one caller."""


class ItemsQuery(BaseModel):
    """What both lists may be asked."""

    namespace: str = Field("", max_length=253, description="Only this namespace")
    after: str = Field("", max_length=512, description="Go on behind this item: `next` of the answer before")
    limit: int = Field(500, ge=1, le=PAGE_MAX, description="Most items of the answer")
    history: bool = Field(True, description="With the points of the last 15 minutes")


class ModelsQuery(ItemsQuery):
    """What `/api/v1/models` may be asked."""

    model: str = Field("", max_length=253, description="Only models of this name")
    window: Annotated[Seconds, BeforeValidator(parse_duration)] = Field(
        Seconds(60), gt=0, description="Add up what happened in this long: `90s`, `5m`, or seconds"
    )


class PodsQuery(ItemsQuery):
    """What `/api/v1/pods` may be asked."""

    model: str = Field("", max_length=253, description="Only pods of this model")
    node: str = Field("", max_length=253, description="Only pods on this node")

    def takes(self, entry: PodEntry) -> bool:
        """Say whether a pod is asked for."""
        who = entry.subject.identity
        asked = ((self.namespace, who.namespace), (self.model, who.model), (self.node, who.node))
        return all(wanted in ("", actual) for wanted, actual in asked)


def create_app(exporter: Exporter, authorizer: Authorizer, scrape: ScrapeSettings) -> FastAPI:
    """Return the application; it owns nothing and needs no lifespan."""
    app = FastAPI(title="Milepost exporter", version=__version__)
    install(app)
    _add_page(app, exporter, scrape)
    _add_health(app, exporter)
    app.router.route_class = StrictRoute
    _add_json(app, exporter, authorizer)
    return app


def _add_page(app: FastAPI, exporter: Exporter, scrape: ScrapeSettings) -> None:
    @app.get("/metrics", response_class=PlainTextResponse, summary="The page for Prometheus")
    async def metrics(
        accept: Annotated[str, Header()] = "",
        accept_encoding: Annotated[str, Header()] = "",
        x_prometheus_scrape_timeout_seconds: Annotated[str, Header()] = "",
    ) -> Response:
        timeout_s = collection_timeout(x_prometheus_scrape_timeout_seconds, scrape)
        content_type, pieces = await exporter.scrape(timeout_s, accept)
        headers = {"Vary": "Accept, Accept-Encoding"}
        if accepts_gzip(accept_encoding):
            headers["Content-Encoding"] = "gzip"
            packed = _in_turns(exporter, compressed(pieces, scrape.gzip_level))
            return StreamingResponse(packed, headers=headers, media_type=content_type)
        return StreamingResponse(_in_turns(exporter, pieces), headers=headers, media_type=content_type)

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def landing() -> str:
        links = {
            "/metrics": "the page for Prometheus",
            "/api/v1/pods": "pods as JSON",
            "/api/v1/models": "models as JSON",
            "/healthz": "alive",
            "/readyz": "ready",
            "/docs": "the API described",
        }
        rows = "".join(f'<li><a href="{href}">{href}</a>: {html.escape(text)}</li>' for href, text in links.items())
        title = f"Milepost exporter {__version__}, {exporter.mode} mode"
        return f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1><ul>{rows}</ul></html>'


def _add_health(app: FastAPI, exporter: Exporter) -> None:
    @app.get("/healthz", response_class=PlainTextResponse, summary="Is the process alive")
    async def healthz() -> str:
        return "ok\n"

    @app.get("/readyz", response_class=PlainTextResponse, summary="Has the cluster's state been listed")
    async def readyz() -> str:
        if not exporter.kubernetes.complete:
            raise Problem(503, "the first list of the cluster's state is not complete", slug="starting")
        return "ok\n"


def _add_json(app: FastAPI, exporter: Exporter, authorizer: Authorizer) -> None:
    async def caller(request: Request) -> Caller:
        return await authorizer.authenticate(bearer_token(request.headers.get("authorization")))

    @app.get("/api/v1/pods", summary="CPU, memory and GPU of pods, now and lately")
    async def pods(request: Request, query: Annotated[PodsQuery, Query()]) -> Response:
        who = await caller(request)
        entries = {
            f"{e.subject.identity.namespace}/{e.subject.identity.pod}": e for e in exporter.pods if query.takes(e)
        }
        seen = await visible({key.partition("/")[0] for key in entries}, query.namespace, who, authorizer)
        keys, following = cut((key for key in entries if key.partition("/")[0] in seen), query.after, query.limit)
        items = [pod_view(entries[key], exporter.ring, history=query.history) for key in keys]
        return _json(answer(exporter.ring, exporter.pods.shard, items, following))

    @app.get("/api/v1/models", summary="Rate, errors and latency of models, now and lately")
    async def models(request: Request, query: Annotated[ModelsQuery, Query()]) -> Response:
        who = await caller(request)
        if exporter.cluster is None:
            raise Problem(404, "models are known to the exporter in cluster mode; this one runs in node mode")
        if query.window > exporter.ring.window_s:
            held = format_duration(exporter.ring.window_s)
            raise Problem(422, f"window is {format_duration(query.window)}; at most {held} is held (history.window)")
        found = {
            f"{namespace}/{model}": (namespace, model)
            for namespace, model in model_keys(exporter.cluster)
            if query.namespace in ("", namespace) and query.model in ("", model)
        }
        seen = await visible({namespace for namespace, _ in found.values()}, query.namespace, who, authorizer)
        keys, following = cut((key for key in found if found[key][0] in seen), query.after, query.limit)
        views = model_views(
            exporter.cluster,
            [found[key] for key in keys],
            exporter.ring,
            history=query.history,
            window_s=query.window,
        )
        return _json(answer(exporter.ring, exporter.pods.shard, views, following))


def collection_timeout(header: str, scrape: ScrapeSettings) -> float:
    """Return the seconds a collection may take for a scraper that said how long it waits."""
    try:
        allowed_s = float(header)
    except ValueError:
        return float(scrape.timeout)
    # A scraper with less patience than twice the margin gets half of it: some page is better than none.
    return min(scrape.timeout, max(allowed_s - scrape.margin, allowed_s / 2)) if allowed_s > 0 else scrape.timeout


def accepts_gzip(header: str) -> bool:
    """Say whether an Accept-Encoding header allows gzip."""
    for part in header.lower().split(","):
        coding, _, parameters = part.strip().partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def visible(namespaces: set[str], asked: str, caller: Caller, authorizer: Authorizer) -> set[str]:
    """Return the namespaces whose pods the caller may get. Raises Problem 403 when the one asked for is not."""

    async def may(namespace: str) -> bool:
        async with gate:
            return await authorizer.allowed(caller, verb="get", group="", resource="pods", namespace=namespace)

    gate = asyncio.Semaphore(_NAMESPACE_CHECKS)
    if asked:
        if not await may(asked):
            raise Problem(403, f"{caller.name} may not get pods in namespace {asked}", slug="forbidden")
        return namespaces
    if await may(""):
        return namespaces
    ordered = sorted(namespaces)
    answers = await asyncio.gather(*map(may, ordered))
    return {namespace for namespace, allowed in zip(ordered, answers, strict=True) if allowed}


def cut(keys: Iterable[str], after: str, limit: int) -> tuple[Sequence[str], str]:
    """Return the first `limit` keys behind `after` in their order, and where to go on ("" at the end)."""
    rest = sorted(key for key in keys if key > after)
    return rest[:limit], rest[limit - 1] if len(rest) > limit else ""


async def _in_turns(exporter: Exporter, pieces: Iterable[str] | Iterable[bytes]) -> AsyncIterator[str | bytes]:
    """Yield the pieces; others of the event loop, but the readers of pages, have their turn between them.

    Not in a thread, as a plain iterator would be: that is no quicker, and leaves the allocator an arena for each.
    """
    with exporter.undisturbed():
        for piece in pieces:
            if piece:
                yield piece
            await asyncio.sleep(0)


def _json(body: Answer) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
