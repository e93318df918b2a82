"""GPU shares and cards in GpuManager's units.

GpuManager counts `tencent.com/vcuda-core` in hundredths of a card and `tencent.com/vcuda-memory` in blocks of 256 MiB
(its `pkg/types/types.go`); a node offers the floor of its memory in blocks, so a request is rounded up. Below 100 cores
a container shares one card and both numbers must be above zero; from 100 on cards are exclusive, only whole ones, and
their memory is not limited (its `pkg/services/allocator/nvidia/allocator.go`).
"""

from __future__ import annotations

from deploy.spec import Gpu

CORE = "tencent.com/vcuda-core"
MEMORY = "tencent.com/vcuda-memory"
CORE_LIMIT = "tencent.com/vcuda-core-limit"
MODEL_LABEL = "gaia.tencent.com/gpu-model"
CORES_PER_CARD = 100
MIB_PER_BLOCK = 256


def blocks(memory_mib: int) -> int:
    """Return the blocks of 256 MiB that hold this memory, rounded up."""
    return -(-memory_mib // MIB_PER_BLOCK)


def units(gpu: Gpu) -> dict[str, str]:
    """Return the resources of a checked `gpu`, the same for requests and limits.

    What breaks a rule of the allocator is rendered as it is; `deploy.objects.allocation` refuses it.
    """
    if gpu.cards is not None:
        return {CORE: str(gpu.cards * CORES_PER_CARD)}
    rendered = {CORE: str(gpu.cores or 0)}
    if gpu.memory_mib is not None:
        rendered[MEMORY] = str(blocks(gpu.memory_mib))
    return rendered


def card_memory_mib(cards: tuple[str, ...], model: str | None, largest: int) -> int:
    """Return the memory of one card: that of `model` in the `model=MiB` table, else of the cluster's largest."""
    for row in cards:
        name, _, mib = row.partition("=")
        if name == model and mib.isdigit():
            return int(mib)
    return largest
