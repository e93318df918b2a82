"""The web UI: static files at `/ui/`, and the two other programs' APIs under the same origin.

The page is plain modules without a build step. It may ask the exporter (`/exporter/…`) and the platform
(`/platform/…`) through this server, with the caller's own token, so that a browser needs one address and no
cross-origin rules; those programs check the token themselves. A program that is not configured answers 404.

Without tokens (loopback only) any page that the reader's browser has open could send a change to this address, so a
change is passed on only for a page of this origin: `Sec-Fetch-Site` says which one asks (Fetch Metadata), and where a
browser does not send it, `Origin` against `Host`. Programs send neither and are not concerned.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from milepost.problem import Problem
from milepost.settings import setting
from milepost.units import Bytes, Seconds

FILES = Path(__file__).parent / "ui"
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_PASSED_ON = ("accept", "authorization", "content-type", "last-event-id")
_ANSWERED = ("content-type", "cache-control", "www-authenticate")


@dataclass(frozen=True, slots=True)
class UiSettings:
    """The web UI's neighbours."""

    exporter_url: str = setting("", "The exporter in cluster mode, for figures in the web UI: http://host:port.")
    platform_url: str = setting("", "The model platform, for states and rollouts in the web UI: http://host:port.")
    body_max: Bytes = setting(Bytes(2**20), "The largest request the web UI may pass on.")
    timeout: Seconds = setting(Seconds(60), "How long a neighbour may be silent.")
    lines_max: int = setting(50_000, "Lines a tab of the web UI keeps; what is left out is said.")


def add_web_ui(app: FastAPI, settings: UiSettings) -> None:
    """Add the page, its configuration and the two ways to the neighbours."""

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse("/ui/")

    @app.get("/ui/config.json", include_in_schema=False)
    async def config() -> dict[str, bool | int]:
        neighbours = {"exporter": bool(settings.exporter_url), "platform": bool(settings.platform_url)}
        return {**neighbours, "lines_max": settings.lines_max}

    _add_neighbour(app, "exporter", settings.exporter_url, settings, ["GET"])
    _add_neighbour(app, "platform", settings.platform_url, settings, ["GET", "POST", "PUT", "PATCH", "DELETE"])
    app.mount("/ui", _UiFiles(directory=FILES, html=True), name="ui")


class _UiFiles(StaticFiles):
    """Static files with the headers that keep a page from being framed or from loading anything foreign."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers.update(SECURITY_HEADERS)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _add_neighbour(app: FastAPI, name: str, url: str, settings: UiSettings, methods: list[str]) -> None:
    async def pass_on(request: Request, path: str) -> Response:
        if not url:
            raise Problem(404, f"the {name} is not configured; set ui.{name}_url", slug="not-configured")
        if request.method != "GET" and _foreign(request):
            raise Problem(403, f"a page of another origin may not change anything at the {name}", slug="foreign-origin")
        return await _pass_on(request, f"{url.rstrip('/')}/{quote(path)}", name, settings)

    app.add_api_route(f"/{name}/{{path:path}}", pass_on, methods=methods, include_in_schema=False)


def _foreign(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")


async def _pass_on(request: Request, url: str, name: str, settings: UiSettings) -> Response:
    body = await _bounded_body(request, settings.body_max)
    headers = {key: value for key, value in request.headers.items() if key in _PASSED_ON}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=settings.timeout, sock_read=settings.timeout)
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        try:
            answer = await session.request(
                request.method, url, params=request.query_params.multi_items(), headers=headers, data=body or None
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Problem(502, f"the {name} does not answer: {error}", slug="neighbour-unavailable") from error
        stack.callback(answer.close)  # half read, when the client is gone before its end
        return _PassedOn(answer, stack.pop_all())


class _PassedOn(StreamingResponse):
    """A neighbour's answer as it arrives; what it needs is closed with it, also when the client is gone before."""

    def __init__(self, answer: aiohttp.ClientResponse, opened: contextlib.AsyncExitStack) -> None:
        kept = {key: answer.headers[key] for key in _ANSWERED if key in answer.headers}
        super().__init__(answer.content.iter_any(), status_code=answer.status, headers=kept)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._opened:
            await super().__call__(scope, receive, send)


async def _bounded_body(request: Request, bytes_max: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise Problem(413, f"the request has more than {bytes_max} bytes, the limit of ui.body_max", slug="too-big")
    return bytes(body)
