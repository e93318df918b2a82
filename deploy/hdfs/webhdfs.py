"""The one door to HDFS: WebHDFS over HTTP, at a namenode or at a gateway that speaks the same (HttpFS, Knox).

A namenode answers OPEN and GETFILECHECKSUM with a redirect to a datanode, which is followed by hand: what proves who we
are to the namenode must not go to another server (the redirect carries what the datanode needs). Each call asks one
namenode after the other until one is active; when to try again is the caller's.
"""

from __future__ import annotations

import json
import ssl
import string
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from deploy.hdfs.address import Source
from deploy.hdfs.answers import FileChecksum, FileStatus, Summary, error_of, read_checksum, read_listing, read_summary
from deploy.hdfs.errors import Refused, Unreachable
from deploy.hdfs.settings import Hdfs

CONNECT_S = 10.0
READ_S = 60.0
"""Longest time between two bytes of an answer."""
ANSWER_MAX_BYTES = 64 << 20
ERROR_MAX_BYTES = 64 << 10
PIECE_BYTES = 1 << 20
_ROOT = "/webhdfs/v1"


class WebHdfs:
    """One HDFS; calls raise Refused and Unreachable."""

    def __init__(self, session: aiohttp.ClientSession, source: Source, settings: Hdfs) -> None:
        self._session = session
        self._servers = [URL(server) for server in source.servers]  # the one that answered last comes first
        self._headers = _headers(settings)
        self._identity = {"user.name": settings.user, "delegation": settings.token}

    async def summary(self, path: str) -> Summary:
        """Return how much is below a path."""
        return read_summary(await self._answer(path, "GETCONTENTSUMMARY"))

    async def listing(self, path: str) -> list[FileStatus]:
        """Return the entries of a folder; of a file, the file alone with an empty name."""
        return read_listing(await self._answer(path, "LISTSTATUS"))

    async def checksum(self, path: str, *, avoid: str = "") -> FileChecksum | None:
        """Return HDFS's checksum of a file."""
        return read_checksum(await self._answer(path, "GETFILECHECKSUM", {"excludedatanodes": avoid}))

    async def read(self, path: str, start: int, end: int, *, avoid: str = "") -> AsyncGenerator[bytes]:
        """Yield the bytes of a file from `start` until before `end`, if possible not from the host `avoid`."""
        async with self._get(path, "OPEN", {"offset": str(start), "excludedatanodes": avoid}) as response:
            while start < end and (data := await response.content.read(min(PIECE_BYTES, end - start))):
                start += len(data)
                yield data
            if start < end:
                server = _authority(response.url)
                raise Unreachable(f"{server} ended {path} after {start} of {end} bytes", response.url.host or "")

    async def _answer(self, path: str, operation: str, parameters: Mapping[str, str] = MappingProxyType({})) -> bytes:
        async with self._get(path, operation, parameters) as response:
            return await _body(response, ANSWER_MAX_BYTES)

    @asynccontextmanager
    async def _get(
        self, path: str, operation: str, parameters: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        wanted = {"op": operation, **self._identity, **parameters}
        query = urlencode({name: value for name, value in wanted.items() if value})
        response, server = await self._from_a_namenode(path, query)
        if response.status == 307:
            response.release()
            target = _redirected(server, response.headers.get("Location", ""))
            headers = self._headers if target.origin() == server.origin() else {}
            response, server = await self._ask(target, path, headers), target
        async with response:
            with _told(path, server):
                yield response

    async def _from_a_namenode(self, path: str, query: str) -> tuple[aiohttp.ClientResponse, URL]:
        failures = []
        for server in list(self._servers):
            url = URL(f"{server}{_ROOT}{quote(path)}?{query}", encoded=True)
            try:
                response = await self._ask(url, path, self._headers)
            except Unreachable as error:
                failures.append(str(error))
            else:
                self._servers.sort(key=lambda other: other != server)
                return response, server
        raise Unreachable("; ".join(failures))

    async def _ask(self, url: URL, path: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        with _told(path, url):
            response = await self._session.get(url, headers=headers, allow_redirects=False)
            if response.status in (200, 307):
                return response
            async with response:
                body = await response.content.read(ERROR_MAX_BYTES)
            raise error_of(response.status, body, path=path, server=_authority(url))


@asynccontextmanager
async def opened_session(settings: Hdfs) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield the session of all calls; raises Refused when the certificates cannot be read."""
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=READ_S)
    connector = aiohttp.TCPConnector(ssl=_tls(settings.ca), limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        # The bytes of a file are those of HDFS, whatever a gateway thinks of their name.
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
    ) as session:
        yield session


@contextmanager
def _told(path: str, server: URL) -> Iterator[None]:
    """Turn what goes wrong on the wire, until the reader is done with the answer, into Unreachable."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        said = f"{_authority(server)} does not send {path}: {_said(error)}"
        raise Unreachable(said, server.host or "") from error


def _said(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return (
            "its name does not resolve (a nameservice is no host: --hdfs-namenodes says where it is; and the names of "
            "datanodes must resolve in the pod)"
        )
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > limit:
            raise Refused(f"the answer of {_authority(response.url)} has more than {limit} bytes: too many entries")
    return bytes(body)


def _redirected(server: URL, location: str) -> URL:
    """Return where a namenode sends us; it leaves letters beyond ASCII as they are, and escapes what a path needs."""
    try:
        target = URL(quote(location, safe=string.printable, errors="surrogateescape"), encoded=True)
    except ValueError:
        target = URL()
    if target.scheme not in ("http", "https") or not target.host:
        raise Unreachable(f"{_authority(server)} redirects to {location.partition('?')[0][:80]!r}, which is no address")
    if server.scheme == "https" and target.scheme != "https":
        raise Refused(
            f"{_authority(server)} speaks TLS and redirects to {_authority(target)} without: dfs.http.policy is to be "
            "HTTPS_ONLY"
        )
    return target


def _authority(url: URL) -> str:
    return f"{url.host}:{url.port}"


def _headers(settings: Hdfs) -> dict[str, str]:
    try:
        headers = json.loads(settings.headers or "{}")
    except ValueError:
        headers = None
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise Refused('--hdfs-headers is no JSON object of texts, {"NAME": "VALUE"}')
    return headers


def _tls(ca: str) -> ssl.SSLContext:
    try:
        pem = ca if "-----BEGIN" in ca or not ca else Path(ca).read_text()
        return ssl.create_default_context(cadata=pem or None)
    except (OSError, ssl.SSLError) as error:
        raise Refused(f"--hdfs-ca is neither PEM text nor a file of it: {error}") from error
