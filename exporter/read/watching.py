"""The Kubernetes API as a source: watches keep the state fed, a collection renders it.

Each watched resource has one task. A resource that the cluster does not have (no SeldonDeployments: Seldon Core is not
installed) is looked for again now and then and is no error. When the API cannot be reached the last state is served for
`watch.stale_max`, with its age beside it; after that the source is down and its samples are gone.

A 403 before anything was listed is a missing right: the process ends and says which. Later it may be an API server that
has just started and has not read its own rules yet, so it is an interruption like any other.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import msgspec

from exporter.page.samples import STARTING, Samples, SourceResult
from milepost.kube import KubeClient, KubeError
from milepost.watch import Kind

log = logging.getLogger(__name__)

_LOST_RETRY_S = 2.0
"""Between two tries after an error that a watch does not retry by itself."""

Key = tuple[str, str]
_CHANGES = {Kind.ADDED: False, Kind.MODIFIED: False, Kind.DELETED: True}


class Holder(Protocol):
    """Where the objects of one resource are kept."""

    def __len__(self) -> int: ...

    def apply(self, raw: bytes, *, deleted: bool) -> Key:
        """Take an object's newest state, or forget it; return its (namespace, name)."""

    def retain(self, keys: set[Key]) -> None:
        """Forget all objects but these."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A collection to follow; `optional` when a cluster may not have it."""

    name: str
    path: str
    holder: Holder
    params: Mapping[str, str]
    optional: bool = False


@dataclass(slots=True)
class WatchStatus:
    """How one watch is doing; times are the event loop's clock."""

    listed: bool = False
    absent: bool = False
    lost_at: float | None = None
    lost_why: str = ""


class KubernetesSource:
    """The source `kubernetes`. `run` feeds it; `render` adds the state families to a page."""

    name = "kubernetes"

    def __init__(
        self,
        client: KubeClient,
        resources: tuple[Resource, ...],
        render: Callable[[Samples], None],
        *,
        stale_max_s: float,
        absent_retry_s: float,
    ) -> None:
        self._client = client
        self.resources = resources
        self._render = render
        self._stale_max_s = stale_max_s
        self._absent_retry_s = absent_retry_s
        self.status = {resource.name: WatchStatus() for resource in resources}
        self.events: Counter[tuple[str, str]] = Counter()
        self.bad_objects = 0

    @property
    def complete(self) -> bool:
        """True once every resource was listed in full, or found absent."""
        return all(status.listed or status.absent for status in self.status.values())

    async def run(self) -> None:
        """Follow all resources for ever. Raises KubeError for what waiting cannot heal (403)."""
        async with asyncio.TaskGroup() as group:
            for resource in self.resources:
                group.create_task(self._follow(resource), name=f"watch {resource.name}")

    async def collect(self, deadline: float) -> SourceResult:
        """Render the state as it is now."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        lost = [status for status in self.status.values() if status.lost_at is not None]
        age_s = max((started - status.lost_at for status in lost if status.lost_at is not None), default=0.0)
        if not self.complete:
            detail = lost[0].lost_why if lost else "the first list is not complete"
            return SourceResult(self.name, 0.0, error=STARTING, error_detail=detail, age_s=age_s)
        if age_s > self._stale_max_s:
            return SourceResult(self.name, 0.0, error="stale", error_detail=lost[0].lost_why, age_s=age_s)
        out = Samples()
        self._render(out)
        return SourceResult(self.name, loop.time() - started, out, age_s=age_s)

    async def _follow(self, resource: Resource) -> None:
        status = self.status[resource.name]
        while True:
            try:
                await self._watch(resource, status)
            except KubeError as error:
                if resource.optional and error.status == 404:
                    self._absent(resource, status)
                elif status.listed:
                    self._interrupted(resource, status, error)
                else:
                    raise
            await asyncio.sleep(self._absent_retry_s if status.absent else _LOST_RETRY_S)

    async def _watch(self, resource: Resource, status: WatchStatus) -> None:
        found: set[Key] | None = set()
        async with aclosing(self._client.watch(resource.path, resource.params)) as events:
            async for event in events:
                self.events[resource.name, event.kind.lower()] += 1
                if event.kind is Kind.INTERRUPTED:
                    self._interrupted(resource, status, event.error)
                    continue
                status.lost_at = None
                if event.kind in _CHANGES:
                    key = self._apply(resource, event.object, deleted=_CHANGES[event.kind])
                    if found is not None and key is not None:
                        found.add(key)
                elif event.kind is Kind.LISTED:
                    status.listed, status.absent = True, False
                    # This watch knows nothing of what an earlier one has told us and that is gone since.
                    if found is not None:
                        resource.holder.retain(found)
                        found = None
                    log.info("%s: %d listed", resource.name, len(resource.holder))

    def _absent(self, resource: Resource, status: WatchStatus) -> None:
        if not status.absent:
            log.info("the cluster has no %s; looking again every %g s", resource.name, self._absent_retry_s)
        status.absent, status.lost_at = True, None
        resource.holder.retain(set())

    def _interrupted(self, resource: Resource, status: WatchStatus, error: KubeError | None) -> None:
        if status.lost_at is None:
            status.lost_at, status.lost_why = asyncio.get_running_loop().time(), str(error)
            log.warning("watch of %s interrupted: %s", resource.name, error)

    def _apply(self, resource: Resource, raw: bytes, *, deleted: bool) -> Key | None:
        try:
            return resource.holder.apply(raw, deleted=deleted)
        except (msgspec.DecodeError, ValueError) as error:
            self.bad_objects += 1
            log.warning("an object of %s cannot be read and is left out: %s", resource.name, error)
            return None
