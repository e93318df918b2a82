"""Gathering what `deploy.why` looks at: pods and events of one model, and its routes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from deploy.cluster import Cluster
from deploy.errors import Denied, Refused
from deploy.operate import Look
from deploy.podkinds import Event, Pod
from deploy.rendered import collection_path
from deploy.seen import SELDON_ID_LABEL
from deploy.why import Evidence


async def happened(cluster: Cluster, namespace: str, name: str) -> tuple[tuple[Pod, ...], tuple[Event, ...]]:
    """Return the pods of a model and the events about it. Raises PlatformError."""
    pods, events = await asyncio.gather(
        cluster.items(collection_path("v1", "pods", namespace), f"{SELDON_ID_LABEL}={name}", Pod),
        cluster.items(collection_path("v1", "events", namespace), "", Event),
    )
    names = {name, *(pod.metadata.name for pod in pods)}
    # Deployments, ReplicaSets and pods that are gone are named after the model.
    about = (item for item in events if (found := item.involved_object.name) in names or found.startswith(f"{name}-"))
    return tuple(pods), tuple(about)


async def gather(cluster: Cluster, look: Look) -> Evidence:
    """Return the evidence about a model. Raises PlatformError."""
    pods, events = await happened(cluster, look.record.namespace, look.record.name)
    seen, wanted = look.seen, look.wanted.routes or ()
    operation = look.record.operation
    return Evidence(
        state=seen.state,
        description=seen.description,
        pods=pods,
        events=events,
        complaints=tuple(one.complaint for one in seen.predictors.values() if one.complaint),
        routed=tuple(_routed(look)),
        missing=tuple(route.body.name for route in wanted if route.body.address not in seen.objects),
        conflicts=await _conflicts(cluster, look),
        operation=operation.message if operation and operation.state == "failed" else "",
        exists=seen.exists,
    )


def _routed(look: Look) -> Iterator[tuple[str, str, int]]:
    """Yield (route, Service, ready endpoints) as the live routes are, but not of an old address outside the model."""
    endpoints = {one.service: one.endpoints for one in look.seen.predictors.values()}
    migration = look.record.migration
    for route, services in look.seen.leads.items():
        for service in sorted(services):
            if service in endpoints or migration is None:
                yield route, service, endpoints.get(service, 0)


async def _conflicts(cluster: Cluster, look: Look) -> tuple[str, ...]:
    """Return what other Ingresses of the cluster do to the model's."""
    try:
        await cluster.refuse_conflicts(route.body for route in look.wanted.routes or ())
    except Refused as refused:
        return tuple(map(str, refused.refusals))
    except Denied:
        return ()
    return ()
