"""One at a time: the model's lock is a Lease, and the record's compare-and-swap is the fence behind it.

A holder renews its Lease three times per duration. Another process takes the lock over when the Lease has not changed
for a whole duration *by its own clock*, as leader election in client-go does, so no two clocks are compared. A holder
that could not renew in time must stop before its next step (`Lock.held`). Should it be stalled just between that
question and its step, it can repeat one idempotent step at worst: it cannot write the record, since whoever took over
has written it and the resourceVersion moved on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from deploy.cluster import Cluster
from deploy.errors import Absent, Busy, Conflict, PlatformError
from deploy.objects import MANAGED_BY, collection_path
from deploy.seen import MODEL_LABEL
from milepost.settings import setting
from milepost.units import Seconds

POLL_S = 0.5


class _Spec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: str | None = None
    renew_time: str | None = None


class _Metadata(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    name: str
    namespace: str
    labels: dict[str, str] = {}
    resource_version: str = ""


class _Lease(msgspec.Struct, frozen=True, rename="camel"):
    metadata: _Metadata
    spec: _Spec = _Spec()
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"


@dataclass(frozen=True, slots=True)
class LockSettings:
    """The lock of a model."""

    duration: Seconds = setting(Seconds(15), "A lock whose holder died is taken over after this long")
    wait: Seconds = setting(Seconds(30), "How long a command waits for another one on the same model")


@dataclass(slots=True)
class Lock:
    """A lock that is held. Caller: `locked`, which renews it. Affects: nothing but itself."""

    lease: _Lease
    duration_s: float
    monotonic: Callable[[], float]
    renewed_at: float = 0.0
    lost: str = field(default="")

    @property
    def held(self) -> bool:
        """Whether no other process can have taken the lock yet."""
        return not self.lost and self.monotonic() < self.renewed_at + self.duration_s


@contextlib.asynccontextmanager
async def locked(
    cluster: Cluster,
    namespace: str,
    name: str,
    *,
    holder: str,
    settings: LockSettings,
    of: str = "model",
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Lock]:
    """Hold the lock of a model, or of what `of` says: the Lease `milepost-<of>-<name>`.

    Raises Busy, naming the holder, when it cannot be had within `settings.wait`.
    A lock whose holder died is taken over after `settings.duration`, so a longer wait always ends in a lock or at a
    living holder.
    """
    lock = await _acquire(cluster, _blank(namespace, name, of), holder, settings, monotonic)
    renewal = asyncio.create_task(_renew(cluster, lock))
    try:
        yield lock
    finally:
        renewal.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewal
        if lock.held:
            with contextlib.suppress(PlatformError):
                # A lock that cannot be given back runs out by itself.
                await _write(cluster, lock.lease, "", 1)


def _blank(namespace: str, name: str, of: str) -> _Lease:
    labels = {**MANAGED_BY, MODEL_LABEL: name} if of == "model" else dict(MANAGED_BY)
    return _Lease(_Metadata(f"milepost-{of}-{name}", namespace, labels))


async def _acquire(
    cluster: Cluster, blank: _Lease, holder: str, settings: LockSettings, monotonic: Callable[[], float]
) -> Lock:
    duration_s = max(1, round(settings.duration))
    started, unchanged_since, version = monotonic(), monotonic(), ""
    while True:
        seen = await _read(cluster, blank)
        if seen.metadata.resource_version != version:
            version, unchanged_since = seen.metadata.resource_version, monotonic()
        free = not seen.spec.holder_identity or seen.spec.holder_identity == holder
        if free or monotonic() - unchanged_since >= seen.spec.lease_duration_seconds:
            asked_at = monotonic()
            with contextlib.suppress(Conflict):
                lease = await _write(cluster, seen, holder, duration_s)
                return Lock(lease, duration_s, monotonic, renewed_at=asked_at)
        if monotonic() - started >= settings.wait:
            raise Busy(
                f"{blank.metadata.namespace}/{blank.metadata.labels.get(MODEL_LABEL, blank.metadata.name)} "
                f"is being worked on by "
                f"{seen.spec.holder_identity or 'another process'}; it was waited for {settings.wait:g} s (lock.wait)"
            )
        await asyncio.sleep(POLL_S)


async def _renew(cluster: Cluster, lock: Lock) -> None:
    while True:
        await asyncio.sleep(lock.duration_s / 3)
        asked_at = lock.monotonic()
        try:
            lock.lease = await _write(cluster, lock.lease, lock.lease.spec.holder_identity, int(lock.duration_s))
            lock.renewed_at = asked_at
        except Conflict as error:
            lock.lost = str(error)
            return
        except PlatformError:
            # Not renewed: `held` turns false by itself when this goes on for a whole duration.
            continue


async def _read(cluster: Cluster, blank: _Lease) -> _Lease:
    try:
        return msgspec.json.decode(await cluster.request("GET", _path(blank)), type=_Lease)
    except Absent:
        return blank


async def _write(cluster: Cluster, lease: _Lease, holder: str, duration_s: int) -> _Lease:
    """Write the Lease if it still is at the version read. Raises Conflict."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    acquired = lease.spec.acquire_time if lease.spec.holder_identity == holder else now
    spec = _Spec(holder, duration_s, acquired, now)
    body = msgspec.json.encode(_Lease(lease.metadata, spec))
    if lease.metadata.resource_version:
        raw = await cluster.request("PUT", _path(lease), body=body)
    else:
        collection = collection_path(lease.api_version, "leases", lease.metadata.namespace)
        raw = await cluster.request("POST", collection, body=body)
    return msgspec.json.decode(raw, type=_Lease)


def _path(lease: _Lease) -> str:
    return f"{collection_path(lease.api_version, 'leases', lease.metadata.namespace)}/{lease.metadata.name}"
