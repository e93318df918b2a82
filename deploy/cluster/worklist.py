"""What the platform has promised and not yet finished: one ConfigMap per job, in the platform's own namespace.

A model's record says what is wanted, but not with whose rights; that must not be read from where the model's owners can
write. So every accepted change is noted here first, with its caller as the cluster described them, and taken out when
it has ended. What is left after a process died is what `deploy.operate.resume` goes on with, as that caller: the
cluster asks for the caller's rights anew at every step. Whoever may write ConfigMaps in this namespace could speak for
anybody, so it belongs to the platform alone.
"""

from __future__ import annotations

import logging

import msgspec

from deploy.cluster import Cluster
from deploy.errors import Absent, Denied
from deploy.objects import MANAGED_BY, PREFIX, collection_path
from deploy.seen.kinds import Meta
from milepost.auth import Caller

JOB_LABEL = f"{PREFIX}/job"
DATA_KEY = "job.json"

log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True):
    """One job: the model, the verb, and who asked for it."""

    id: str
    namespace: str
    name: str
    verb: str
    caller: Caller


class _ConfigMap(msgspec.Struct, frozen=True):
    metadata: Meta = Meta()
    data: dict[str, str] = {}


class Worklist:
    """The entries of one platform. Acts with the platform's own rights."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self.namespace = namespace

    async def add(self, entry: Entry) -> None:
        """Note a job down. Raises PlatformError; without the right to, one that says how to go without."""
        metadata = {"name": _name(entry.id), "labels": {**MANAGED_BY, JOB_LABEL: "true"}}
        body = {"metadata": metadata, "data": {DATA_KEY: msgspec.json.encode(entry).decode()}}
        try:
            await self._cluster.request("POST", self._path(), body=msgspec.json.encode(body))
        except Denied as error:
            raise Denied(
                f"the platform may not note its jobs down in namespace {self.namespace} (platform.namespace): {error}; "
                "grant it, or turn platform.resume off"
            ) from error

    async def remove(self, entry_id: str) -> None:
        """Take a job out; one that is not there is no error."""
        try:
            await self._cluster.request("DELETE", f"{self._path()}/{_name(entry_id)}")
        except Absent:
            return

    async def entries(self) -> list[Entry]:
        """Return every job that has not ended; one that nobody can read is told in the log and left where it is."""
        items = await self._cluster.items(self._path(), f"{JOB_LABEL}=true", _ConfigMap)
        found = []
        for item in items:
            try:
                found.append(msgspec.json.decode(item.data.get(DATA_KEY, ""), type=Entry))
            except msgspec.MsgspecError as error:
                log.warning("ConfigMap %s/%s is no job, delete it: %s", self.namespace, item.metadata.name, error)
        return found

    def _path(self) -> str:
        return collection_path("v1", "configmaps", self.namespace)


def _name(entry_id: str) -> str:
    return f"milepost-job-{entry_id}"
