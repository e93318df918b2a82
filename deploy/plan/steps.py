"""What to do next: pure, from what is wanted and what is seen to an ordered list of steps.

The list is complete, for people to read, but only its first step is ever carried out; then the cluster is looked at
again and the list is made anew. So nothing is remembered between steps that a killed process could lose, and a step
that was done already is simply not in the next list. Every step is idempotent: a server-side apply, a delete, a wait,
or a compare-and-swap of the record.

The order keeps a way to the model open at every moment:

    deploy   workload (with every track, leaving ones included) → second routes that are not wanted any more away →
             a route is pointed at a track only when that is rolled out and has endpoints, and in the stages of
             `deploy.route.handover` → wait for all tracks → drain the leaving tracks → forget them → workload without
             them → objects that nothing renders any more away
    delete   routes away (second first) → drain → SeldonDeployment → wait until it is gone → the rest

A second route goes before the main route is moved, because in ingress-nginx a Service that is primary anywhere cannot
be a canary: the canary's upstream would be dropped and the main route lose its backend (kubernetes/ingress-nginx
#7896, #9458).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deploy.objects import KubeObject
from deploy.record import Record
from deploy.seen import ROUTE_KINDS, Address, Seen, SeenPredictor


@dataclass(frozen=True, slots=True)
class WantedPredictor:
    """A predictor as it must be before it may get requests; `replicas` None is left to an autoscaler."""

    name: str
    fingerprint: str
    deployments: int
    replicas: int | None


@dataclass(frozen=True, slots=True)
class WantedRoute:
    """A rendered route, its digest, the Services it leads to and those predictors of ours that are behind them."""

    body: KubeObject
    digest: str
    services: tuple[str, ...]
    predictors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that a record asks for. `routes` is None while the Services they need are not known yet; until
    `route_until` (Unix seconds, 0: no wait) the router is given time to follow them."""

    workload: tuple[tuple[KubeObject, str], ...]
    predictors: tuple[WantedPredictor, ...]
    routes: tuple[WantedRoute, ...] | None
    drain_s: float
    route_until: float = 0.0

    @property
    def digests(self) -> dict[Address, str]:
        """The digest of every object wanted."""
        routes = {route.body.address: route.digest for route in self.routes or ()}
        return {body.address: digest for body, digest in self.workload} | routes


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply of these objects, in this order."""

    objects: tuple[KubeObject, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete these objects; one that is gone is done."""

    addresses: tuple[Address, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Await:
    """Look again until this has become true."""

    what: str


@dataclass(frozen=True, slots=True)
class StartDrain:
    """Write down until when the replaced tracks, or a deleted model, still serve what is on its way."""

    seconds: float
    what: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing before this time (Unix seconds)."""

    until: float
    what: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Take the leaving tracks out of the record; the next look finds their predictors superfluous."""

    what: str


Step = Apply | Remove | Await | StartDrain | Wait | Forget


@dataclass(frozen=True, slots=True)
class Look:
    """A model at one moment: what is remembered, what is seen, what is wanted and what is left to do."""

    record: Record
    seen: Seen
    wanted: Wanted
    steps: tuple[Step, ...]


def plan(record: Record, wanted: Wanted, seen: Seen, *, now: float) -> tuple[Step, ...]:
    """Return every step from what is seen to what is wanted; empty when nothing is left to do."""
    if record.deleting:
        return _delete(record, wanted, seen, now)
    return (
        *_workload(wanted, seen),
        *_routes(wanted, seen),
        *_settle(wanted, seen),
        *_leave(record, wanted, seen, now),
        *_prune(wanted, seen),
    )


def unsettled(want: WantedPredictor, have: SeenPredictor | None) -> str:
    """Say why a predictor may not be relied on yet; empty when it may."""
    reason = next(_reasons(want, have), "")
    return f"{want.name}: {reason}" if reason else ""


def _reasons(want: WantedPredictor, have: SeenPredictor | None) -> Iterator[str]:
    if have is None or have.deployments < want.deployments:
        yield f"{have.deployments if have else 0} of {want.deployments} Deployments exist"
        return
    if want.fingerprint and have.fingerprints != {want.fingerprint}:
        yield "its Deployments do not have the new spec yet"
    if want.replicas is not None and have.wanted != want.replicas:
        yield f"its Deployments want {have.wanted} replicas, not {want.replicas}"
    if not have.rolled_out:
        counts = f"{have.updated} updated, {have.available} available, {have.total} in all, of {have.wanted}"
        yield counts + (f" ({have.complaint})" if have.complaint else "")
    if not have.service:
        yield "status.serviceStatus names no Service of it yet"
    if have.wanted and not have.endpoints:
        yield f"Service {have.service} has no ready endpoint yet"


def _workload(wanted: Wanted, seen: Seen) -> tuple[Step, ...]:
    stale = tuple(body for body, digest in wanted.workload if seen.digests.get(body.address) != digest)
    return (Apply(stale, _names(stale)),) if stale else ()


def _routes(wanted: Wanted, seen: Seen) -> tuple[Step, ...]:
    if wanted.routes is None:
        complaints = _complaints(wanted, seen)
        return (Await("; ".join(complaints) or "the Services of the predictors to be known"),)
    steps: list[Step] = []
    names = {route.body.address for route in wanted.routes}
    gone = tuple(sorted((item for item in seen.objects if item[1] in ROUTE_KINDS and item not in names), key=_second))
    if gone:
        steps.append(Remove(gone, _spelled(gone)))
    by_name = {want.name: want for want in wanted.predictors}
    for route in wanted.routes:
        if seen.digests.get(route.body.address) == route.digest:
            continue
        # Where the live routes lead already needs no waiting: taking a bad candidate away must never wait.
        new = [by_name[name] for name in route.predictors if not _routed(name, route, seen)]
        complaints = [told for told in (unsettled(want, seen.predictors.get(want.name)) for want in new) if told]
        if complaints:
            steps.append(Await("; ".join(complaints)))
        steps.append(Apply((route.body,), _names((route.body,))))
    if wanted.route_until:
        steps.append(Wait(wanted.route_until, "the router to know the Services of the route"))
    return tuple(steps)


def _routed(predictor: str, route: WantedRoute, seen: Seen) -> bool:
    have = seen.predictors.get(predictor)
    return have is not None and have.service in seen.routed and have.service in route.services


def _settle(wanted: Wanted, seen: Seen) -> tuple[Step, ...]:
    complaints = _complaints(wanted, seen)
    return (Await("; ".join(complaints)),) if complaints else ()


def _leave(record: Record, wanted: Wanted, seen: Seen, now: float) -> tuple[Step, ...]:
    if not record.leaving:
        return ()
    names = ", ".join(track.predictor for track in record.leaving)
    forget = Forget(f"predictor {names}, which nothing is routed to")
    seconds = max(wanted.drain_s, record.keep_s)
    if not record.drain_until:
        return (StartDrain(seconds, f"of predictor {names}"), Wait(now + seconds, f"drain of {names}"), forget)
    if now < record.drain_until:
        return (Wait(record.drain_until, f"drain of {names}"), forget)
    return (forget,)


def _prune(wanted: Wanted, seen: Seen) -> tuple[Step, ...]:
    kept = {body.address for body, _ in wanted.workload}
    gone = tuple(sorted(item for item in seen.objects if item[1] not in ROUTE_KINDS and item not in kept))
    return (Remove(gone, _spelled(gone)),) if gone else ()


def _delete(record: Record, wanted: Wanted, seen: Seen, now: float) -> tuple[Step, ...]:
    routes = tuple(sorted((item for item in seen.objects if item[1] in ROUTE_KINDS), key=_second))
    seldon = tuple(item for item in seen.objects if item[1] == "SeldonDeployment")
    rest = tuple(sorted(item for item in seen.objects if item not in routes and item not in seldon))
    steps: list[Step] = [Remove((route,), _spelled((route,))) for route in routes]
    if seldon and not seen.going:
        if not record.drain_until:
            steps.append(StartDrain(wanted.drain_s, "of the model"))
        if not record.drain_until or now < record.drain_until:
            steps.append(Wait(record.drain_until or now + wanted.drain_s, "drain of the model"))
        steps.append(Remove(seldon, _spelled(seldon)))
    if seldon or seen.exists:
        steps.append(Await("the SeldonDeployment and its Deployments to be gone"))
    if rest:
        steps.append(Remove(rest, _spelled(rest)))
    return tuple(steps)


def _complaints(wanted: Wanted, seen: Seen) -> list[str]:
    told = (unsettled(want, seen.predictors.get(want.name)) for want in wanted.predictors)
    return [complaint for complaint in told if complaint]


def _second(address: Address) -> tuple[int, Address]:
    """Sort a model's second route before its main one, whose name it extends."""
    return -len(address[3]), address


def _names(objects: tuple[KubeObject, ...]) -> str:
    return ", ".join(f"{item.kind} {item.name}" for item in objects)


def _spelled(addresses: tuple[Address, ...]) -> str:
    return ", ".join(f"{kind} {name}" for _, kind, _, name in addresses)


def spelled(step: Step) -> str:
    """Return the step as one line for a person."""
    return f"{_VERBS[type(step)]} {step.what}"


_VERBS: Mapping[type, str] = {
    Apply: "apply",
    Remove: "remove",
    Await: "wait:",
    StartDrain: "start the drain",
    Wait: "wait:",
    Forget: "forget",
}
