"""Every model of the cluster from watches, so that a list of a thousand costs no call to the API server.

Two collections are followed: SeldonDeployments, and the ConfigMaps that hold records. An event is decoded once, when it
arrives, into a small row; a list only selects rows. `ready` is false until both collections were listed completely, and
an interrupted watch makes the rows older, never wrong by half: `stale_since` says since when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec

from deploy.kinds import Meta, Seldon
from deploy.rendered import SELDON, collection_path
from deploy.seen import MODEL_LABEL
from deploy.status import rollout_line
from deploy.store import RECORD_LABEL, ConfigMap, record_of
from milepost.kube import KubeClient, WatchEvent
from milepost.watch import Kind

Key = tuple[str, str]


class Row(msgspec.Struct, frozen=True):
    """A model in a list. A model that Milepost does not manage has no revision."""

    namespace: str
    name: str
    state: str
    replicas: int
    predictors: tuple[str, ...]
    revision: int = 0
    operation: str = ""
    rollout: str = ""


class _Named(msgspec.Struct, frozen=True):
    metadata: Meta = Meta()


class ModelCache:
    """The rows. Caller: `follow` as a root task. Affects: nothing but itself; readers are on the same loop."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._seldon: dict[Key, Row] = {}
        self._records: dict[Key, tuple[int, str, str]] = {}
        self._listed: set[str] = set()
        self._now = now
        self.stale_since = 0.0

    @property
    def ready(self) -> bool:
        """Whether both collections were listed completely once."""
        return self._listed == {"seldon", "records"}

    async def follow(self, kube: KubeClient) -> None:
        """Follow both collections for ever. Raises KubeError for an error that stays."""
        seldon = kube.watch(collection_path(SELDON, "seldondeployments", None))
        records = kube.watch(collection_path("v1", "configmaps", None), {"labelSelector": f"{RECORD_LABEL}=true"})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take("seldon", seldon, self.see_seldon))
            tasks.create_task(self._take("records", records, self.see_record))

    async def _take(self, name: str, events: AsyncIterator[WatchEvent], see: Callable[[WatchEvent], None]) -> None:
        async for event in events:
            if event.kind is Kind.LISTED:
                self._listed.add(name)
            elif event.kind is Kind.INTERRUPTED:
                self.stale_since = self.stale_since or self._now()
                continue
            elif event.kind is not Kind.BOOKMARK:
                see(event)
            self.stale_since = 0.0

    def see_seldon(self, event: WatchEvent) -> None:
        """Take one event of a SeldonDeployment."""
        item = msgspec.json.decode(event.object, type=Seldon)
        key = (item.metadata.namespace, item.metadata.name)
        if event.kind is Kind.DELETED:
            self._seldon.pop(key, None)
            return
        names = tuple(predictor.name for predictor in item.spec.predictors)
        self._seldon[key] = Row(*key, item.status.state or "Creating", item.status.replicas, names)

    def see_record(self, event: WatchEvent) -> None:
        """Take one event of a record."""
        if event.kind is Kind.DELETED:
            meta = msgspec.json.decode(event.object, type=_Named).metadata
            self._records.pop((meta.namespace, meta.name.removeprefix("milepost-model-")), None)
            return
        item = msgspec.json.decode(event.object, type=ConfigMap)
        record = record_of(item)
        operation = record.operation
        told = f"{operation.verb} {operation.state}" if operation else ""
        revision = record.stable.revision if record.stable else 0
        self._records[item.metadata.namespace, item.metadata.labels[MODEL_LABEL]] = (
            revision, told, rollout_line(record),
        )  # fmt: skip

    def rows(self, namespace: str = "") -> Iterator[Row]:
        """Yield the models of a namespace, or of all, by name."""
        for key in sorted(self._seldon):
            if namespace and key[0] != namespace:
                continue
            row, record = self._seldon[key], self._records.get(key)
            if record is not None:
                row = msgspec.structs.replace(row, revision=record[0], operation=record[1], rollout=record[2])
            yield row
