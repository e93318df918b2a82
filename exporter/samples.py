"""What sources hand over: samples as finished text, and observations as typed records.

A source implements `Source`: a name and `collect(deadline)`. It returns one `SourceResult`, holding
- *observations*: typed records (`ContainerUsage`, `GpuUsage`, `Traffic`, `IngressTraffic`) of what the JSON API and
  the 15-minute ring need too; `exporter/observed.py` turns them into samples, so a source never does both;
- *samples*: everything else, added to `Samples` as finished lines. A line costs about a microsecond to make and
  nothing to render; the page is a join.

A parser of a model server's page is a pure function `parse(page) -> list[Traffic]`: it knows nothing of pods. All
durations are seconds, all sizes bytes, all shares ratios, converted where they are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, isnan
from typing import Protocol

from exporter.families import Family, Scope
from milepost.identity import Identity

_ESCAPED = re.compile(r'[\\"\n]')
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}


def escape(value: str) -> str:
    """Return a label value as the text format writes it (backslash, quote and line feed escaped)."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], value)


def render_labels(names: Sequence[str], values: Sequence[str]) -> str:
    """Return `a="1",b="2"`, without braces."""
    return ",".join([f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True)])


def number(value: float) -> str:
    """Return a sample's value as the text formats write it, so that it reads back as the same number."""
    return repr(value) if isfinite(value) else "NaN" if isnan(value) else "+Inf" if value > 0 else "-Inf"


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


Observation = ContainerUsage | GpuUsage | ModelTraffic | ControllerTraffic
"""What a source returns. A parser gives bare `Traffic`; the reader of the page knows whose it was."""


class Samples:
    """Finished lines by family, in the order in which they came."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: dict[Family, list[str]] = {}

    def add(self, family: Family, subject: Subject, value: float, *labels: str) -> None:
        """Add one sample; `labels` are the values of `family.labels`, in order."""
        text = self._labels(family, subject, labels)
        self.add_lines(family, f"{family.name}{text} {number(value)}\n")

    def add_histogram(self, family: Family, subject: Subject, value: Histogram, *labels: str) -> None:
        """Add the buckets, sum and count of one histogram."""
        inner = self._labels(family, subject, labels)[1:-1]
        prefix = f"{family.name}_bucket{{{inner}," if inner else f"{family.name}_bucket{{"
        bounds = [repr(float(bound)) for bound in value.bounds_s] + ["+Inf"]
        rows = [f'{prefix}le="{le}"}} {number(n)}\n' for le, n in zip(bounds, value.cumulative, strict=True)]
        rows.append(f"{family.name}_sum{{{inner}}} {number(value.sum_s)}\n")
        rows.append(f"{family.name}_count{{{inner}}} {number(value.cumulative[-1])}\n")
        self.add_lines(family, "".join(rows))

    def add_summary(self, family: Family, subject: Subject, total: float, count: float, *labels: str) -> None:
        """Add the sum and the count of a summary without quantiles."""
        text = self._labels(family, subject, labels)
        self.add_lines(family, f"{family.name}_sum{text} {number(total)}\n{family.name}_count{text} {number(count)}\n")

    def add_lines(self, family: Family, lines: str) -> None:
        """Add samples that were rendered before; each line ends with a line feed."""
        self.lines.setdefault(family, []).append(lines)

    def extend(self, other: Samples) -> None:
        """Add all samples of another container."""
        for family, lines in other.lines.items():
            self.lines.setdefault(family, []).extend(lines)

    @staticmethod
    def _labels(family: Family, subject: Subject, labels: Sequence[str]) -> str:
        if subject.scope is not family.scope:
            raise ValueError(f"{family.name} is about a {family.scope.name}, not a {subject.scope.name}")
        if not family.labels:
            return f"{{{subject.text}}}" if subject.text else ""
        extra = render_labels(family.labels, labels)
        return f"{{{subject.text},{extra}}}" if subject.text else f"{{{extra}}}"


@dataclass(frozen=True, slots=True)
class SourceResult:
    """What one source gave at one collection.

    With an `error` (a short reason word) the source is down. What is not `shown` feeds the JSON API's history only: it
    is on another exporter's page. `failures` counts the reasons of a source of many pages,
    some of which failed; one that reads a single thing leaves it empty.
    """

    source: str
    duration_s: float
    samples: Samples = field(default_factory=Samples)
    observations: Sequence[Observation] = ()
    error: str = ""
    error_detail: str = ""
    age_s: float = 0.0
    failures: Mapping[str, int] = field(default_factory=dict)
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


GRPC_CODE_CLASS: Mapping[str, str] = {
    "OK": "2xx",
    "INVALID_ARGUMENT": "4xx", "NOT_FOUND": "4xx", "ALREADY_EXISTS": "4xx", "PERMISSION_DENIED": "4xx",
    "UNAUTHENTICATED": "4xx", "FAILED_PRECONDITION": "4xx", "OUT_OF_RANGE": "4xx", "CANCELLED": "4xx",
    "RESOURCE_EXHAUSTED": "4xx", "ABORTED": "4xx",
    "UNKNOWN": "5xx", "DEADLINE_EXCEEDED": "5xx", "UNIMPLEMENTED": "5xx", "INTERNAL": "5xx", "UNAVAILABLE": "5xx",
    "DATA_LOSS": "5xx",
}  # fmt: skip
"""gRPC codes as HTTP classes, after the mapping of google.rpc.Code; names compare without case and underscores."""

_GRPC_BY_FOLDED_NAME = {name.replace("_", "").lower(): klass for name, klass in GRPC_CODE_CLASS.items()}


def code_class(code: str) -> str:
    """Return `1xx`...`5xx` of an HTTP status or a gRPC code (`OK`, `DeadlineExceeded`, `NOT_FOUND`); else `other`."""
    if len(code) == 3 and code[0] in "12345":
        return f"{code[0]}xx"
    return _GRPC_BY_FOLDED_NAME.get(code.replace("_", "").lower(), "other")
