"""What containers ask of GPUs: whole cards (`nvidia.com/gpu`) and GpuManager's shares (`tencent.com/vcuda-*`).

`vcuda-core` counts hundredths of a card and `vcuda-memory` blocks of 256 MiB; the pod annotation `vcuda-core-limit`
raises what a share may use while its card is idle. The scheduler extender writes the cards it chose to the annotation
`predicate-gpu-idx-<index of the container>`. Sources: tkestack/gpu-manager `pkg/types/types.go`, gpu-admission
`pkg/algorithm/allocate.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.cluster.quantity import parse_quantity

WHOLE_CARDS = "nvidia.com/gpu"
CORES = "tencent.com/vcuda-core"
MEMORY_BLOCKS = "tencent.com/vcuda-memory"
CORE_LIMIT = "tencent.com/vcuda-core-limit"
ASSIGNED = "tencent.com/predicate-gpu-idx-"
CORES_PER_CARD = 100
BLOCK_BYTES = 256 << 20

Quantities = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """Cards (may be a share) and card memory of one container; memory is 0 when it gets whole cards."""

    cards: float
    cards_limit: float
    memory_bytes: float
    assigned: tuple[str, ...]


def quantity(resources: Quantities | None, name: str) -> float | None:
    """Return a resource in its base unit, or None when it is not named."""
    value = (resources or {}).get(name)
    return None if value is None else parse_quantity(str(value))


def gpu_request(limits: Quantities | None, annotations: Mapping[str, str], index: int) -> GpuRequest | None:
    """Return what the container at this index of the pod's spec asks for; None when it asks for no GPU."""
    whole = quantity(limits, WHOLE_CARDS) or 0.0
    cores = quantity(limits, CORES) or 0.0
    cards = whole + cores / CORES_PER_CARD
    if not cards:
        return None
    raised = annotations.get(CORE_LIMIT, "")
    limit = int(raised) / CORES_PER_CARD if cores and raised.isdecimal() else cards
    blocks = quantity(limits, MEMORY_BLOCKS) or 0.0
    assigned = annotations.get(f"{ASSIGNED}{index}", "")
    return GpuRequest(cards, max(limit, cards), blocks * BLOCK_BYTES, tuple(assigned.split(",")) if assigned else ())


def node_cards(capacity: Quantities | None) -> tuple[float, float]:
    """Return (cards, card memory in bytes that GpuManager shares out) of a node."""
    cores = quantity(capacity, CORES)
    cards = cores / CORES_PER_CARD if cores is not None else quantity(capacity, WHOLE_CARDS) or 0.0
    return cards, (quantity(capacity, MEMORY_BLOCKS) or 0.0) * BLOCK_BYTES


def shares_cards(capacity: Quantities | None) -> bool:
    """Say whether GpuManager shares out the cards of a node of this capacity."""
    return quantity(capacity, CORES) is not None
