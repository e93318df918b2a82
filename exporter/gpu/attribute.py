"""From a reading of the cards to each container's use of them. Pure but for `CardSeconds`, which it feeds.

A process belongs to the container whose id its cgroup names; where the exporter does not know that id (a runtime that
the kubelet has not reported yet), to the only container of the pod, if there is only one. Everything else is counted as
unattributed, by card, so that nothing on a card goes missing silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.gpu.account import CardSeconds
from exporter.gpu.card import CardReading
from exporter.gpu.cgroup import Owner
from exporter.page.observations import GpuUsage
from exporter.page.samples import Containers
from exporter.page.sink import Subject
from milepost.identity import Identity

SOURCE = "nvml"


@dataclass(frozen=True, slots=True)
class Unattributed:
    """Processes of a card that belong to no known container."""

    gpu: str
    processes: int
    memory_bytes: float


@dataclass(slots=True)
class _Use:
    """What one container has of one card, added up over its processes and its runtime ids."""

    subject: Subject
    memory_bytes: float | None = None
    seconds: float | None = None
    ratio: float | None = None


def attribute(
    reading: CardReading, owners: Mapping[int, Owner | None], containers: Containers, account: CardSeconds
) -> tuple[list[GpuUsage], Unattributed]:
    """Return the use of one card by known containers, and what is left."""
    gpu = reading.card.uuid
    keys = {pid: _key(owners.get(pid)) for pid in {*reading.memory, *(reading.busy or ())}}
    if reading.busy is not None:
        shares: dict[str, float] = {}
        for pid, share in reading.busy.items():
            shares[keys[pid]] = shares.get(keys[pid], 0.0) + share
        known = {key: share for key, share in shares.items() if key}
        with_processes = {keys[pid] for pid in reading.memory if keys[pid]}
        account.add(gpu, known, reading.since_us, reading.until_us, now=with_processes)
    subjects = {key: _subject(key, containers) for key in {*keys.values(), *account.owners(gpu)}}
    uses = _account_uses(reading, subjects, account)
    left_count, left_bytes = 0, 0.0
    for pid, held in reading.memory.items():
        subject = subjects[keys[pid]]
        if subject is None:
            left_count, left_bytes = left_count + 1, left_bytes + (held or 0)
        else:
            _add_memory(uses.setdefault(subject.identity, _Use(subject)), held)
    usages = [GpuUsage(use.subject, gpu, SOURCE, use.ratio, use.memory_bytes, use.seconds) for use in uses.values()]
    return usages, Unattributed(gpu, left_count, left_bytes)


def _account_uses(
    reading: CardReading, subjects: Mapping[str, Subject | None], account: CardSeconds
) -> dict[Identity, _Use]:
    """Return the counted seconds by container; one that has no process at present holds no memory."""
    gpu = reading.card.uuid
    uses: dict[Identity, _Use] = {}
    for key in account.owners(gpu):
        subject = subjects[key]
        if subject is not None and reading.busy is not None:
            use = uses.setdefault(subject.identity, _Use(subject, memory_bytes=0.0, seconds=0.0, ratio=0.0))
            use.seconds = (use.seconds or 0.0) + account.seconds(gpu, key)
            use.ratio = min(1.0, (use.ratio or 0.0) + account.ratio(gpu, key))
    return uses


def _add_memory(use: _Use, held: int | None) -> None:
    if held is not None:
        use.memory_bytes = (use.memory_bytes or 0.0) + held


def _key(owner: Owner | None) -> str:
    """Return `<container id>:<pod UID>`, either part perhaps empty; "" for a process of the node itself."""
    if owner is None:
        return ""
    return f"{owner.container_id}:{owner.pod_uid}"


def _subject(key: str, containers: Containers) -> Subject | None:
    container_id, _, pod_uid = key.partition(":")
    found = containers.by_container_id(container_id) if container_id else None
    if found is None and pod_uid:
        of_pod = containers.by_pod_uid(pod_uid)
        found = of_pod[0] if len(of_pod) == 1 else None
    return found
