"""Gathering what `deploy.why` looks at: pods and events of one model, and its routes."""

from __future__ import annotations

import asyncio

from deploy.cluster import Cluster
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
    seen = look.seen
    endpoints = {one.service: one.endpoints for one in seen.predictors.values()}
    routed = tuple(
        (route.body.name, service, endpoints[service])
        for route in look.wanted.routes or ()
        for service in route.services
        if service in endpoints
    )
    operation = look.record.operation
    return Evidence(
        state=seen.state,
        description=seen.description,
        pods=pods,
        events=events,
        complaints=tuple(one.complaint for one in seen.predictors.values() if one.complaint),
        routed=routed,
        operation=operation.message if operation and operation.state == "failed" else "",
        exists=seen.exists,
    )
