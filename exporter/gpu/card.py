"""What one reading of a node's GPUs holds: cards, and the processes on them. Plain data, made by `nvml.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Card:
    """A card, or a MIG device of one (`mig` is its profile then, and `parent` the card's UUID).

    `index` is the minor number, the N of `/dev/nvidiaN`; `pci_bus_id` is in lower case with an eight-digit domain.
    Sizes are bytes; a figure that the driver does not give is None.
    """

    uuid: str
    index: int
    product: str = ""
    pci_bus_id: str = ""
    driver: str = ""
    mig: str = ""
    parent: str = ""
    memory_bytes: float | None = None
    memory_used_bytes: float | None = None
    utilisation: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None
    energy_joules: float | None = None


@dataclass(frozen=True, slots=True)
class CardReading:
    """A card and its processes at one moment.

    `memory` maps a process id to the bytes that it holds, or None where the driver does not say. `busy` maps a process
    id to the share (0 to 1) of the card's time that it had from `since_us` to `until_us` (Unix microseconds); it is
    None where the driver cannot tell (MIG, cards before Maxwell), which is not the same as no process being busy.
    """

    card: Card
    memory: Mapping[int, int | None] = field(default_factory=dict)
    busy: Mapping[int, float] | None = None
    since_us: int = 0
    until_us: int = 0


def by_index(cards: Sequence[Card]) -> dict[int, Card]:
    """Return the whole cards by their minor number."""
    return {card.index: card for card in cards if not card.parent}


def by_bus_id(cards: Sequence[Card]) -> dict[str, Card]:
    """Return the whole cards by their PCI bus id."""
    return {card.pci_bus_id: card for card in cards if not card.parent}
