"""Gathering what `deploy.why` looks at: pods and events of one model, and its routes.

An event that is over is left out: one about a pod that is ready or gone, or, once every replica is available, about
what makes pods. The cluster keeps events for an hour, so a quota that was raised would be told for that long.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator

from deploy.cluster import Cluster
from deploy.errors import Denied
from deploy.objects import collection_path
from deploy.plan.steps import Look, unsettled
from deploy.record import Record
from deploy.route.conflicts import conflicts
from deploy.route.nginx import canary_name
from deploy.seen import SELDON_ID_LABEL
from deploy.seen.podkinds import Event, Pod
from deploy.why.symptoms import Evidence

ALL_INGRESSES = "Ingresses of other namespaces"


async def happened(cluster: Cluster, record: Record) -> tuple[tuple[Pod, ...], tuple[Event, ...]]:
    """Return the pods of a model and the events about it. Raises PlatformError."""
    pods, events = await asyncio.gather(
        cluster.items(collection_path("v1", "pods", record.namespace), f"{SELDON_ID_LABEL}={record.name}", Pod),
        cluster.items(collection_path("v1", "events", record.namespace), "", Event),
    )
    concerns = concerned(record, [pod.metadata.name for pod in pods])
    return tuple(pods), tuple(event for event in events if concerns(event.involved_object.name))


def concerned(record: Record, pods: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells by its name whether an object is of this model, also one that is gone.

    Seldon names Deployments `<model>-<predictor>-<number>-…`, and ReplicaSets and pods after them; a bare prefix will
    not do, since `ner-large` begins with `ner-` and is another model.
    """
    kept = {str(revision.spec.get("predictor", "default")) for revision in record.revisions}
    predictors = "|".join(re.escape(name) for name in kept | {track.predictor for track in record.tracks})
    model = re.escape(record.name)
    gone = re.compile(rf"{model}-(({predictors}|r[0-9]+)-([0-9]+-|explainer|svc-orch)|rebuild-)")
    exact = {record.name, canary_name(record.name), *pods}
    deployments = tuple({f"{pod.rsplit('-', 2)[0]}-" for pod in pods if pod.count("-") > 1})
    return lambda name: name in exact or name.startswith(deployments) or gone.match(name) is not None


async def gather(cluster: Cluster, look: Look, *, clock: Callable[[], float] = time.time) -> Evidence:
    """Return the evidence about a model. Raises PlatformError."""
    pods, events = await happened(cluster, look.record)
    seen, wanted = look.seen, look.wanted.routes or ()
    operation = look.record.operation
    against, unseen = await _conflicts(cluster, look)
    predictors = [(want, seen.predictors.get(want.name)) for want in look.wanted.predictors]
    return Evidence(
        state=seen.state,
        description=seen.description,
        pods=pods,
        events=tuple(_lasting(events, pods, look)),
        complaints=tuple(one.complaint for one in seen.predictors.values() if one.complaint),
        routed=tuple(_routed(look)),
        missing=tuple(route.body.name for route in wanted if route.body.address not in seen.objects),
        conflicts=against,
        unseen=unseen,
        idle=tuple(want.name for want, have in predictors if have is not None and not have.wanted),
        unsettled=tuple((want.name, text) for want, have in predictors if (text := unsettled(want, have))),
        operation=operation.message if operation and operation.state == "failed" else "",
        exists=seen.exists,
        now=clock(),
    )


def _lasting(events: Iterable[Event], pods: Iterable[Pod], look: Look) -> Iterator[Event]:
    waiting = {pod.metadata.name for pod in pods if not pod.ready}
    predictors = look.seen.predictors.values()
    whole = bool(predictors) and all(one.rolled_out for one in predictors)
    for event in events:
        about = event.involved_object
        if about.name in waiting if about.kind == "Pod" else not whole:
            yield event


def _routed(look: Look) -> Iterator[tuple[str, str, int]]:
    """Yield (route, Service, ready endpoints) as the live routes are, but not of an old address outside the model."""
    endpoints = {one.service: one.endpoints for one in look.seen.predictors.values()}
    migration = look.record.migration
    for route, services in look.seen.leads.items():
        for service in sorted(services):
            if service in endpoints or migration is None:
                yield route, service, endpoints.get(service, 0)


async def _conflicts(cluster: Cluster, look: Look) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what other Ingresses of the cluster do to the model's, and what could not be looked at."""
    rendered = [route.body for route in look.wanted.routes or () if route.body.kind == "Ingress"]
    if not rendered:
        return (), ()
    try:
        existing, whole = await cluster.ingresses(look.record.namespace)
    except Denied:
        return (), ("Ingresses",)
    return tuple(map(str, conflicts(rendered, existing))), () if whole else (ALL_INGRESSES,)
