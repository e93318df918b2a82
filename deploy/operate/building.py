"""One step of a rebuild: the Job started, followed, removed, and what it built put into the record.

Like every step it is idempotent: the Job's name is its deed's, and the record moves on by compare-and-swap.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from deploy import rebuild
from deploy.cluster import Cluster
from deploy.cluster.store import ConfigMap, Store
from deploy.errors import Absent, Refusal, Refused
from deploy.objects import collection_path
from deploy.operate.jobs import Build, Jobs, RebuildSettings
from deploy.record import Rebuild, Record

TEMPLATE_KEY = "job.yaml"


class Builder:
    """Builds images of custom servers on one cluster."""

    def __init__(self, cluster: Cluster, settings: RebuildSettings, *, now: Callable[[], float] = time.time) -> None:
        self.jobs = Jobs(cluster, settings)
        self.settings = settings
        self._cluster = cluster
        self._store = Store(cluster)
        self._now = now

    async def template(self) -> str:
        """Return the cluster's Job template. Raises Refused when there is none."""
        at = self.settings.template
        namespace, _, name = at.partition("/")
        if not namespace or not name:
            raise Refused(
                [Refusal("rebuild.template", at, "it must be namespace/name of a ConfigMap, or give --template")]
            )
        try:
            raw = await self._cluster.request("GET", f"{collection_path('v1', 'configmaps', namespace)}/{name}")
        except Absent as error:
            raise Refused([Refusal("rebuild.template", at, "there is no such ConfigMap")]) from error
        text = msgspec.json.decode(raw, type=ConfigMap).data.get(TEMPLATE_KEY)
        if text is None:
            raise Refused([Refusal("rebuild.template", at, f"it has no key {TEMPLATE_KEY}")])
        return text

    async def step(self, record: Record, wanted: Rebuild) -> Build:
        """Do what is next for a rebuild and return how its Job stands. Raises PlatformError."""
        now, name = self._now(), wanted.job["metadata"]["name"]
        if wanted.cancelled:
            await self.jobs.remove(wanted.job)
            await self._change(record, lambda found: rebuild.cancelled(found, now=now))
            return Build("complete", f"Job {name}: removed, {wanted.cancelled}")
        found = await self.jobs.look(wanted.job)
        if found is None:
            await self.jobs.start(wanted.job)
            return Build("running", f"Job {name}: started")
        if found.state == "complete":
            message = found.message
            try:
                await self._change(record, lambda then: rebuild.built(then, message, now=now))
            except Refused as error:
                found = Build("failed", found.told, str(error))
        if found.state == "failed":
            why = found.message
            await self._change(record, lambda then: rebuild.unbuilt(then, why, now=now))
        return found

    async def _change(self, record: Record, edit: Callable[[Record], Record]) -> None:
        """Edit the record, unless this rebuild is not the one it waits for any more."""
        wanted = record.rebuild

        def same(found: Record) -> Record:
            return edit(found) if found.rebuild == wanted else found

        await self._store.change(record.namespace, record.name, same)
