"""A pod as the exporter keeps it: its subjects, its pages, and its state as a block of samples. Pure.

The raw object is dropped once `PodEntry` is made. A pod's samples (`exporter.cluster.podlines`) are made when the pod
changes, not when it is scraped. Names that many pods have in common are held once.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.cluster.gpu_request import GpuRequest, gpu_request, quantity
from exporter.cluster.targets import PageTarget, node_exporter_page, page_targets
from exporter.objects import Container, ContainerStatus, Pod, Terminated
from exporter.page.blocks import Block
from exporter.page.family import Scope
from exporter.page.sink import Subject
from exporter.sources.discovery import ENGINE_CONTAINER
from milepost.identity import APP_LABEL_V1, Identity, model_and_predictor

ILLEGAL_INSTRUCTION_EXIT = 132
"""128 + SIGILL: the binary uses CPU instructions that the node lacks (AVX in TensorFlow's)."""

_EXPLAINER_LABEL = "seldon.io/explainer"
_FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class ContainerEntry:
    """One container: whom to attribute to, and what the ratios and the JSON API need. None: not set."""

    subject: Subject
    image: str
    container_id: str
    cpu_limit: float | None
    memory_limit: float | None
    gpu: GpuRequest | None
    restarts: int
    last_termination: str


@dataclass(frozen=True, slots=True)
class PodEntry:
    """One pod; `replica` is false for what is no replica of a predictor (orchestrator alone, explainer, finished)."""

    uid: str
    subject: Subject
    app: str
    phase: str
    ready: bool
    reason: str
    replica: bool
    containers: tuple[ContainerEntry, ...]
    targets: tuple[PageTarget, ...]
    node_exporter_page: str
    state: Block | None


def pod_entry(pod: Pod) -> PodEntry:
    """Return what is kept of a pod, without its state."""
    meta, labels = pod.metadata, pod.metadata.labels or {}
    model, predictor = model_and_predictor(labels)
    namespace, model, predictor, node = map(sys.intern, (meta.namespace, model, predictor, pod.spec.node_name))
    identity = Identity(namespace, model, predictor, meta.name, "", node)
    subject = Subject.of(identity, Scope.POD)
    statuses = container_statuses(pod)
    specs = spec_containers(pod)
    subjects = {name: _container_subject(identity, name) for name in (*specs, *statuses)}
    entries = tuple(_container_entry(pod, name, subjects[name], specs, statuses) for name in subjects)
    ready = any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ())
    reason = "" if ready or pod.status.phase == "Succeeded" else not_ready_reason(pod)
    return PodEntry(
        uid=meta.uid,
        subject=subject,
        app=sys.intern(labels.get(APP_LABEL_V1, "")),
        phase=sys.intern(pod.status.phase),
        ready=ready,
        reason=reason,
        replica=_is_replica(pod, labels),
        containers=entries,
        targets=page_targets(pod, subjects),
        node_exporter_page=node_exporter_page(pod),
        state=None,
    )


def not_ready_reason(pod: Pod) -> str:
    """Return the most telling reason word: a container's, else the pod's, else a condition's, else the phase."""
    for status in container_statuses(pod).values():
        if status.state and status.state.waiting and status.state.waiting.reason not in ("", "PodInitializing"):
            return status.state.waiting.reason
    for status in container_statuses(pod).values():
        if status.state and status.state.terminated and status.state.terminated.exit_code:
            return termination_reason(status.state.terminated)
    if pod.metadata.deletion_timestamp:
        return "Terminating"
    if pod.status.reason:
        return pod.status.reason
    false = [c for c in pod.status.conditions or () if c.status == "False" and c.reason]
    by_type = {c.type: c.reason for c in false}
    for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready"):
        if kind in by_type:
            return by_type[kind]
    return pod.status.phase or "Unknown"


def termination_reason(ended: Terminated) -> str:
    """Return the reason a container ended, with exit code 132 named for what it is."""
    if ended.exit_code == ILLEGAL_INSTRUCTION_EXIT and ended.reason in ("", "Error"):
        return "IllegalInstruction"
    return ended.reason or ("Completed" if ended.exit_code == 0 else "Error")


def spec_containers(pod: Pod) -> dict[str, tuple[int, Container]]:
    """Return the containers and sidecars by name, with the container's index in the spec (-1 for a sidecar)."""
    sidecars = [c for c in pod.spec.init_containers or () if c.restart_policy == "Always"]
    indexed = list(enumerate(pod.spec.containers)) + [(-1, sidecar) for sidecar in sidecars]
    return {container.name: (index, container) for index, container in indexed}


def container_statuses(pod: Pod) -> dict[str, ContainerStatus]:
    """Return the statuses of all containers by name, the init and ephemeral ones too."""
    status = pod.status
    groups = (status.container_statuses, status.init_container_statuses, status.ephemeral_container_statuses)
    return {each.name: each for group in groups for each in group or ()}


def _container_subject(pod: Identity, name: str) -> Subject:
    identity = Identity(pod.namespace, pod.model, pod.predictor, pod.pod, sys.intern(name), pod.node)
    return Subject.of(identity, Scope.CONTAINER)


def _container_entry(
    pod: Pod,
    name: str,
    subject: Subject,
    specs: Mapping[str, tuple[int, Container]],
    statuses: Mapping[str, ContainerStatus],
) -> ContainerEntry:
    index, container = specs.get(name, (-1, Container()))
    limits = container.resources.limits if container.resources else None
    status = statuses.get(name, ContainerStatus())
    ended = last_ended(status)
    return ContainerEntry(
        subject,
        image=sys.intern(container.image),
        container_id=status.container_id.partition("://")[2],
        cpu_limit=quantity(limits, "cpu"),
        memory_limit=quantity(limits, "memory"),
        gpu=gpu_request(limits, pod.metadata.annotations or {}, index),
        restarts=status.restart_count,
        last_termination=termination_reason(ended) if ended else "",
    )


def _is_replica(pod: Pod, labels: Mapping[str, str]) -> bool:
    orchestrator_alone = [c.name for c in pod.spec.containers] == [ENGINE_CONTAINER]
    return pod.status.phase not in _FINISHED and not orchestrator_alone and labels.get(_EXPLAINER_LABEL) != "true"


def last_ended(status: ContainerStatus) -> Terminated | None:
    """Return how the container ended, now or the last time; None when it never did."""
    if status.state and status.state.terminated:
        return status.state.terminated
    return status.last_state.terminated if status.last_state else None
