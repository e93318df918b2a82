"""Gathering what `deploy.why` looks at: pods and events of one model, and its routes."""

from __future__ import annotations

import asyncio

from deploy.cluster import Cluster
from deploy.operate import Look
from deploy.podkinds import Event, Pod
from deploy.rendered import collection_path
from deploy.seen import SELDON_ID_LABEL
from deploy.why import Evidence


async def gather(cluster: Cluster, look: Look) -> Evidence:
    """Return the evidence about a model. Raises PlatformError."""
    namespace, name = look.record.namespace, look.record.name
    selector = f"{SELDON_ID_LABEL}={name}"
    pods, events = await asyncio.gather(
        cluster.items(collection_path("v1", "pods", namespace), selector, Pod),
        cluster.items(collection_path("v1", "events", namespace), "", Event),
    )
    names = {pod.metadata.name for pod in pods}
    prefix = f"{name}-"
    about = [
        event
        for event in events
        if event.involved_object.name in names
        or event.involved_object.name == name
        or event.involved_object.name.startswith(prefix)
    ]
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
        pods=tuple(pods),
        events=tuple(about),
        complaints=tuple(one.complaint for one in seen.predictors.values() if one.complaint),
        routed=routed,
        operation=operation.message if operation and operation.state == "failed" else "",
        exists=seen.exists,
    )
