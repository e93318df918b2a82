"""GpuManager's own figures: `/metric` by names, `/usage` by pod UID with the cards' bus ids and the process ids.

Both are on port 5678 of each GPU node; the page is `/metric`, singular (tkestack/gpu-manager `pkg/server/server.go`,
`pkg/services/display/display.go`, `pkg/api/runtime/display/api.proto`).

What is put right here:
- rows with `gpu="total"` beside `gpu="gpu0"` are dropped: any sum would count everything twice;
- utilisation is a percentage and becomes a ratio, memory is MiB (in a gauge named `…_total`) and becomes bytes;
- `gpu0` is a minor number and becomes the card's UUID, by the node's cards or by the bus id that `/usage` gives.

What cannot be: GpuManager finds a container's processes through cgroup v1. On a cgroup v2 node, or with the wrong
`--cgroup-driver`, it finds none and reports 0 without an error (gpu-manager#184). `silent_zeros` names the containers
for which NVML sees memory in use while GpuManager says 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from exporter.gpu.card import Card, by_bus_id, by_index
from exporter.page.observations import GpuUsage
from exporter.page.samples import Containers
from exporter.page.scan import PageError
from exporter.page.sink import Subject
from exporter.sources.series import Families

SOURCE = "gpumanager"
MIB = float(1 << 20)

UTILISATION = "container_gpu_utilization"
MEMORY = "container_gpu_memory"  # the page's `container_gpu_memory_total`, which is a gauge
_FAMILIES = Families(UTILISATION, MEMORY)
_CARD = re.compile(r"gpu([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class NamedUse:
    """A container's use of a card as `/metric` says it.

    `index` is the card's minor number; None for a container of which there is a `total` and no card.
    """

    namespace: str
    pod: str
    container: str
    index: int | None
    utilisation: float | None = None
    memory_bytes: float | None = None


class _Device(msgspec.Struct, frozen=True):
    id: str = ""
    card_idx: str = ""
    gpu: float = 0.0
    mem: float = 0.0
    pids: tuple[int, ...] = ()
    device_mem: float = 0.0


class _Container(msgspec.Struct, frozen=True):
    dev: tuple[_Device, ...] = ()


class _Pod(msgspec.Struct, frozen=True):
    stat: dict[str, _Container] = {}


class _Usage(msgspec.Struct, frozen=True):
    usage: dict[str, _Pod] = {}


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """A container's use of a card as `/usage` says it; `card_bytes` is the memory of the card."""

    pod_uid: str
    container: str
    bus_id: str
    index: int
    utilisation: float
    memory_bytes: float
    card_bytes: float
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What GpuManager says of known containers: use of cards, and all containers that it says anything about."""

    usages: tuple[GpuUsage, ...]
    subjects: tuple[Subject, ...]


def parse_metric(page: bytes) -> list[NamedUse]:
    """Return the rows of `/metric`, one for each container and card. Raises PageError."""
    figures: dict[tuple[str, str, str, int | None], dict[str, float]] = {}
    for one in _FAMILIES.gather(page):
        labels = one.labels
        card = _CARD.fullmatch(labels.get("gpu", labels.get("gpu_memory", "")))
        names = (labels.get("namespace", ""), labels.get("pod_name", ""), labels.get("container_name", ""))
        figures.setdefault((*names, int(card[1]) if card else None), {})[one.family] = one.value
    with_cards = {key[:3] for key in figures if key[3] is not None}
    return [
        NamedUse(
            *key,
            utilisation=found[UTILISATION] / 100 if UTILISATION in found else None,
            memory_bytes=found[MEMORY] * MIB if MEMORY in found else None,
        )
        for key, found in figures.items()
        if key[3] is not None or key[:3] not in with_cards
    ]


def parse_usage(body: bytes) -> list[DeviceUse]:
    """Return the rows of `/usage` (its JSON leaves zeros out). Raises PageError."""
    try:
        usage = msgspec.json.decode(body, type=_Usage, strict=False)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PageError(f"GpuManager's /usage cannot be read: {error}") from error
    return [
        DeviceUse(
            pod_uid=uid,
            container=container,
            bus_id=device.id.lower(),
            index=int(device.card_idx) if re.fullmatch("[0-9]{1,4}", device.card_idx) else 0,
            utilisation=device.gpu / 100,
            memory_bytes=device.mem * MIB,
            card_bytes=device.device_mem * MIB,
            pids=device.pids,
        )
        for uid, pod in usage.usage.items()
        for container, stat in pod.stat.items()
        for device in stat.dev
    ]


def observed(
    rows: Iterable[NamedUse], devices: Iterable[DeviceUse], cards: Sequence[Card], containers: Containers
) -> Report:
    """Return GpuManager's report of the containers that are known.

    A card's label is its UUID from NVML's `cards`; without NVML, the bus id of `/usage`, and without that `gpu<N>`.
    """
    uuid_by_bus = {bus: card.uuid for bus, card in by_bus_id(cards).items()}
    name_by_index = {device.index: uuid_by_bus.get(device.bus_id, device.bus_id) for device in devices if device.bus_id}
    name_by_index |= {index: card.uuid for index, card in by_index(cards).items()}
    usages, subjects = [], []
    for row in rows:
        subject = containers.by_name(row.namespace, row.pod, row.container)
        if subject is None:
            continue
        subjects.append(subject)
        if row.index is not None:
            gpu = name_by_index.get(row.index, f"gpu{row.index}")
            usages.append(GpuUsage(subject, gpu, SOURCE, row.utilisation, row.memory_bytes))
    return Report(tuple(usages), tuple(subjects))


def silent_zeros(ours: Iterable[GpuUsage], report: Report) -> list[tuple[GpuUsage, bool]]:
    """Return NVML's rows of the containers that GpuManager reports, each with whether GpuManager is silently zero.

    It is where NVML sees memory of a card in use and GpuManager has neither memory nor utilisation there. A container
    that GpuManager does not report at all is no contradiction and has no row.
    """
    reported = {subject.identity for subject in report.subjects}
    in_use = {(row.subject.identity, row.gpu) for row in report.usages if row.memory_bytes or row.utilisation}
    return [
        (row, bool(row.memory_bytes) and (row.subject.identity, row.gpu) not in in_use)
        for row in ours
        if row.subject.identity in reported
    ]
