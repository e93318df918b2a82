"""What sources hand over.

A source implements `Source`: a name and `collect(deadline)`. It returns one `SourceResult`, holding *observations*
(`exporter/page/observations.py`) and *samples*: everything else, added to `Samples` as finished lines, or as blocks
(`exporter/page/blocks.py`) of what is kept from scrape to scrape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from exporter.page.blocks import Block
from exporter.page.family import Family
from exporter.page.observations import Observation
from exporter.page.sink import Row, Sink, Subject, number


class Samples(Sink):
    """Finished lines by family, in the order in which they came, and the blocks of what is kept between scrapes."""

    __slots__ = ("blocks", "lines")

    def __init__(self) -> None:
        self.lines: dict[Family, list[str]] = {}
        self.blocks: list[Block] = []

    def add_block(self, block: Block) -> None:
        """Add the samples of one object."""
        self.blocks.append(block)

    def extend(self, other: Samples) -> None:
        """Add all samples of another container."""
        for family, lines in other.lines.items():
            self.lines.setdefault(family, []).extend(lines)
        self.blocks += other.blocks

    def _add_rows(self, family: Family, text: str, rows: Sequence[Row]) -> None:
        lines = []
        for suffix, shared, value in rows:
            labels = f"{text},{shared}" if text and shared else text or shared
            lines.append(
                f"{family.name}{suffix}{{{labels}}} {number(value)}\n"
                if labels
                else f"{family.name}{suffix} {number(value)}\n"
            )
        self.lines.setdefault(family, []).append("".join(lines))


STARTING = "starting"
"""The `error` of a source that has not read everything once yet."""


@dataclass(frozen=True, slots=True)
class SourceResult:
    """What one source gave at one collection.

    With an `error` (a short reason word) the source is down. What is not `shown` feeds the JSON API's history only: it
    is on another exporter's page. `failures` counts the reasons why pages of a source of many failed since it was last
    collected; None for one that reads a single thing, whose failure is its `error`.
    """

    source: str
    duration_s: float
    samples: Samples = field(default_factory=Samples)
    observations: Sequence[Observation] = ()
    error: str = ""
    error_detail: str = ""
    age_s: float = 0.0
    failures: Mapping[str, int] | None = None
    targets: int = 1
    targets_up: int = 1
    shown: bool = True


class Source(Protocol):
    """One outside system the exporter reads."""

    @property
    def name(self) -> str:
        """The value of the label `source`."""

    async def collect(self, deadline: float) -> SourceResult:
        """Read it by `deadline` (the event loop's clock). Never raises for the world's faults: they are `error`."""


class Containers(Protocol):
    """The containers known from the Kubernetes API, for sources that learn of them by other names."""

    def by_container_id(self, container_id: str) -> Subject | None:
        """Find a container by its runtime id (64 hex digits, no scheme)."""

    def by_pod_uid(self, uid: str) -> Sequence[Subject]:
        """Return the containers of a pod by its UID (dashed, or a static pod's 32 hex digits)."""

    def by_name(self, namespace: str, pod: str, container: str) -> Subject | None:
        """Find a container by its names."""
