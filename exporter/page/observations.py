"""What sources observe, as typed records that the JSON API and the 15-minute ring need too.

`exporter/history/observed.py` turns them into samples, so a source never does both (of a `FrontReading` the samples are
made when the page is read, for pages are kept). A parser of a model server's page is a pure function `parse(page) ->
list[Traffic]`: it knows nothing of pods. All durations are seconds, all sizes bytes, all shares ratios, converted where
they are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.page.counts import Counts
from exporter.page.sink import Histogram, Subject


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
