"""The client's only HTTP: NDJSON answers of the log-server as lines and notes.

A line is a JSON object with the fields of `ClientLine`. Anything to be said beside the lines is an object with the one
key `milepost` (see `logserver/read/formats.py`) and becomes a `Note`; a following answer repeats its `cursor` in notes,
so that a broken connection is resumed exactly there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import msgspec

Params = Sequence[tuple[str, str]]

LINE_BYTES_MAX = 16 * 2**20
CONNECT_SECONDS_MAX = 10.0
SILENCE_SECONDS_MAX = 60.0
RETRY_SECONDS_MAX = 15.0


class ClientError(RuntimeError):
    """The server refused, failed or could not be reached; the message says what to do."""


class ClientLine(msgspec.Struct, frozen=True):
    """One log line of an answer."""

    id: str
    ts: str
    message: str
    namespace: str = ""
    model: str = ""
    predictor: str = ""
    pod: str = ""
    container: str = ""
    node: str = ""
    stream: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """One NDJSON object: as it came, and as a line or as a note."""

    raw: bytes
    line: ClientLine | None
    note: Mapping[str, object]


class _Envelope(msgspec.Struct, frozen=True):
    milepost: dict[str, object] | None = None


class LogClient:
    """A session with one log-server. Use as an async context manager."""

    def __init__(self, server: str, token: str | None) -> None:
        self._server = server.rstrip("/")
        self._headers = {"Accept": "application/x-ndjson"} | ({"Authorization": f"Bearer {token}"} if token else {})

    async def __aenter__(self) -> LogClient:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS_MAX, sock_read=SILENCE_SECONDS_MAX)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout, read_bufsize=2**20)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def json(self, path: str, params: Params) -> object:
        """Return a JSON answer. Raises ClientError."""
        try:
            headers = {"Accept": "application/json"}
            async with self._session.get(self._server + path, params=params, headers=headers) as response:
                await self._check(response)
                return msgspec.json.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def stream(self, path: str, params: Params) -> AsyncIterator[Received]:
        """Yield the objects of an NDJSON answer until it ends. Raises ClientError."""
        try:
            async with self._session.get(self._server + path, params=params) as response:
                await self._check(response)
                async for raw in _lines(response.content):
                    yield _received(raw)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def follow(self, path: str, params: Params) -> AsyncIterator[Received]:
        """Yield the objects of an endless answer, resuming at its cursor after every break. Raises ClientError.

        Lines are yielded when the cursor after them has come: those of a broken chunk come again, once. A refusal
        (4xx) is raised at once; a lost connection is retried with growing pauses, and said as a note.
        """
        cursor, pause = "", 0.5
        while True:
            resumed = [*params, ("cursor", cursor)] if cursor else params
            chunk: list[Received] = []
            try:
                async for received in self.stream(path, resumed):
                    pause = 0.5
                    chunk.append(received)
                    if reached := received.note.get("cursor"):
                        cursor = str(reached)
                        for one in chunk:
                            yield one
                        chunk.clear()
                reason = "the server ended the answer"
            except ClientRefusedError:
                raise
            except ClientError as error:
                if not cursor:
                    raise
                reason = str(error)
            yield Received(b"", None, {"reconnecting": f"{reason}; trying again in {pause:g} s"})
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_SECONDS_MAX)

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status < 400:
            return
        body = await response.content.read(65_536)
        kind = ClientRefusedError if response.status < 500 else ClientError
        raise kind(_explain(response.status, body))

    def _unreachable(self, error: Exception) -> ClientError:
        return ClientError(
            f"no answer from {self._server} ({error or type(error).__name__}); "
            "is the log-server running there? Set it with --server or MILEPOST_SERVER"
        )


class ClientRefusedError(ClientError):
    """The server refused the request: asking again will not help."""


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        if len(rest) > LINE_BYTES_MAX and b"\n" not in rest:
            raise ClientError(f"the server sent a line of more than {LINE_BYTES_MAX} bytes")
        *whole, last = rest.split(b"\n")
        for line in whole:
            if line:
                yield bytes(line)
        rest = last
    if rest:
        yield bytes(rest)


def _received(raw: bytes) -> Received:
    try:
        note = msgspec.json.decode(raw, type=_Envelope).milepost
        if note is not None:
            return Received(raw, None, note)
        return Received(raw, msgspec.json.decode(raw, type=ClientLine), {})
    except msgspec.DecodeError as error:
        raise ClientError(f"the server's answer is not what this version of milepost reads: {error}") from error


def _explain(status: int, body: bytes) -> str:
    try:
        problem = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError:
        return f"the server answered {status}: {body[:300].decode(errors='replace')}"
    words = [str(problem[key]) for key in ("title", "detail") if problem.get(key)]
    return f"{': '.join(words)} (HTTP {status})"
