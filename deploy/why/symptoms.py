"""What keeps a model from serving, as it can be seen: the evidence, and what looks for one thing in it. Pure.

A matcher quotes the pod, the container and the message that it rests on; nothing is guessed. `deploy.why` says in which
order they are asked and what to do about each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from deploy.objects.pods import PREFLIGHT
from deploy.seen.podkinds import Container, Ended, Event, Pod
from deploy.why.timeline import unix

RECENT_S = 3600
"""How long the end of a container that is ready again is told: as long as the cluster keeps its events."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the rules look at.

    `routed` holds (route, Service, ready endpoints of it) as the live routes are, `missing` the wanted routes that are
    not there, `conflicts` what other Ingresses do to them, `unseen` what the caller may not look at. `idle` are
    predictors without a replica, `unsettled` (predictor, what it lacks). `now` is in Unix seconds.
    """

    state: str
    description: str
    pods: tuple[Pod, ...]
    events: tuple[Event, ...]
    complaints: tuple[str, ...]
    routed: tuple[tuple[str, str, int], ...]
    operation: str = ""
    exists: bool = True
    missing: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    unsettled: tuple[tuple[str, str], ...] = ()
    now: float = 0.0

    @property
    def standing(self) -> tuple[Pod, ...]:
        """The pods that are not on their way out: those end as they are told to."""
        return tuple(pod for pod in self.pods if pod.metadata.deletion_timestamp is None)


Match = tuple[str, str, str, str]
"""(about, found, pod, container); the last two are empty where there is no log to read."""
Matches = Callable[[Evidence], Iterator[Match]]


def ended(test: Callable[[Ended], bool], of: Literal["servers", "initializers", "preflight"] = "servers") -> Matches:
    """Match containers of this kind by how they ended."""

    def matches(evidence: Evidence) -> Iterator[Match]:
        for pod in evidence.standing:
            for container in _containers(pod, of):
                end = container.ended
                if end is None or not test(end) or _forgotten(container, end, evidence.now):
                    continue
                text = f"exit code {end.exit_code} {end.reason} {end.message}".strip()
                again = f" (ready again, {container.restart_count} restarts)" if container.ready else ""
                yield f"{pod.metadata.name}/{container.name}", text + again, pod.metadata.name, container.name

    return matches


def _containers(pod: Pod, of: str) -> list[Container]:
    if of == "servers":
        return pod.status.container_statuses
    return [one for one in pod.status.init_container_statuses if (one.name == PREFLIGHT) == (of == "preflight")]


def _forgotten(container: Container, end: Ended, now: float) -> bool:
    return container.ready and unix(end.finished_at) < now - RECENT_S


def waiting(*reasons: str) -> Matches:
    """Match containers that wait for one of these reasons."""

    def matches(evidence: Evidence) -> Iterator[Match]:
        for pod in evidence.standing:
            for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
                wait = container.state.waiting
                if wait is not None and wait.reason in reasons:
                    yield f"{pod.metadata.name}/{container.name}", f"{wait.reason}: {wait.message}", "", ""

    return matches


def said(pattern: str, *, reasons: tuple[str, ...] = ()) -> Matches:
    """Match a warning event, an unscheduled pod, a pod's own message or a Deployment's complaint."""
    wanted = re.compile(pattern, re.IGNORECASE)

    def matches(evidence: Evidence) -> Iterator[Match]:
        for event in evidence.events:
            if (event.type != "Normal" and wanted.search(event.message)) and (not reasons or event.reason in reasons):
                about = event.involved_object
                log_of = about.name if about.container else ""
                yield f"{about.kind} {about.name}", event.message, log_of, about.container
        if reasons:
            return
        for pod in evidence.standing:
            texts = [pod.status.message, *(item.message for item in pod.status.conditions if item.status == "False")]
            for text in texts:
                if text and wanted.search(text):
                    yield f"Pod {pod.metadata.name}", text, "", ""
        for complaint in evidence.complaints:
            if wanted.search(complaint):
                yield complaint.split(":")[0], complaint, "", ""

    return matches


def no_endpoints(evidence: Evidence) -> Iterator[Match]:
    """Match live routes that lead to nobody."""
    for route, service, endpoints in evidence.routed:
        if not endpoints:
            yield route, f"Service {service} has no ready endpoint: callers get 503", "", ""


def not_merged(evidence: Evidence) -> Iterator[Match]:
    """Match canaries that ingress-nginx gives no requests, by our own routes or by those of others."""
    mains = {service for route, service, _ in evidence.routed if not route.endswith("-canary")}
    for route, service, _ in evidence.routed:
        if route.endswith("-canary") and service in mains:
            yield route, f"its Service {service} is the main backend too, so it gets no requests", "", ""
    for conflict in evidence.conflicts:
        yield "another Ingress", conflict, "", ""


def untouched(evidence: Evidence) -> Iterator[Match]:
    """Match a SeldonDeployment that no controller has looked at."""
    if evidence.exists and not (evidence.state or evidence.pods or evidence.complaints):
        yield "SeldonDeployment", "it has no status and no pods", "", ""


def evicted(evidence: Evidence) -> Iterator[Match]:
    """Match pods that the node put out."""
    for pod in evidence.standing:
        if pod.status.reason == "Evicted":
            yield f"Pod {pod.metadata.name}", pod.status.message or "Evicted", "", ""


def idle(evidence: Evidence) -> Iterator[Match]:
    """Match predictors that want no replica."""
    for predictor in evidence.idle:
        yield f"predictor {predictor}", "it has 0 replicas", "", ""


def unsettled(evidence: Evidence) -> Iterator[Match]:
    """Match predictors that are not all there yet."""
    for predictor, text in evidence.unsettled:
        yield f"predictor {predictor}", text, "", ""


def unseen(evidence: Evidence) -> Iterator[Match]:
    """Yield what was not looked at where it could matter: other Ingresses decide whether a canary is merged."""
    if any(route.endswith("-canary") for route, _, _ in evidence.routed):
        for what in evidence.unseen:
            yield what, "you may not list them", "", ""


def no_route(evidence: Evidence) -> Iterator[Match]:
    """Match wanted routes that are not on the cluster."""
    for route in evidence.missing if evidence.exists else ():
        yield route, "it does not exist on the cluster", "", ""


def refused(evidence: Evidence) -> Iterator[Match]:
    """Match an operation that an admission webhook or policy refused."""
    # "denied the request" is a webhook's word, "denied request" that of a ValidatingAdmissionPolicy.
    if re.search("denied (the )?request|admission webhook", evidence.operation):
        yield "the last operation", evidence.operation, "", ""


def out_of_memory(end: Ended) -> bool:
    """Whether the kernel ended it for the memory it took."""
    return end.reason == "OOMKilled" or (end.exit_code == 137 and "OOM" in end.message)


def killed(end: Ended) -> bool:
    """Whether a signal from outside ended it."""
    return end.exit_code in (137, 143) and not out_of_memory(end)


def failed_state(evidence: Evidence) -> Iterator[Match]:
    """Match what Seldon itself calls failed."""
    if evidence.state == "Failed":
        yield "SeldonDeployment", evidence.description or "state Failed", "", ""


def absent(evidence: Evidence) -> Iterator[Match]:
    """Match a model that is written down and not there."""
    if not evidence.exists:
        yield "SeldonDeployment", "it does not exist on the cluster", "", ""
