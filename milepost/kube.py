"""The only door to the Kubernetes API: raw bytes in, raw bytes out, every wait and size bounded.

A `KubeClient` is one connection pool with one identity; `as_user` gives the same pool under somebody else's name.
`request` is one call, `list_pages` a whole collection page by page, `watch` a collection for ever (see
`milepost.watch`). Objects stay JSON bytes, so that each caller decodes exactly the fields it needs with msgspec: the
official client's model objects cost a second of CPU per thousand pods.

Writing: pass `content_type=ContentType.APPLY` with the parameters `fieldManager` (and `force`) for a server-side apply,
`ContentType.MERGE` or `ContentType.JSON_PATCH` for the other patches, and `{"dryRun": "All"}` to change nothing.
Retried here: a request the server turned away with Retry-After (it did not run), and once after a 401 with the
configuration read again. A connection that breaks is not retried: the request may have run.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp
import msgspec

from milepost.kube_error import TIMEOUT, TOO_LARGE, KubeError, error_from_answer
from milepost.kube_path import resource_path
from milepost.kube_pool import Headers, Params, Pool
from milepost.kubeconfig import Credentials, KubeConfigError
from milepost.settings import setting
from milepost.units import Bytes, Seconds
from milepost.watch import WatchBounds, WatchEvent, watch

__all__ = [
    "ContentType",
    "KubeClient",
    "KubeConfigError",
    "KubeError",
    "KubeSettings",
    "WatchEvent",
    "resource_path",
]

_TURNED_AWAY = frozenset({429, 503})
_READ_BYTES = 1 << 16


class ContentType(enum.StrEnum):
    """What a body is; the PATCH of Kubernetes means what its content type says."""

    JSON = "application/json"
    APPLY = "application/apply-patch+yaml"
    MERGE = "application/merge-patch+json"
    JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True, slots=True)
class KubeSettings:
    """How to reach the Kubernetes API and how much to ask of it."""

    config: str = setting("", "Kubeconfig file; empty: KUBECONFIG, else the pod's service account, else ~/.kube/config")
    context: str = setting("", "Context of the kubeconfig; empty: its current one")
    timeout: Seconds = setting(Seconds(30), "Longest wait for one answer")
    body_max: Bytes = setting(Bytes(64 << 20), "Largest answer, list page or watched object accepted")
    page: int = setting(500, "Objects asked for in one page of a list")
    connections: int = setting(32, "Most connections held to the API server")
    retries: int = setting(3, "How often a request that the server turned away with Retry-After is sent again")
    watch_timeout: Seconds = setting(Seconds(300), "A watch is asked to end after this long, at most twice it")
    watch_idle: Seconds = setting(Seconds(120), "A watch that delivers nothing, not even a bookmark, is renewed")
    backoff_max: Seconds = setting(Seconds(30), "Longest wait between two tries of a failing list or watch")


class KubeClient:
    """One identity on one connection pool. Create with `load`, use on one event loop, `await close()` at the end."""

    def __init__(
        self, pool: Pool, settings: KubeSettings, *, identity: tuple[tuple[str, str], ...] = (), owner: bool = True
    ) -> None:
        self._pool = pool
        self._identity = identity
        self._owner = owner
        self.settings = settings

    @classmethod
    def load(
        cls, kubeconfig: Path | None = None, context: str | None = None, settings: KubeSettings | None = None
    ) -> KubeClient:
        """Read the configuration (blocking: files, an exec plugin); nothing is sent yet. Raises KubeConfigError.

        `kubeconfig` and `context` win over those of `settings`.
        """
        chosen = settings or KubeSettings()
        file = kubeconfig or (Path(chosen.config).expanduser() if chosen.config else None)
        return cls(Pool(Credentials(file, context or chosen.context), chosen.connections), chosen)

    @property
    def namespace(self) -> str:
        """The namespace of the context, or of the pod we run in."""
        return self._pool.credentials.endpoint.namespace

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self._pool.credentials.endpoint.base_url

    async def close(self) -> None:
        """Close the connections; a client made by `as_user` leaves them to the one it came from."""
        if self._owner:
            await self._pool.close()

    async def __aenter__(self) -> KubeClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def as_user(
        self,
        user: str,
        groups: Sequence[str] = (),
        *,
        uid: str = "",
        extra: Mapping[str, Sequence[str]] | None = None,
    ) -> KubeClient:
        """Return a client that acts as this user (impersonation); our own right to do so is checked by the server.

        Raises ValueError for an empty user or a control character: the request would run with our own rights.
        """
        identity = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
        if uid:
            identity.append(("Impersonate-Uid", uid))
        for key, values in (extra or {}).items():
            identity += [(f"Impersonate-Extra-{quote(key.lower(), safe='')}", value) for value in values]
        for header, value in identity:
            if not value or any(ord(char) < 32 for char in value):
                raise ValueError(f"cannot impersonate: {header} is {value!r}")
        return KubeClient(self._pool, self.settings, identity=tuple(identity), owner=False)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: bytes | None = None,
        content_type: str = ContentType.JSON,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """Return the body of a successful answer; `timeout_s` covers all tries. Raises KubeError."""
        limit_s = self.settings.timeout if timeout_s is None else timeout_s
        sent = self._headers(headers, content_type if body is not None else None)
        try:
            async with asyncio.timeout(limit_s):
                return await self._persist(method, path, params, body, sent)
        except TimeoutError as error:
            raise _no_answer(method, path, limit_s) from error

    async def list_pages(
        self, path: str, params: Params | None = None, limit: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the raw List objects of a collection, each with at most `limit` items.

        Raises KubeError; an expired continue token (410) too, since a list from two moments is no list.
        """
        token = ""
        while True:
            asked: dict[str, str | int | bool] = {**(params or {}), "limit": limit or self.settings.page}
            if token:
                asked["continue"] = token
            page = await self.request("GET", path, params=asked)
            try:
                token = msgspec.json.decode(page, type=_List).metadata.continue_
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise KubeError(502, "NotKubernetes", f"{path}: no List: {error}") from error
            yield page
            if not token:
                return

    def watch(self, path: str, params: Params | None = None) -> AsyncGenerator[WatchEvent, None]:
        """Yield the collection's objects and then their changes, for ever; see `milepost.watch.watch`."""
        bounds = WatchBounds(
            server_timeout_s=self.settings.watch_timeout,
            backoff_max_s=self.settings.backoff_max,
            event_max_bytes=self.settings.body_max,
        )
        return watch(self, path, params or {}, bounds)

    async def stream(self, path: str, params: Params | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of an answer that goes on (a watch, a followed log).

        Ends when the server ends it, and when nothing arrived for `watch_idle`: a quiet server and a lost one look the
        same, only asking again tells. Raises KubeError.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self.settings.timeout):
                    opening = self._pool.open("GET", path, params, None, self._headers(None, None))
                    answer = await stack.enter_async_context(opening)
                    if answer.status >= 300:
                        raise await self._failure(answer, path)
            except TimeoutError as error:
                raise _no_answer("GET", path, self.settings.timeout) from error
            chunks = answer.content.iter_any().__aiter__()
            while True:
                try:
                    async with asyncio.timeout(self.settings.watch_idle):
                        chunk = await anext(chunks)
                except (StopAsyncIteration, TimeoutError):
                    return
                except (aiohttp.ClientError, OSError) as error:
                    raise self._pool.unreachable(path, error) from error
                yield chunk

    async def _persist(
        self, method: str, path: str, params: Params | None, body: bytes | None, headers: Headers
    ) -> bytes:
        tries, reloaded = 0, False
        while True:
            try:
                return await self._once(method, path, params, body, headers)
            except KubeError as error:
                if error.status == 401 and not reloaded:
                    reloaded = True
                    await self._pool.reload()
                elif error.status in _TURNED_AWAY and error.retry_after_s and tries < self.settings.retries:
                    tries += 1
                    await asyncio.sleep(error.retry_after_s)
                else:
                    raise

    async def _once(self, method: str, path: str, params: Params | None, body: bytes | None, headers: Headers) -> bytes:
        async with self._pool.open(method, path, params, body, headers) as answer:
            if 200 <= answer.status < 300:
                return await self._read(answer, path)
            raise await self._failure(answer, path)

    async def _failure(self, answer: aiohttp.ClientResponse, path: str) -> KubeError:
        body = await self._read(answer, path)
        return error_from_answer(answer.status, body, path=path, retry_after=answer.headers.get("Retry-After"))

    async def _read(self, answer: aiohttp.ClientResponse, path: str) -> bytes:
        body, most = bytearray(), self.settings.body_max
        try:
            async for chunk in answer.content.iter_chunked(_READ_BYTES):
                body += chunk
                if len(body) > most:
                    exceeds = f"{path}: the answer exceeds {most} bytes (kube.body_max)"
                    raise KubeError(answer.status, TOO_LARGE, exceeds)
        except (aiohttp.ClientError, OSError) as error:
            raise self._pool.unreachable(path, error) from error
        return bytes(body)

    def _headers(self, extra: Mapping[str, str] | None, content_type: str | None) -> Headers:
        headers = {"Accept": "application/json", **(extra or {})}
        if content_type is not None:
            headers["Content-Type"] = content_type
        return [*headers.items(), *self._identity]


def _no_answer(method: str, path: str, limit_s: float) -> KubeError:
    return KubeError(0, TIMEOUT, f"{method} {path}: no answer within {limit_s:g} s")


class _Metadata(msgspec.Struct):
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct):
    metadata: _Metadata
