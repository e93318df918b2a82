"""Reading one metrics page over HTTP: bounded in time and size, no redirects, no proxies, one reason word per failure.

The only importer of the HTTP client on the side of pages. A page that is too large is refused, never cut.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from types import TracebackType

import aiohttp

_READ_BYTES = 1 << 20
"""How much of an answer may wait unread; large, for a node's pages are megabytes and come from next door."""


class FetchError(Exception):
    """A page could not be read; `reason` is one of a few words, fit for a label."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Fetcher:
    """One pool of connections to metrics pages. Create, use and close it on one event loop."""

    def __init__(
        self, *, connections: int, body_max: int, tls: ssl.SSLContext | None = None, keep: bool = True
    ) -> None:
        """With `keep`, a connection is kept for the next page of its host; not for thousands of hosts of one page."""
        connector = aiohttp.TCPConnector(
            limit=connections, ssl=tls if tls is not None else True, ttl_dns_cache=30, force_close=not keep
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            read_bufsize=_READ_BYTES,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "User-Agent": "milepost-exporter",
                "Accept": "text/plain;version=0.0.4",
                # To pack and unpack a kubelet's twelve megabytes costs more than to send them next door.
                "Accept-Encoding": "identity",
            },
        )
        self._body_max = body_max

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def get(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> bytes:
        """Return the page. Raises FetchError: deadline, refused, tls, http_<status>, too_large, broken."""
        if timeout_s <= 0:
            raise FetchError("deadline", f"{url}: no time was left")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._read(url, headers)
        except TimeoutError as error:
            raise FetchError("deadline", f"{url}: no answer within {timeout_s:.3g} s") from error
        except aiohttp.ClientSSLError as error:
            raise FetchError("tls", f"{url}: {error}") from error
        except aiohttp.ClientConnectorError as error:
            raise FetchError("refused", f"{url}: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise FetchError("broken", f"{url}: {error!r}") from error

    async def _read(self, url: str, headers: Mapping[str, str] | None) -> bytes:
        async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status != 200:
                raise FetchError(f"http_{answer.status}", f"{url}: HTTP {answer.status} {answer.reason}")
            chunks: list[bytes] = []
            size = 0
            async for chunk in answer.content.iter_any():
                chunks.append(chunk)
                size += len(chunk)
                if size > self._body_max:
                    raise FetchError("too_large", f"{url}: the page exceeds {self._body_max} bytes (body_max)")
            return b"".join(chunks)
