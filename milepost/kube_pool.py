"""The connections to one API server, and the credentials sent over them.

The endpoint and the Authorization header come from `milepost.kubeconfig`, whose calls may block (an exec plugin, a
token file); they run in a thread, one at a time, and their answer is kept for a few seconds. Redirects are not
followed and no cookie is kept, so a credential goes to the configured server alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from milepost import __version__
from milepost.kube_error import UNREACHABLE, KubeError
from milepost.kube_path import check_path
from milepost.kubeconfig import Credentials, KubeConfigError

_AUTHORIZATION_FRESH_S = 10.0
"""How long a header is used before the configuration is asked again; renewal there begins minutes before expiry."""
_RELOAD_EVERY_S = 10.0
"""A 401 makes us read the configuration again, at most this often."""

Params = Mapping[str, str | int | bool]
Headers = list[tuple[str, str]]
"""Names may repeat: one Impersonate-Group for each group."""


class Pool:
    """Connections to the endpoint of `credentials`, at most `connections` at a time. Bound to the loop of first use."""

    def __init__(self, credentials: Credentials, connections: int) -> None:
        self.credentials = credentials
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()
        self._authorization: str | None = None
        self._asked_at = -_AUTHORIZATION_FRESH_S
        self._reloaded_at = -_RELOAD_EVERY_S

    @asynccontextmanager
    async def open(
        self, method: str, path: str, params: Params | None, body: bytes | None, headers: Headers
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield its answer, whatever its status; raises KubeError when none comes."""
        check_path(path)
        authorization = await self._fresh_authorization()
        endpoint = self.credentials.endpoint
        sent = [*headers, ("Authorization", authorization)] if authorization is not None else headers
        try:
            answer = await self._open_session().request(
                method,
                endpoint.base_url + path,
                params={name: _text(value) for name, value in (params or {}).items()},
                data=body,
                headers=sent,
                ssl=endpoint.tls if endpoint.tls is not None else True,
                server_hostname=endpoint.server_hostname,
                proxy=endpoint.proxy,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise self.unreachable(path, error) from error
        try:
            yield answer
        finally:
            _finish(answer)

    async def reload(self) -> None:
        """Read the configuration again after a 401: a token, a certificate or the plugin's answer may be new."""
        async with self._lock:
            if time.monotonic() - self._reloaded_at < _RELOAD_EVERY_S:
                return
            self._reloaded_at = time.monotonic()
            try:
                await asyncio.to_thread(self.credentials.reload)
            except KubeConfigError as error:
                raise KubeError(401, "Unauthorized", str(error)) from error
            self._asked_at = -_AUTHORIZATION_FRESH_S

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def unreachable(self, path: str, error: BaseException) -> KubeError:
        """Return the error for a connection that failed or broke."""
        reason = str(error) or type(error).__name__
        return KubeError(0, UNREACHABLE, f"{path}: {self.credentials.endpoint.base_url}: {reason}")

    async def _fresh_authorization(self) -> str | None:
        async with self._lock:
            if time.monotonic() - self._asked_at >= _AUTHORIZATION_FRESH_S:
                try:
                    self._authorization = await asyncio.to_thread(self.credentials.authorization)
                except (KubeConfigError, OSError) as error:
                    raise KubeError(401, "Unauthorized", f"no credential: {error}") from error
                self._asked_at = time.monotonic()
            return self._authorization

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Each caller bounds its own waits: a request as a whole, a stream between two chunks.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                headers={"User-Agent": f"milepost/{__version__}"},
            )
        return self._session


def _finish(answer: aiohttp.ClientResponse) -> None:
    """Give the connection of an answer that was read to its end back, and cut that of any other one.

    Closing it in order would wait for the server's TLS goodbye, which nobody awaits: it would outlive the pool.
    """
    if answer.content.at_eof():
        answer.release()
        return
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()
    answer.close()


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
