"""NVIDIA dcgm-exporter: figures of cards, and of containers where it names one.

Page: port 9400, `/metrics`, refreshed every 30 s by default (NVIDIA/dcgm-exporter `etc/default-counters.csv`,
`internal/pkg/rendermetrics/`). Memory is MiB and becomes bytes, utilisation a percentage and becomes a ratio, energy
millijoules and becomes joules. DCGM's "no value" numbers (blank values of each width, `dcgm_structs.h`) are dropped.

What it cannot know: it names no container for GpuManager's shares, since it looks only at `nvidia.com/*` resources; and
before its version 4.5 every container that shares a card was given the whole card's figures (dcgm-exporter#587). So a
row that names a container is that container's use only when no other container shares the card; with sharing, only
rows that a device row stands beside (the sign of the newer version) are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.page.families import (
    GPU_CARD_ENERGY,
    GPU_CARD_MEMORY_USED,
    GPU_CARD_POWER,
    GPU_CARD_TEMPERATURE,
    GPU_CARD_UTILISATION,
)
from exporter.page.family import Family
from exporter.page.observations import GpuUsage
from exporter.page.samples import Containers
from exporter.sources.series import Families, Series

SOURCE = "dcgm"
MIB = float(1 << 20)
UTILISATION = "DCGM_FI_DEV_GPU_UTIL"
MEMORY_USED = "DCGM_FI_DEV_FB_USED"

CARD_FIGURES: Mapping[str, tuple[Family, float]] = {
    UTILISATION: (GPU_CARD_UTILISATION, 0.01),
    MEMORY_USED: (GPU_CARD_MEMORY_USED, MIB),
    "DCGM_FI_DEV_GPU_TEMP": (GPU_CARD_TEMPERATURE, 1.0),
    "DCGM_FI_DEV_POWER_USAGE": (GPU_CARD_POWER, 1.0),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": (GPU_CARD_ENERGY, 0.001),
}
"""DCGM's fields: the family that holds them here, and the factor to its unit."""

BLANK_32 = float(0x7FFFFFF0)
BLANK_64 = float(0x7FFFFFFFFFFFFFF0)
BLANK_FP64 = 140737488355328.0
"""The first of DCGM's blank values; the ones after it say why there is none."""

_FAMILIES = Families(*CARD_FIGURES)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a card, in base units; `namespace`, `pod` and `container` are empty for the card itself."""

    field: str
    gpu: str
    value: float
    namespace: str = ""
    pod: str = ""
    container: str = ""


def blank(value: float) -> bool:
    """Tell whether DCGM means "no value" by this number."""
    return BLANK_32 <= value <= BLANK_32 + 15 or value >= BLANK_64 or BLANK_FP64 <= value <= BLANK_FP64 + 15


def parse(page: bytes) -> list[Figure]:
    """Return the page's figures in base units; a MIG instance's are left out, since they carry its card's UUID.

    Raises PageError.
    """
    return [_figure(one) for one in _FAMILIES.gather(page) if not blank(one.value) and "GPU_I_ID" not in one.labels]


def card_figures(figures: Iterable[Figure]) -> dict[tuple[Family, str], float]:
    """Return one value for each family and card: the card's own row, or any container's, which before 4.5 equals it."""
    values: dict[tuple[Family, str], float] = {}
    for figure in sorted(figures, key=lambda one: one.pod != "", reverse=True):
        values[CARD_FIGURES[figure.field][0], figure.gpu] = figure.value
    return values


def observed(figures: Iterable[Figure], containers: Containers) -> list[GpuUsage]:
    """Return the use of cards by the containers that dcgm-exporter can tell apart and that are known."""
    kept = [figure for figure in figures if figure.field in (UTILISATION, MEMORY_USED)]
    own_row = {(figure.field, figure.gpu) for figure in kept if not figure.pod}
    rows: dict[tuple[str, str, str, str], dict[str, float]] = {}
    sharers: dict[tuple[str, str], int] = {}
    for figure in kept:
        if figure.pod:
            sharers[figure.field, figure.gpu] = sharers.get((figure.field, figure.gpu), 0) + 1
    for figure in kept:
        where = (figure.field, figure.gpu)
        if figure.pod and (sharers[where] == 1 or where in own_row):
            key = (figure.namespace, figure.pod, figure.container, figure.gpu)
            rows.setdefault(key, {})[figure.field] = figure.value
    found = []
    for (namespace, pod, container, gpu), values in rows.items():
        subject = containers.by_name(namespace, pod, container)
        if subject is not None:
            found.append(GpuUsage(subject, gpu, SOURCE, values.get(UTILISATION), values.get(MEMORY_USED)))
    return found


def _figure(one: Series) -> Figure:
    labels = one.labels
    return Figure(
        field=one.family,
        gpu=labels.get("UUID", ""),
        value=one.value * CARD_FIGURES[one.family][1],
        namespace=labels.get("namespace", labels.get("pod_namespace", "")),
        pod=labels.get("pod", labels.get("pod_name", "")),
        container=labels.get("container", labels.get("container_name", "")),
    )
