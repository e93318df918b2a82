"""From a record to everything it asks of the cluster: pure.

The renderer (`deploy.render`) turns a release into objects. Here the tracks of a
record become that release, the tracks that are leaving stay in the SeldonDeployment as further predictors, and each
predictor gets two annotations, which Seldon copies onto its Deployments, pods and Service: its own name, and the
*fingerprint* of all that decides what its pods run. So a Deployment tells which spec it is of, which Seldon's own
status cannot (SeldonIO/seldon-core #4269), and a change of replicas or traffic alone replaces no pod.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from deploy.objects import PREFIX, Body, KubeObject
from deploy.objects.seldon import pinned_service, predictor, service_of
from deploy.plan.steps import Wanted, WantedPredictor, WantedRoute
from deploy.record import Record, digest
from deploy.record.edits import spec_of
from deploy.render import render
from deploy.route.handover import Stage, stage
from deploy.route.plan import route_of
from deploy.seen import (
    DIGEST_ANNOTATION,
    FINGERPRINT_ANNOTATION,
    MODEL_LABEL,
    PREDICTOR_ANNOTATION,
    ROUTE_KINDS,
    Seen,
    services_of,
)
from deploy.settings import Cluster
from deploy.spec.release import Release

RESTARTED_ANNOTATION = f"{PREFIX}/restarted-at"
REVISIONS_ANNOTATION = f"{PREFIX}/revisions"

UNKNOWN = "service-not-known-yet"
_NOT_IN_PODS = ("replicas", "traffic", "annotations", "name")


def wanted(record: Record, seen: Seen, *, cluster: Cluster, settle_s: float, now: float | None = None) -> Wanted:
    """Return what the record asks for. Raises Refused for a spec that cannot be rendered.

    `settle_s` is how long the router may take to follow a changed route: what it replaces is drained longer by that.
    With `now` (Unix seconds) the route is at its next stage (`deploy.route.handover`), without as it shall be.
    """
    if record.stable is None:
        return Wanted((), (), (), settle_s)
    release = release_of(record)
    drain_s = settle_s + (release.stable.drain_seconds or 0)
    if record.deleting:
        return Wanted((), (), (), drain_s)
    observed = {name: one.service for name, one in seen.predictors.items() if one.service}
    tracks = [spec for spec in (release.stable, release.candidate) if spec is not None]
    unknown = {
        spec.predictor: UNKNOWN for spec in tracks if spec.predictor not in observed and not pinned_service(spec)
    }
    services = observed | unknown
    staged = _staged(record, release, cluster, services, seen, now=now, settle_s=settle_s)
    rendered = render(release, cluster, services, staged=staged.route if staged else None)
    seldon = _with_tracks(next(item for item in rendered if item.kind == "SeldonDeployment"), record, cluster)
    beside = [item for item in rendered if item.kind not in (*ROUTE_KINDS, "SeldonDeployment")]
    by_service = {service_of(spec, services): spec.predictor for spec in tracks}
    routes = (_route(item, record.name, by_service) for item in rendered if item.kind in ROUTE_KINDS)
    return Wanted(
        workload=tuple(_marked(item, record.name) for item in (*beside, seldon)),
        predictors=tuple(_predictors(seldon.body, {track.predictor for track in record.leaving})),
        routes=None if unknown else tuple(routes),
        drain_s=drain_s,
        route_until=staged.wait_until if staged else 0.0,
    )


def _staged(
    record: Record, release: Release, cluster: Cluster, services: Mapping[str, str], seen: Seen, *,
    now: float | None, settle_s: float,
) -> Stage | None:  # fmt: skip
    if cluster.router != "nginx" or UNKNOWN in services.values():
        return None
    route = route_of(release, cluster, services)
    if route is None or (now is None and (seen.main is None or seen.main.primary.service != route.stable.service)):
        return None
    if now is None:
        now = seen.main.handover.moved_at + settle_s if seen.main else 0.0
    leaving = {services.get(track.predictor, "") for track in record.leaving}
    return stage(route, seen.main, leaving=leaving, now=now, settle_s=settle_s)


def release_of(record: Record) -> Release:
    """Return the release of a record that has a stable track."""
    if record.stable is None:
        raise ValueError(f"{record.key} has no stable track")
    stable = spec_of(record, record.stable)
    if record.migration is not None:
        return Release(stable=stable, external=record.migration.old, split=record.migration.split)
    if record.rollout is None:
        return Release(stable=stable)
    candidate = spec_of(record, record.rollout.candidate)
    return Release(stable=stable, candidate=candidate, split=record.rollout.split)


def _with_tracks(item: KubeObject, record: Record, cluster: Cluster) -> KubeObject:
    body = copy.deepcopy(item.body)
    predictors: list[Body] = body["spec"]["predictors"]
    predictors.extend(predictor(spec_of(record, track), cluster, traffic=0) for track in record.leaving)
    if len(predictors) > 1:
        for one in predictors:
            # Seldon wants the shares of several predictors to sum to 100; a single one carries none.
            one.setdefault("traffic", 100 if one is predictors[0] else 0)
    as_found = _as_found(record)
    for one in predictors:
        if one["name"] in as_found:
            continue
        own = {PREDICTOR_ANNOTATION: one["name"], FINGERPRINT_ANNOTATION: fingerprint(one, record.restarted_at)}
        if record.restarted_at:
            own[RESTARTED_ANNOTATION] = f"{record.restarted_at:.0f}"
        one["annotations"] = {**one.get("annotations", {}), **own}
    revisions = ",".join(f"{track.predictor}={track.revision}" for track in record.tracks)
    metadata = body["metadata"]
    metadata["annotations"] = {**metadata.get("annotations", {}), REVISIONS_ANNOTATION: revisions}
    return KubeObject(body)


def _as_found(record: Record) -> frozenset[str]:
    """Return the predictors whose pods were adopted and not restarted: Seldon would copy our annotations into them."""
    if record.restarted_at:
        return frozenset()
    return frozenset(track.predictor for track in record.tracks if record.revision(track.revision).adopted)


def fingerprint(one: Mapping[str, Any], restarted_at: float) -> str:
    """Return the digest of what decides a predictor's pods; replicas, traffic and autoscaling do not."""
    pods = {key: value for key, value in one.items() if key not in _NOT_IN_PODS}
    pods["componentSpecs"] = [
        {key: value for key, value in component.items() if key in ("metadata", "spec")}
        for component in one.get("componentSpecs", ())
    ]
    return digest([pods, one.get("annotations", {}), restarted_at])


def _predictors(body: Body, leaving: Iterable[str]) -> Iterable[WantedPredictor]:
    for one in body["spec"]["predictors"]:
        if one["name"] in leaving:
            continue
        components = one.get("componentSpecs", ())
        scaled = any("hpaSpec" in component or "kedaSpec" in component for component in components)
        count = max(1, len(components))
        replicas = None if scaled or "replicas" not in one else one["replicas"] * count
        yield WantedPredictor(one["name"], one.get("annotations", {}).get(FINGERPRINT_ANNOTATION, ""), count, replicas)


def _route(item: KubeObject, model: str, by_service: Mapping[str, str]) -> WantedRoute:
    body, digest_ = _marked(item, model)
    services = tuple(dict.fromkeys(services_of(item.body)))
    return WantedRoute(body, digest_, services, tuple(by_service[name] for name in services if name in by_service))


def _marked(item: KubeObject, model: str) -> tuple[KubeObject, str]:
    """Return the object with the model's label and its digest written on it, and the digest."""
    body = copy.deepcopy(item.body)
    metadata = body["metadata"]
    metadata["labels"] = {**metadata.get("labels", {}), MODEL_LABEL: model}
    print_ = digest(body)
    metadata["annotations"] = {**metadata.get("annotations", {}), DIGEST_ANNOTATION: print_}
    return KubeObject(body), print_
