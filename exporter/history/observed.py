"""Observations as samples: the one place that decides which family a figure belongs to. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from exporter.cluster.podindex import PodIndex
from exporter.page import families as fam
from exporter.page.family import Scope, Vantage
from exporter.page.observations import (
    ContainerUsage,
    ControllerTraffic,
    GpuUsage,
    IngressTraffic,
    ModelTraffic,
    Observation,
    Traffic,
)
from exporter.page.samples import Samples
from exporter.page.sink import Histogram, Sink, Subject
from exporter.sources.discovery import ENGINE_CONTAINER
from milepost.identity import Identity

ServiceKey = tuple[str, str]


def add_usage(out: Samples, usage: ContainerUsage, pods: PodIndex, cores: float | None) -> None:
    """Add CPU and memory of one container; `cores` is its CPU use since the previous collection, where known."""
    subject, memory = usage.subject, usage.memory_bytes
    if usage.cpu_seconds is None:
        if usage.cpu_cores is not None:
            out.add(fam.CPU_CORES, subject, usage.cpu_cores)
        if memory is not None:
            out.add(fam.MEMORY_USAGE, subject, memory)
        return
    who = subject.identity
    container = pods.container(who.namespace, who.pod, who.container)
    out.add(fam.CPU_SECONDS, subject, usage.cpu_seconds)
    if cores is not None and container and container.cpu_limit:
        out.add(fam.CPU_LIMIT_RATIO, subject, cores / container.cpu_limit)
    if memory is not None:
        out.add(fam.MEMORY_WORKING_SET, subject, memory)
        if container and container.memory_limit:
            out.add(fam.MEMORY_LIMIT_RATIO, subject, memory / container.memory_limit)


def add_gpu(out: Samples, usage: GpuUsage) -> None:
    """Add one container's use of one card."""
    for family, value in (
        (fam.GPU_UTILISATION, usage.utilisation),
        (fam.GPU_MEMORY_USED, usage.memory_bytes),
        (fam.GPU_SECONDS, usage.seconds),
    ):
        if value is not None:
            out.add(family, usage.subject, value, usage.gpu, usage.source)


def add_model(out: Sink, observed: ModelTraffic) -> None:
    """Add what one model server's page said: at its units, and at the model's front."""
    for traffic in observed.traffic:
        if not traffic.front:
            labels = (observed.source, traffic.unit, traffic.version, traffic.transport)
            _add_traffic(out, fam.AT_UNIT, observed.subject, traffic, labels)
    for transport, traffic in front_traffic(observed).items():
        _add_traffic(out, fam.AT_MODEL, observed.subject, traffic, (observed.source, transport))


def add_controller(out: Samples, observed: ControllerTraffic, behind: Mapping[ServiceKey, tuple[str, str]]) -> None:
    """Add what one Ingress controller said of the Ingresses that lead to a model."""
    for traffic in observed.traffic:
        model, predictor = behind.get((traffic.namespace, serving_service(traffic)), ("", ""))
        if model:
            subject = Subject.of(Identity(traffic.namespace, model, predictor), Scope.PREDICTOR)
            labels = (traffic.ingress, traffic.backend, traffic.canary, observed.controller)
            _add_requests(out, fam.AT_INGRESS, subject, traffic, labels)


def backends(observations: Iterable[Observation]) -> set[ServiceKey]:
    """Return the Services that Ingress controllers sent requests to."""
    return {
        (traffic.namespace, serving_service(traffic))
        for observed in observations
        if isinstance(observed, ControllerTraffic)
        for traffic in observed.traffic
    }


def serving_service(traffic: IngressTraffic) -> str:
    """Return the Service that answered: the canary's where a canary did.

    ingress-nginx keeps the main Service in `backend` and names the canary's upstream `<namespace>-<service>-<port>`
    (`internal/ingress/controller/controller.go`, upstreamName).
    """
    if not traffic.canary:
        return traffic.backend
    return traffic.canary.removeprefix(f"{traffic.namespace}-").rpartition("-")[0]


def front_traffic(observed: ModelTraffic) -> Mapping[str, Traffic]:
    """Return whole requests to the predictor that this page saw, by transport; empty when it sees no whole requests.

    The orchestrator tells its own requests from its calls to units. Any other server at the front sees whole requests
    to all its units, so they are added up.
    """
    fronts = [traffic for traffic in observed.traffic if traffic.front]
    if not fronts and observed.front and observed.subject.identity.container != ENGINE_CONTAINER:
        fronts = list(observed.traffic)
    by_transport: defaultdict[str, list[Traffic]] = defaultdict(list)
    for traffic in fronts:
        by_transport[traffic.transport].append(traffic)
    return {transport: _total(each) for transport, each in by_transport.items()}


def time_of(traffic: Traffic) -> tuple[float, float] | None:
    """Return (seconds, requests) that were timed, None where the source times nothing."""
    if traffic.duration is not None:
        return traffic.duration.sum_s, traffic.duration.cumulative[-1]
    if traffic.time_sum_s is not None and traffic.time_count is not None:
        return traffic.time_sum_s, traffic.time_count
    return None


def _total(parts: Sequence[Traffic]) -> Traffic:
    if len(parts) == 1:
        return parts[0]
    requests: Counter[str] = Counter()
    for part in parts:
        requests.update(part.requests)
    times = [time for part in parts if (time := time_of(part)) is not None]
    flying = [part.in_flight for part in parts if part.in_flight is not None]
    return Traffic(
        requests,
        transport=parts[0].transport,
        front=True,
        duration=_total_duration([part.duration for part in parts]),
        time_sum_s=sum(seconds for seconds, _ in times) if times else None,
        time_count=sum(count for _, count in times) if times else None,
        in_flight=sum(flying) if flying else None,
    )


def _total_duration(parts: Sequence[Histogram | None]) -> Histogram | None:
    """Add histograms up; there is no honest sum when one is missing or has other bounds."""
    known = [part for part in parts if part is not None]
    if len(known) != len(parts) or len({part.bounds_s for part in known}) != 1:
        return None
    cumulative = tuple(map(sum, zip(*(part.cumulative for part in known), strict=True)))
    return Histogram(known[0].bounds_s, cumulative, sum(part.sum_s for part in known))


def _add_traffic(out: Sink, families: Vantage, subject: Subject, traffic: Traffic, labels: tuple[str, ...]) -> None:
    _add_requests(out, families, subject, traffic, labels)
    if traffic.duration is None and (time := time_of(traffic)) is not None:
        out.add_summary(families.time, subject, *time, *labels)
    if traffic.in_flight is not None:
        out.add(families.in_flight, subject, traffic.in_flight, *labels)


def _add_requests(
    out: Sink, families: Vantage, subject: Subject, traffic: Traffic | IngressTraffic, labels: tuple[str, ...]
) -> None:
    for code_class, count in traffic.requests.items():
        out.add(families.requests, subject, count, *labels, code_class)
    if traffic.duration is not None:
        out.add_histogram(families.duration, subject, traffic.duration, *labels)
        out.add_summary(families.time, subject, traffic.duration.sum_s, traffic.duration.cumulative[-1], *labels)
