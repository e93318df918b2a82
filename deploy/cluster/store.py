"""Where records are kept: one ConfigMap per model, replaced by compare-and-swap.

`change` reads the record, applies a pure edit and writes it back with the resourceVersion that it read. When somebody
else wrote in between the API server answers 409, and the edit is done again on what is there now, at most
`TRIES_MAX` times: an edit is a function of the record, so doing it again is always right.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from deploy.cluster import Cluster
from deploy.errors import Absent, Conflict
from deploy.objects import MANAGED_BY, PREFIX, collection_path
from deploy.record import Record
from deploy.record.coding import decode, encode
from deploy.seen import MODEL_LABEL
from deploy.seen.kinds import Meta

RECORD_LABEL = f"{PREFIX}/record"
STATE_LABEL = f"{PREFIX}/operation"
DATA_KEY = "record.json"
TRIES_MAX = 8

_audit_log = logging.getLogger("milepost.audit")

Edit = Callable[[Record], Record]


class ConfigMap(msgspec.Struct, frozen=True):
    """A core/v1 ConfigMap, as far as a record needs it."""

    metadata: Meta = Meta()
    data: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Stored:
    """A record and the version it was read at; an empty version: it does not exist yet."""

    record: Record
    version: str


def record_name(model: str) -> str:
    """Return the name of a model's ConfigMap."""
    return f"milepost-model-{model}"


def record_of(item: ConfigMap) -> Record:
    """Return the record in a ConfigMap. Raises Broken when it has none."""
    key = f"{item.metadata.namespace}/{item.metadata.labels.get(MODEL_LABEL, item.metadata.name)}"
    return decode(item.data.get(DATA_KEY, ""), key=key)


class Store:
    """Records on one cluster, with one identity's rights."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def load(self, namespace: str, name: str) -> Stored:
        """Return the model's record; an empty one with version "" when there is none."""
        try:
            raw = await self._cluster.request("GET", self._path(namespace, name))
        except Absent:
            return Stored(Record(namespace, name), "")
        item = msgspec.json.decode(raw, type=ConfigMap)
        return Stored(record_of(item), item.metadata.resource_version)

    async def save(self, record: Record, version: str) -> Stored:
        """Write the record if it still is at `version`. Raises Conflict when it is not."""
        collection = collection_path("v1", "configmaps", record.namespace)
        body = msgspec.json.encode(self._body(record, version))
        if version:
            raw = await self._cluster.request("PUT", self._path(record.namespace, record.name), body=body)
        else:
            raw = await self._cluster.request("POST", collection, body=body)
        return Stored(record, msgspec.json.decode(raw, type=ConfigMap).metadata.resource_version)

    async def change(self, namespace: str, name: str, edit: Edit) -> Stored:
        """Edit the record, again and again while others write it too. Raises Conflict after `TRIES_MAX` tries."""
        for attempt in range(TRIES_MAX):
            stored = await self.load(namespace, name)
            record = edit(stored.record)
            if record == stored.record:
                return stored
            try:
                saved = await self.save(record, stored.version)
            except Conflict:
                await asyncio.sleep(random.uniform(0.01, 0.05 * 2**attempt))  # noqa: S311 - spreads writers, no secret
                continue
            _tell(stored.record, record)
            return saved
        raise Conflict(f"the record of {namespace}/{name} was changed by others {TRIES_MAX} times in a row")

    async def purge(self, namespace: str, name: str) -> None:
        """Remove the record, history and all."""
        try:
            await self._cluster.request("DELETE", self._path(namespace, name))
        except Absent:
            return

    def _path(self, namespace: str, name: str) -> str:
        return f"{collection_path('v1', 'configmaps', namespace)}/{record_name(name)}"

    def _body(self, record: Record, version: str) -> dict[str, object]:
        state = record.operation.state if record.operation else "none"
        labels = {**MANAGED_BY, MODEL_LABEL: record.name, RECORD_LABEL: "true", STATE_LABEL: state}
        metadata: dict[str, object] = {
            "name": record_name(record.name),
            "namespace": record.namespace,
            "labels": labels,
        }
        if version:
            metadata["resourceVersion"] = version
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {DATA_KEY: encode(record).decode()},
        }


def _tell(before: Record, after: Record) -> None:
    """Write the audit entries that were added to the log, where they stay when the record drops them."""
    known = set(before.audit)
    for entry in after.audit:
        if entry not in known:
            told = {"model": after.key, "author": entry.author, "verb": entry.verb, "detail": entry.detail}
            _audit_log.info("%s", msgspec.json.encode(told).decode())
