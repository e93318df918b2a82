"""What a metric family is: its name, type, help, whom it is about, and which mode serves it.

The families themselves are in `exporter.page.families`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Scope(Enum):
    """Whom a family is about; its value is the identity labels that every sample of it carries, in this order."""

    EXPORTER = ()
    NODE = ("node",)
    MODEL = ("namespace", "model")
    PREDICTOR = ("namespace", "model", "predictor")
    POD = ("namespace", "model", "predictor", "pod", "node")
    CONTAINER = ("namespace", "model", "predictor", "pod", "container", "node")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the identity labels."""
        names: tuple[str, ...] = self.value
        return names


class Kind(Enum):
    """The type of a family, as the `# TYPE` line says it; `_info` families are gauges of value 1."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


class Mode(Enum):
    """Which mode serves the family."""

    NODE = "node"
    CLUSTER = "cluster"
    BOTH = "both"


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One metric family; `labels` are those after the identity labels of its scope."""

    name: str
    kind: Kind
    help: str
    scope: Scope
    mode: Mode
    labels: tuple[str, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """All label names, in the order in which they are rendered."""
        return self.scope.labels + self.labels


@dataclass(frozen=True, slots=True)
class Vantage:
    """The four families of requests seen from one place."""

    requests: Family
    duration: Family
    time: Family
    in_flight: Family
