"""The JSON API's answers: pods and models as the cluster has them, with the ring's figures. Pure.

Every figure is that of the newest point of the ring (see `at` and `interval_s` of the answer); null means that no
source told it, never zero. Histories are lists as long as `times`, oldest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan

import msgspec

from exporter.cluster import Cluster, PredictorState
from exporter.cluster.podindex import Shard
from exporter.cluster.pods import ContainerEntry, PodEntry
from exporter.history.ring import POD_FIELDS, Ring
from exporter.sources.discovery import ENGINE_CONTAINER

Series = Mapping[str, Sequence[float | None]]


class PodView(msgspec.Struct, frozen=True, kw_only=True):
    """One pod."""

    namespace: str
    pod: str
    model: str
    predictor: str
    node: str
    phase: str
    ready: bool
    reason: str
    restarts: int
    last_termination: str
    cpu_limit_cores: float | None
    memory_limit_bytes: float | None
    gpu_request_cards: float
    gpu_request_memory_bytes: float
    now: Mapping[str, float | None]
    history: Series | None


class WindowView(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted in the last `window` seconds that were asked for; `seconds` is how many of them were heard.

    The quantiles are of all these requests together, None where one of the servers keeps no histogram.
    """

    seconds: float
    requests: float
    errors: float
    requests_per_second: float
    error_ratio: float | None
    mean_s: float | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


class PredictorView(msgspec.Struct, frozen=True, kw_only=True):
    """One predictor of a model."""

    name: str
    replicas_wanted: int | None
    replicas_available: int
    traffic_weight: float | None
    now: Mapping[str, float | None]
    window: WindowView | None
    history: Series | None


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """One model; `now` and `history` have its traffic and, added up, what its pods use.

    `images` are those of its containers, the orchestrator's left out.
    """

    namespace: str
    model: str
    state: str
    description: str
    pods: int
    pods_not_ready: Mapping[str, int]
    ingresses: Sequence[str]
    images: Sequence[str] = ()
    predictors: Sequence[PredictorView]
    now: Mapping[str, float | None]
    window: WindowView | None
    history: Series | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A page of pods or models; `next` continues behind the last one, empty at the end.

    Of several `shards` each knows the traffic of its own pods' pages only.
    """

    shard: int = 0
    shards: int = 1
    at: float | None
    interval_s: float
    times: Sequence[float]
    items: Sequence[PodView | ModelView]
    next: str


def answer(ring: Ring, shard: Shard, items: Sequence[PodView | ModelView], following: str) -> Answer:
    """Return the frame around items."""
    times = ring.times()
    return Answer(
        shard=shard.index,
        shards=shard.count,
        at=times[-1] if times else None,
        interval_s=ring.interval_s,
        times=times,
        items=items,
        next=following,
    )


def pod_view(entry: PodEntry, ring: Ring, *, history: bool) -> PodView:
    """Return one pod."""
    who = entry.subject.identity
    now, past = _figures(ring.pods.read((who.namespace, who.pod), ring.ticks()), history=history)
    gpus = [container.gpu for container in entry.containers if container.gpu]
    return PodView(
        namespace=who.namespace,
        pod=who.pod,
        model=who.model,
        predictor=who.predictor,
        node=who.node,
        phase=entry.phase,
        ready=entry.ready,
        reason=entry.reason,
        restarts=sum(container.restarts for container in entry.containers),
        last_termination=next((c.last_termination for c in entry.containers if c.last_termination), ""),
        cpu_limit_cores=_limit(container.cpu_limit for container in entry.containers),
        memory_limit_bytes=_limit(container.memory_limit for container in entry.containers),
        gpu_request_cards=sum(gpu.cards for gpu in gpus),
        gpu_request_memory_bytes=sum(gpu.memory_bytes for gpu in gpus),
        now=now,
        history=past,
    )


def model_views(
    cluster: Cluster, keys: Sequence[tuple[str, str]], ring: Ring, *, history: bool, window_s: float
) -> list[ModelView]:
    """Return these models, in the order of `keys` (namespace, model)."""
    facts = _Facts(cluster, ring, history, window_s, cluster.ready_replicas(), {key: [] for key in keys}, {})
    for entry in cluster.pods:
        who = entry.subject.identity
        if (who.namespace, who.model) in facts.pods:
            facts.pods[who.namespace, who.model].append(entry)
    for route in cluster.routes():
        facts.ingresses.setdefault((route.namespace, route.model), set()).add(route.ingress)
    return [_model_view(facts, key) for key in keys]


def model_keys(cluster: Cluster) -> set[tuple[str, str]]:
    """Return (namespace, model) of every SeldonDeployment and of every pod that serves a model."""
    declared = {(model.metadata.namespace, model.metadata.name) for model in cluster.models}
    serving = {(e.subject.identity.namespace, e.subject.identity.model) for e in cluster.pods}
    return declared | {key for key in serving if key[1]}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What all views of one answer share."""

    cluster: Cluster
    ring: Ring
    history: bool
    window_s: float
    ready: Mapping[tuple[str, str, str], int]
    pods: dict[tuple[str, str], list[PodEntry]]
    ingresses: dict[tuple[str, str], set[str]]


def _model_view(facts: _Facts, key: tuple[str, str]) -> ModelView:
    model, pods = facts.cluster.models.get(*key), facts.pods[key]
    ticks = facts.ring.ticks()
    used = [facts.ring.pods.read((key[0], entry.subject.identity.pod), ticks) for entry in pods]
    traffic = facts.ring.models.read((*key, ""), ticks)
    now, past = _figures({**traffic, **summed(used)}, history=facts.history)
    states = {state.name: state for state in facts.cluster.predictors(model, facts.ready)} if model else {}
    names = dict.fromkeys([*states, *sorted({entry.subject.identity.predictor for entry in pods})])
    return ModelView(
        namespace=key[0],
        model=key[1],
        state=model.status.state if model else "",
        description=model.status.description if model else "",
        pods=len(pods),
        pods_not_ready=Counter(entry.reason for entry in pods if entry.reason),
        ingresses=sorted(facts.ingresses.get(key, ())),
        images=sorted({c.image for e in pods for c in e.containers if c.image and not _is_orchestrator(c)}),
        predictors=[_predictor_view(facts, (*key, name), states.get(name)) for name in names],
        now=now,
        window=_window(facts, (*key, "")),
        history=past,
    )


def _predictor_view(facts: _Facts, key: tuple[str, str, str], state: PredictorState | None) -> PredictorView:
    now, past = _figures(facts.ring.models.read(key, facts.ring.ticks()), history=facts.history)
    return PredictorView(
        name=key[2],
        replicas_wanted=state.wanted if state else None,
        replicas_available=facts.ready.get(key, 0),
        traffic_weight=state.weight if state else None,
        now=now,
        window=_window(facts, key),
        history=past,
    )


def _window(facts: _Facts, key: tuple[str, str, str]) -> WindowView | None:
    found = facts.ring.window(key, facts.window_s)
    if found is None:
        return None
    rate = found.total.requests / found.seconds
    figures = {name: None if isnan(value) else value for name, value in asdict(found.total.point(rate)).items()}
    return WindowView(
        seconds=found.seconds,
        requests=found.total.requests,
        errors=found.total.errors,
        requests_per_second=rate,
        error_ratio=figures["error_ratio"],
        mean_s=figures["mean_s"],
        p50_s=figures["p50_s"],
        p95_s=figures["p95_s"],
        p99_s=figures["p99_s"],
    )


def _is_orchestrator(container: ContainerEntry) -> bool:
    return container.subject.identity.container == ENGINE_CONTAINER


def summed(pods: Sequence[Series]) -> Series:
    """Return the sum of the pods' series point by point; a point that no pod knows stays unknown."""
    return {
        name: [
            sum(known) if (known := [value for value in values if value is not None]) else None
            for values in zip(*(pod[name] for pod in pods), strict=True)
        ]
        for name in POD_FIELDS
    }


def _figures(series: Series, *, history: bool) -> tuple[Mapping[str, float | None], Series | None]:
    now = {name: values[-1] if values else None for name, values in series.items()}
    return now, series if history else None


def _limit(limits: Iterable[float | None]) -> float | None:
    """Return the sum of the containers' limits; None when one of them has none, for the pod is then unlimited."""
    known = list(limits)
    return None if not known or None in known else sum(limit for limit in known if limit is not None)
