"""Every model of the cluster from watches, so that a list of a thousand costs no call to the API server.

Three collections are followed: SeldonDeployments, the Deployments that Seldon made of them, and the ConfigMaps that
hold records. An event is decoded once, when it arrives, into the few fields that a row needs; a list only selects rows,
and a row that really changed is published to the followers (`deploy.status.feed`). `ready` is false until all
collections were listed completely, and an interrupted watch makes the rows older, never wrong by half: `stale_since`
says since when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec

from deploy.cluster.store import RECORD_LABEL, ConfigMap, record_of
from deploy.objects import SELDON, collection_path
from deploy.seen import MODEL_LABEL, SELDON_ID_LABEL
from deploy.seen.kinds import Deployment, Meta, Seldon
from deploy.status.feed import Feed
from deploy.status.row import Counted, Operated, Remembered, Row, counted, operated, remembered, row_of
from milepost.kube import KubeClient, WatchEvent
from milepost.watch import Kind

Key = tuple[str, str]

CHANGES_KEPT = 10_000
COLLECTIONS = 3


class _Named(msgspec.Struct, frozen=True):
    metadata: Meta = Meta()


class _Items(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw] = []


class ModelCache:
    """The rows. Caller: `follow` as a root task. Affects: nothing but itself; readers are on the same loop."""

    def __init__(self, now: Callable[[], float] = time.time, *, changes_kept: int = CHANGES_KEPT) -> None:
        self._rows: dict[Key, Row] = {}
        self._seldon: dict[Key, Operated] = {}
        self._records: dict[Key, Remembered] = {}
        self._counts: dict[Key, dict[str, Counted]] = {}
        self._models: dict[Key, Key] = {}
        self._interrupted: dict[str, float] = {}
        self._listed: set[str] = set()
        self._now = now
        self.listed = asyncio.Event()
        self.feed = Feed(changes_kept)

    @property
    def ready(self) -> bool:
        """Whether all collections were listed completely once."""
        return self.listed.is_set()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def stale_since(self) -> float:
        """Since when (Unix seconds) a watch has been interrupted; 0: none is."""
        return min(self._interrupted.values(), default=0.0)

    async def follow(self, kube: KubeClient, namespace: str | None = None) -> None:
        """Follow all collections for ever, of one namespace or of all. Raises KubeError for an error that stays."""
        async with asyncio.TaskGroup() as tasks:
            for path, params, see in self._collections(namespace):
                tasks.create_task(self._take(path, kube.watch(path, params), see))

    async def load(self, kube: KubeClient, namespace: str | None = None) -> None:
        """Read all collections once. Raises KubeError."""
        for path, params, see in self._collections(namespace):
            async for raw in kube.list_pages(path, params):
                for item in msgspec.json.decode(raw, type=_Items).items:
                    see(WatchEvent(Kind.ADDED, bytes(item)))

    def _collections(self, namespace: str | None) -> list[tuple[str, dict[str, str], Callable[[WatchEvent], None]]]:
        return [
            (collection_path(SELDON, "seldondeployments", namespace), {}, self.see_seldon),
            (
                collection_path("v1", "configmaps", namespace),
                {"labelSelector": f"{RECORD_LABEL}=true"},
                self.see_record,
            ),
            (
                collection_path("apps/v1", "deployments", namespace),
                {"labelSelector": SELDON_ID_LABEL},
                self.see_deployment,
            ),
        ]

    async def _take(self, name: str, events: AsyncIterator[WatchEvent], see: Callable[[WatchEvent], None]) -> None:
        async for event in events:
            if event.kind is Kind.INTERRUPTED:
                self._interrupted.setdefault(name, self._now())
                continue
            if event.kind is Kind.LISTED:
                self._listed.add(name)
                if len(self._listed) == COLLECTIONS:
                    self.listed.set()
            elif event.kind is not Kind.BOOKMARK:
                see(event)
            self._interrupted.pop(name, None)

    def see_seldon(self, event: WatchEvent) -> None:
        """Take one event of a SeldonDeployment."""
        item = msgspec.json.decode(event.object, type=Seldon)
        key = (item.metadata.namespace, item.metadata.name)
        if event.kind is Kind.DELETED:
            self._seldon.pop(key, None)
        else:
            self._seldon[key] = operated(item)
        self._update(key)

    def see_deployment(self, event: WatchEvent) -> None:
        """Take one event of a Deployment that Seldon made."""
        item = msgspec.json.decode(event.object, type=Deployment)
        own = (item.metadata.namespace, item.metadata.name)
        if event.kind is Kind.DELETED:
            # A deletion found out by listing anew carries the name alone, without the label that says whose it was.
            key = self._models.pop(own, None)
            if key is None:
                return
            self._counts[key].pop(item.metadata.name, None)
            if not self._counts[key]:
                del self._counts[key]
        else:
            key = (item.metadata.namespace, item.metadata.labels[SELDON_ID_LABEL])
            self._models[own] = key
            self._counts.setdefault(key, {})[item.metadata.name] = counted(item)
        self._update(key)

    def see_record(self, event: WatchEvent) -> None:
        """Take one event of a record."""
        if event.kind is Kind.DELETED:
            meta = msgspec.json.decode(event.object, type=_Named).metadata
            key = (meta.namespace, meta.name.removeprefix("milepost-model-"))
            self._records.pop(key, None)
        else:
            item = msgspec.json.decode(event.object, type=ConfigMap)
            key = (item.metadata.namespace, item.metadata.labels[MODEL_LABEL])
            self._records[key] = remembered(record_of(item))
        self._update(key)

    def rows(self, namespace: str = "") -> Iterator[Row]:
        """Yield the models of a namespace, or of all, by namespace and name."""
        for key in sorted(self._rows):
            if not namespace or key[0] == namespace:
                yield self._rows[key]

    def _update(self, key: Key) -> None:
        before = self._rows.get(key)
        counts = self._counts.get(key, {}).values()
        after = row_of(*key, self._seldon.get(key), self._records.get(key), counts)
        if after == before:
            return
        if after is None:
            del self._rows[key]
        else:
            self._rows[key] = after
        self.feed.publish(before, after)
