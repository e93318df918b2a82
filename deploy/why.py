"""Why a model does not serve: a table of rules over what the cluster shows, with what to do about each.

Every rule is a row: what it looks at, when it holds, and what to do. Nothing is guessed: a finding quotes the pod, the
container and the message that it rests on. Rules are in the order of the way to a serving model, so the first finding
is the one to begin with. Exit code 132 is 128 + SIGILL (4): the server's binary needs CPU instructions that the node
lacks, as TensorFlow's official builds do without AVX (tensorflow/tensorflow #18147).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deploy.podkinds import Ended, Event, Pod


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the rules look at; `routed` holds (route, Service, ready endpoints of it) as the live routes are, `missing`
    the wanted routes that are not there, `conflicts` what other Ingresses do to them."""

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


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason: the rule, what it was found on, the words found there, what to do, and whose log to read."""

    rule: str
    about: str
    found: str
    todo: str
    pod: str = ""
    container: str = ""


Matches = Callable[[Evidence], Iterator[tuple[str, str, str, str]]]
"""Yields (about, found, pod, container)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table."""

    name: str
    matches: Matches
    todo: str


def why(evidence: Evidence) -> tuple[Finding, ...]:
    """Return every finding, in the order of the table; the same thing about the same object is told once."""
    found: dict[tuple[str, str], Finding] = {}
    for rule in RULES:
        for about, text, pod, container in rule.matches(evidence):
            found.setdefault((rule.name, about), Finding(rule.name, about, text, rule.todo, pod, container))
    return tuple(found.values())


def _ended(test: Callable[[Ended], bool], *, init: bool = False) -> Matches:
    def matches(evidence: Evidence) -> Iterator[tuple[str, str, str, str]]:
        for pod in evidence.pods:
            for container in pod.status.init_container_statuses if init else pod.status.container_statuses:
                ended = container.ended
                if ended is not None and test(ended):
                    text = f"exit code {ended.exit_code} {ended.reason} {ended.message}".strip()
                    yield f"{pod.metadata.name}/{container.name}", text, pod.metadata.name, container.name

    return matches


def _waiting(*reasons: str) -> Matches:
    def matches(evidence: Evidence) -> Iterator[tuple[str, str, str, str]]:
        for pod in evidence.pods:
            for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
                waiting = container.state.waiting
                if waiting is not None and waiting.reason in reasons:
                    yield f"{pod.metadata.name}/{container.name}", f"{waiting.reason}: {waiting.message}", "", ""

    return matches


def _said(pattern: str, *, reasons: tuple[str, ...] = ()) -> Matches:
    """Match a warning event, an unscheduled pod, a pod's own message or a Deployment's complaint."""
    wanted = re.compile(pattern, re.IGNORECASE)

    def matches(evidence: Evidence) -> Iterator[tuple[str, str, str, str]]:
        for event in evidence.events:
            if (event.type != "Normal" and wanted.search(event.message)) and (not reasons or event.reason in reasons):
                yield f"{event.involved_object.kind} {event.involved_object.name}", event.message, "", ""
        if reasons and "FailedScheduling" not in reasons:
            return
        for pod in evidence.pods:
            texts = [pod.status.message, *(item.message for item in pod.status.conditions if item.status == "False")]
            for text in texts:
                if text and wanted.search(text):
                    yield f"Pod {pod.metadata.name}", text, "", ""
        for complaint in evidence.complaints:
            if wanted.search(complaint):
                yield complaint.split(":")[0], complaint, "", ""

    return matches


def _no_endpoints(evidence: Evidence) -> Iterator[tuple[str, str, str, str]]:
    for route, service, endpoints in evidence.routed:
        if not endpoints:
            yield route, f"Service {service} has no ready endpoint: callers get 503", "", ""


def _not_merged(evidence: Evidence) -> Iterator[tuple[str, str, str, str]]:
    mains = {service for route, service, _ in evidence.routed if not route.endswith("-canary")}
    for route, service, _ in evidence.routed:
        if route.endswith("-canary") and service in mains:
            yield route, f"its Service {service} is the main backend too, so it gets no requests", "", ""
    for conflict in evidence.conflicts:
        yield "another Ingress", conflict, "", ""


def _no_route(evidence: Evidence) -> Iterator[tuple[str, str, str, str]]:
    for route in evidence.missing if evidence.exists else ():
        yield route, "it does not exist on the cluster", "", ""


def _refused(evidence: Evidence) -> Iterator[tuple[str, str, str, str]]:
    # "denied the request" is a webhook's word, "denied request" that of a ValidatingAdmissionPolicy.
    if re.search("denied (the )?request|admission webhook", evidence.operation):
        yield "the last operation", evidence.operation, "", ""


def _failed_state(evidence: Evidence) -> Iterator[tuple[str, str, str, str]]:
    if evidence.state == "Failed":
        yield "SeldonDeployment", evidence.description or "state Failed", "", ""


def _absent(evidence: Evidence) -> Iterator[tuple[str, str, str, str]]:
    if not evidence.exists:
        yield "SeldonDeployment", "it does not exist on the cluster", "", ""


RULES: tuple[Rule, ...] = (
    Rule("webhook refused", _refused, "change what the message names; `milepost model diff` shows it beforehand"),
    Rule("not deployed", _absent, "`milepost model converge` applies what is written down"),
    Rule(
        "quota",
        _said(r"exceeded quota"),
        "ask for less in `resources` or `gpu`, remove something else, or have the ResourceQuota raised",
    ),
    Rule(
        "no free GPU block",
        _said(r"vcuda|no free node|cores or memory is zero|ExceedsGPUQuota|nvidia\.com/gpu"),
        "ask for a smaller `gpu` share, free a card, or add GPU nodes; a share needs cores and memory",
    ),
    Rule(
        "no node fits",
        _said(r"nodes are available|didn't match Pod's node affinity|Insufficient (cpu|memory)"),
        "compare `resources`, `nodeSelector` and `cpuFeatures` with the nodes; "
        "AVX2 is asked of TensorFlow by node-feature-discovery's label",
    ),
    Rule(
        "image pull",
        _waiting("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
        "check the image's name and tag, and the pull secret of the ServiceAccount",
    ),
    Rule(
        "configuration of a container",
        _waiting("CreateContainerConfigError", "CreateContainerError"),
        "a Secret or key that the spec refers to is missing in the namespace",
    ),
    Rule(
        "initializer failed",
        _ended(lambda ended: ended.exit_code != 0, init=True),
        "the message is the initializer's own: check `modelUri`, `storage.secret` and that the folder is not empty",
    ),
    Rule(
        "no AVX",
        _ended(lambda ended: ended.exit_code == 132),
        "illegal instruction: set `cpuFeatures: [AVX2]` and `cpuCheck: affinity`, or use an image built without AVX",
    ),
    Rule(
        "out of memory",
        _ended(lambda ended: ended.reason == "OOMKilled" or (ended.exit_code == 137 and "OOM" in ended.message)),
        "raise `resources.limits.memory`: loading often needs more than serving",
    ),
    Rule(
        "a probe kills a slow loader",
        _said(r"(startup|liveness) probe failed", reasons=("Unhealthy",)),
        "raise `probes.startupSeconds` above the time that loading takes",
    ),
    Rule(
        "the server crashes",
        _ended(lambda ended: ended.exit_code not in (0, 132, 137, 143) and ended.reason != "OOMKilled"),
        "read the log below; the exit code is the server's own",
    ),
    Rule(
        "canary not merged",
        _not_merged,
        "a canary's Service may be the main backend of no Ingress, and a path have one canary: change the other "
        "Ingress or take it away; `milepost model converge` repairs our own",
    ),
    Rule("route missing", _no_route, "`milepost model converge` applies it again"),
    Rule("route without endpoints", _no_endpoints, "no pod is ready: the findings above say why"),
    Rule("Seldon says failed", _failed_state, "see the Deployments' conditions: kubectl describe"),
)
"""Every rule, in the order of the way from an apply to a served request."""
