"""Following a collection of the Kubernetes API for ever: list it, watch it, and list again when the watch is lost.

    list every page ──▶ LISTED ──▶ watch from its resourceVersion ──▶ ADDED, MODIFIED, DELETED, BOOKMARK ...
        ▲                              │ ended in order, or silent for long: watch again from the last version
        │                              │ broken: INTERRUPTED, wait, watch again from the last version
        └──────── 410: too old ────────┘

A consumer that applies ADDED, MODIFIED and DELETED in order always holds the truth, also over a second list: an object
that vanished while nobody watched is reported as DELETED (its metadata only), one that was replaced under the same name
as DELETED and then ADDED, and LISTED says that the state is complete. Until the first LISTED it is not.

INTERRUPTED carries the error and means that the state grows old; it costs nothing else. Errors that waiting cannot heal
are raised: a collection that does not exist (404), and before the first LISTED a missing right (401, 403). Protocol:
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
"""

from __future__ import annotations

import asyncio
import enum
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

from milepost.kube_error import TOO_LARGE, KubeError, error_from_event

_BACKOFF_FIRST_S = 0.5
_ORDINARY_S = 1.0
"""A watch may end without an event, since nothing changed; one that ends sooner than this is refused in disguise."""
_MAY_COME_BACK = frozenset({401, 403})
"""After a first list these are no missing right: an API server that has just started knows no token or rule yet."""

Params = Mapping[str, str | int | bool]


class Kind(enum.StrEnum):
    """What a WatchEvent says; the first four are the words of the Kubernetes API."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    LISTED = "LISTED"
    INTERRUPTED = "INTERRUPTED"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One step; `object` is the raw JSON of the object (empty for LISTED and INTERRUPTED), `error` INTERRUPTED's."""

    kind: Kind
    object: bytes = b""
    error: KubeError | None = None


@dataclass(frozen=True, slots=True)
class WatchBounds:
    """The limits of one watch; a server is asked to end a watch after one to two times `server_timeout_s`."""

    server_timeout_s: float
    backoff_max_s: float
    event_max_bytes: int


class WatchSource(Protocol):
    """What a watch needs of a client."""

    def list_pages(self, path: str, params: Params | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the raw List objects of a collection; raises KubeError."""
        ...

    def stream(self, path: str, params: Params | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of an endless answer, until its end or a long silence; raises KubeError."""
        ...


async def watch(
    source: WatchSource,
    path: str,
    params: Params,
    bounds: WatchBounds,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    uniform: Callable[[float, float], float] = random.uniform,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[WatchEvent, None]:
    """Yield the events of the collection at `path`, for ever; raises KubeError for an error that stays.

    `params` are those of both the list and the watch: labelSelector, fieldSelector.
    """
    state, failures = _Followed(), 0
    while True:
        try:
            if not state.version:
                async with aclosing(_list(source, path, params, state)) as listed:
                    async for event in listed:
                        yield event
            asked = {
                **params,
                "watch": True,
                "allowWatchBookmarks": True,
                "resourceVersion": state.version,
                "timeoutSeconds": int(bounds.server_timeout_s * uniform(1, 2)),
            }
            started, delivered = clock(), False
            async with aclosing(_changes(source, path, asked, state, bounds.event_max_bytes)) as changes:
                async for event in changes:
                    failures, delivered = 0, True
                    yield event
            if delivered or clock() - started >= _ORDINARY_S:
                failures = 0
                continue
            ended = KubeError(0, "WatchEnded", f"{path}: the watch ended as soon as it had begun")
            failures += 1
        except KubeError as error:
            ended = error
            if error.expired:
                state.version = ""
            elif not error.transient and not (state.listed and error.status in _MAY_COME_BACK):
                raise
            failures += 1
        yield WatchEvent(Kind.INTERRUPTED, error=ended)
        await sleep(uniform(0, min(bounds.backoff_max_s, _BACKOFF_FIRST_S * 2 ** min(failures, 16))))


class _ObjectMeta(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""  # noqa: N815 - the wire's name


class _Object(msgspec.Struct):
    metadata: _ObjectMeta


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _ListMeta(msgspec.Struct):
    resourceVersion: str = ""  # noqa: N815 - the wire's name


class _Page(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


_Name = tuple[str, str]
_Decoded = TypeVar("_Decoded")


@dataclass(slots=True)
class _Followed:
    """What the consumer was told: the version to go on from ("" = list), and (namespace, name) -> uid."""

    version: str = ""
    listed: bool = False
    uids: dict[_Name, str] = field(default_factory=dict)


async def _list(source: WatchSource, path: str, params: Params, state: _Followed) -> AsyncGenerator[WatchEvent, None]:
    seen: set[_Name] = set()
    version = ""
    async with aclosing(source.list_pages(path, params)) as pages:
        async for body in pages:
            page = _decode(body, _Page, path)
            version = page.metadata.resourceVersion
            for item in page.items or []:
                meta = _decode(item, _Object, path).metadata
                name = (meta.namespace, meta.name)
                before = state.uids.get(name)
                if before is not None and before != meta.uid:
                    yield _vanished(name, before)
                state.uids[name] = meta.uid
                seen.add(name)
                yield WatchEvent(Kind.ADDED, bytes(item))
    for name in [name for name in state.uids if name not in seen]:
        yield _vanished(name, state.uids.pop(name))
    state.version, state.listed = version, True
    yield WatchEvent(Kind.LISTED)


def _vanished(name: _Name, uid: str) -> WatchEvent:
    meta = {"namespace": name[0], "name": name[1], "uid": uid}
    known = {key: text for key, text in meta.items() if text}
    return WatchEvent(Kind.DELETED, msgspec.json.encode({"metadata": known}))


async def _changes(
    source: WatchSource, path: str, params: Params, state: _Followed, event_max_bytes: int
) -> AsyncGenerator[WatchEvent, None]:
    async with aclosing(_lines(source.stream(path, params), path, event_max_bytes)) as lines:
        async for line in lines:
            event = _decode(line, _Event, path)
            if event.type == "ERROR":
                raise error_from_event(bytes(event.object), path=path)
            meta = _decode(event.object, _Object, path).metadata
            kind = Kind(event.type)
            if kind is Kind.DELETED:
                state.uids.pop((meta.namespace, meta.name), None)
            elif kind is not Kind.BOOKMARK:
                state.uids[meta.namespace, meta.name] = meta.uid
            state.version = meta.resourceVersion
            yield WatchEvent(kind, bytes(event.object))


async def _lines(chunks: AsyncGenerator[bytes, None], path: str, most: int) -> AsyncGenerator[bytes, None]:
    """Yield the complete lines; a last one without its end is dropped, for its connection broke."""
    rest = bytearray()
    async with aclosing(chunks):
        async for chunk in chunks:
            start, end = 0, chunk.find(b"\n")
            while end >= 0:
                line = bytes(rest) + chunk[start:end]
                rest.clear()
                if line.strip():
                    yield line
                start, end = end + 1, chunk.find(b"\n", end + 1)
            rest += chunk[start:]
            if len(rest) > most:
                raise KubeError(200, TOO_LARGE, f"{path}: a watched object exceeds {most} bytes (kube.body_max)")


def _decode(body: bytes | msgspec.Raw, kind: type[_Decoded], path: str) -> _Decoded:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Something between us and the API server answered in its place: its state may pass, like a bad gateway's.
        raise KubeError(502, "NotKubernetes", f"{path}: {error}") from error
