"""What sources hand over: samples as finished text, and observations as typed records.

A source implements `Source`: a name and `collect(deadline)`. It returns one `SourceResult`, holding
- *observations*: typed records (`ContainerUsage`, `GpuUsage`, `FrontReading`, `ControllerTraffic`) of what the JSON API
  and the 15-minute ring need too; `exporter/observed.py` turns them into samples, so a source never does both (of a
  `FrontReading` the samples are made when the page is read, for pages are kept);
- *samples*: everything else, added to `Samples` as finished lines, or as blocks (`exporter/blocks.py`) of what is kept
  from scrape to scrape.

A parser of a model server's page is a pure function `parse(page) -> list[Traffic]`: it knows nothing of pods. All
durations are seconds, all sizes bytes, all shares ratios, converted where they are read.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from exporter.counts import Counts
from exporter.family import Family, Scope
from milepost.identity import Identity

if TYPE_CHECKING:
    from exporter.blocks import Block

_ESCAPED = re.compile(r'[\\"\n]')
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_SPECIAL = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}


def escape(value: str) -> str:
    """Return a label value as the text format writes it (backslash, quote and line feed escaped)."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], value)


def render_labels(names: Sequence[str], values: Sequence[str]) -> str:
    """Return `a="1",b="2"`, without braces."""
    return ",".join([f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True)])


def number(value: float) -> str:
    """Return a sample's value as the text formats write it, so that it reads back as the same number."""
    text = repr(value)
    return text[:-2] if text[-2:] == ".0" else _SPECIAL.get(text, text)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """Whom samples are about, with its label text rendered once and reused by all of them."""

    identity: Identity
    scope: Scope
    text: str

    @classmethod
    def of(cls, identity: Identity, scope: Scope) -> Subject:
        """Return the subject of this scope: its labels are the scope's fields of the identity."""
        return cls(identity, scope, render_labels(scope.labels, [getattr(identity, name) for name in scope.labels]))


EXPORTER = Subject.of(Identity(), Scope.EXPORTER)


@dataclass(frozen=True, slots=True)
class Histogram:
    """A cumulative histogram: `cumulative[i]` requests took at most `bounds_s[i]`; the last one is +Inf, the count."""

    bounds_s: tuple[float, ...]
    cumulative: tuple[float, ...]
    sum_s: float

    def __post_init__(self) -> None:
        if len(self.cumulative) != len(self.bounds_s) + 1:
            raise ValueError(f"{len(self.bounds_s)} bounds need one more count, not {len(self.cumulative)}")


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """CPU and memory of one container at one moment; None where the source does not say.

    `cpu_seconds` is a counter read at `at` (Unix seconds of the source's own clock); `cpu_cores` a gauge.
    """

    subject: Subject
    at: float
    cpu_seconds: float | None = None
    cpu_cores: float | None = None
    memory_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class GpuUsage:
    """One container's use of one card; `gpu` is the card's UUID, `seconds` the monotonic card-seconds."""

    subject: Subject
    gpu: str
    source: str
    utilisation: float | None = None
    memory_bytes: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests to one unit (a model inside a server), all counters since the server's start.

    `front` marks an observer of whole requests to the predictor (the executor's server side); its `unit` is empty.
    `requests` maps a code class (`code_class()`) to its count. A source without a histogram gives `time_sum_s` and
    `time_count` alone; with one, they are taken from it.
    """

    requests: Mapping[str, float]
    unit: str = ""
    version: str = ""
    transport: str = ""
    front: bool = False
    duration: Histogram | None = None
    time_sum_s: float | None = None
    time_count: float | None = None
    in_flight: float | None = None


@dataclass(frozen=True, slots=True)
class IngressTraffic:
    """Requests to one backend Service of one Ingress."""

    namespace: str
    ingress: str
    backend: str
    canary: str
    requests: Mapping[str, float]
    duration: Histogram | None = None


@dataclass(frozen=True, slots=True)
class ModelTraffic:
    """What one page of one container said; `front` when the container sees whole requests to its predictor."""

    subject: Subject
    source: str
    front: bool
    traffic: Sequence[Traffic]


@dataclass(frozen=True, slots=True)
class ControllerTraffic:
    """What the page of one Ingress controller's pod said."""

    controller: str
    traffic: Sequence[IngressTraffic]


@dataclass(frozen=True, slots=True, eq=False)
class FrontReading:
    """Whole requests to a predictor that one server counted since its start; `at` is when its page was read.

    `at` is the event loop's clock. The samples of the same page are rendered where it is read.
    """

    subject: Subject
    source: str
    at: float
    counts: Counts


Observation = ContainerUsage | GpuUsage | FrontReading | ControllerTraffic
"""What a source returns. A parser gives bare `Traffic`; the reader of the page knows whose it was."""


Row = tuple[str, str, float]
"""Suffix of the name (`_bucket`), the labels that its like shares (`le="0.1"`), and the value."""


class Sink(ABC):
    """Where samples go. The labels of one sample are its subject's, its *own*, and those *shared* with its like.

    Which are own and which are shared only matters to what a sink keeps; a line has them in this order.
    """

    __slots__ = ()

    def add(self, family: Family, subject: Subject, value: float, *labels: str) -> None:
        """Add one sample; `labels` are the values of `family.labels`, in order."""
        if len(labels) != len(family.labels):
            raise ValueError(f"{family.name} has the labels {family.labels}, not {len(labels)}")
        own = render_labels(family.labels[:-1], labels[:-1]) if len(labels) > 1 else ""
        shared = render_labels(family.labels[-1:], labels[-1:]) if labels else ""
        self._take(family, subject, own, [("", shared, value)])

    def add_own(self, family: Family, subject: Subject, value: float, *labels: str) -> None:
        """Add one sample with labels that hardly another object has."""
        self._take(family, subject, render_labels(family.labels, labels), [("", "", value)])

    def add_histogram(self, family: Family, subject: Subject, value: Histogram, *labels: str) -> None:
        """Add the buckets, sum and count of one histogram."""
        bounds = (*[repr(float(bound)) for bound in value.bounds_s], "+Inf")
        rows = [("_bucket", f'le="{bound}"', count) for bound, count in zip(bounds, value.cumulative, strict=True)]
        rows += [("_sum", "", value.sum_s), ("_count", "", value.cumulative[-1])]
        self._take(family, subject, render_labels(family.labels, labels), rows)

    def add_summary(self, family: Family, subject: Subject, total: float, count: float, *labels: str) -> None:
        """Add the sum and the count of a summary without quantiles."""
        rows = [("_sum", "", total), ("_count", "", count)]
        self._take(family, subject, render_labels(family.labels, labels), rows)

    def _take(self, family: Family, subject: Subject, own: str, rows: Sequence[Row]) -> None:
        if subject.scope is not family.scope:
            raise ValueError(f"{family.name} is about a {family.scope.name}, not a {subject.scope.name}")
        self._add_rows(family, f"{subject.text},{own}" if subject.text and own else subject.text or own, rows)

    @abstractmethod
    def _add_rows(self, family: Family, text: str, rows: Sequence[Row]) -> None:
        """Take the rows of one metric; `text` is the subject's and their own labels."""


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
