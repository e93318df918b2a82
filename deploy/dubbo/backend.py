"""Requests to models over HTTP: one session, a deadline for each request, and no second try.

A prediction may cost a GPU a second, and some models write: whether it may be repeated is the caller's to know. What
failed before it reached a model is told so (Refused), and Dubbo's callers may try another provider then; what may have
reached one is told as the model's failure (ModelFailed), which they do not repeat.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import uuid
from types import TracebackType

import aiohttp

from deploy.dubbo.frame import Status
from deploy.dubbo.invocation import Invocation, ModelFailed, Refused
from deploy.dubbo.mapping import Request, shown
from deploy.dubbo.settings import ModelSettings
from milepost import __version__
from milepost.settings import SettingsError

REQUEST_ID = "X-Request-Id"
APPLICATION = "X-Dubbo-Application"
# Shorter than any ingress or model server holds one: a request on a connection that the other side is closing is lost.
_KEEP_ALIVE_S = 10
_READ_BYTES = 1 << 16
_HEADER_UNSAFE = re.compile(r"[^\x21-\x7e]")
_HEADER_CHARS_MAX = 128
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Backend:
    """An open session; an async context manager."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Backend:
        connector = aiohttp.TCPConnector(
            limit=self._settings.connections_max, keepalive_timeout=_KEEP_ALIVE_S, ssl=_tls(self._settings.ca_file)
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": f"milepost-dubbo/{__version__}", "Accept": "application/json"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, request: Request, call: Invocation, request_id: str, timeout_s: float) -> bytes:
        """Return the body of a 2xx answer. Raises Refused, ModelFailed."""
        assert self._session is not None, "used outside of its context"
        where = f"model {request.model or request.url} of {call.interface}.{call.method}"
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    request.verb,
                    request.url,
                    data=request.body,
                    headers=_headers(request, call, request_id),
                    allow_redirects=False,
                ) as answer,
            ):
                body = await self._read(answer, where)
                if not 200 <= answer.status < 300:
                    raise ModelFailed(f"{where} answered {answer.status}: {shown(body)} (request {request_id})")
                return body
        except TimeoutError as error:
            raise Refused(Status.SERVER_TIMEOUT, f"{where} took longer than {timeout_s * 1000:.0f} ms") from error
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            raise Refused(Status.SERVER_ERROR, f"{where} cannot be reached at {request.url}: {error}") from error
        except aiohttp.ClientError as error:
            raise ModelFailed(f"{where} broke the connection: {error!r} (request {request_id})") from error

    async def _read(self, answer: aiohttp.ClientResponse, where: str) -> bytes:
        pieces, size = [], 0
        async for piece in answer.content.iter_chunked(_READ_BYTES):
            size += len(piece)
            if size > self._settings.answer_max:
                raise ModelFailed(f"{where} answered more than {self._settings.answer_max} bytes (model.answer_max)")
            pieces.append(piece)
        return b"".join(pieces)


def new_request_id() -> str:
    """Return an id that names one request in the model's log and in what the caller is told."""
    return uuid.uuid4().hex


def _headers(request: Request, call: Invocation, request_id: str) -> dict[str, str]:
    headers = {REQUEST_ID: request_id}
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    if request.host:
        headers["Host"] = request.host
    application = _HEADER_UNSAFE.sub("", call.application)[:_HEADER_CHARS_MAX]
    if application:
        headers[APPLICATION] = application
    trace = call.attachments.get("traceparent", "")
    if _TRACEPARENT.fullmatch(trace):
        headers["traceparent"] = trace
    return headers


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise SettingsError(f"model.ca_file {ca_file!r} cannot be used: {error}") from error
