"""What only the cluster can tell is wrong with a wish, asked before anything of it is written down."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from deploy.cluster import Cluster
from deploy.errors import Absent, Refusal, Refused
from deploy.objects import KubeObject, collection_path
from deploy.record import Record
from deploy.seen import MODEL_LABEL
from deploy.seen.kinds import EndpointSlice, Service
from deploy.spec.release import External

SERVICE_LABEL = "kubernetes.io/service-name"


async def refuse_foreign(cluster: Cluster, objects: Iterable[KubeObject], model: str) -> None:
    """Raise Refused when an object of a new model is there already as somebody else's: an apply would overwrite it."""
    rule = "it is there and not Milepost's: `milepost model adopt` takes over what runs, else choose another name"
    faults = []
    for item in objects:
        live = await cluster.read(item)
        if live is not None and live["metadata"].get("labels", {}).get(MODEL_LABEL) != model:
            faults.append(Refusal(item.kind, f"{item.namespace}/{item.name}", rule))
    if faults:
        raise Refused(faults)


async def refuse_unreachable(cluster: Cluster, before: Record, after: Record) -> None:
    """Raise Refused when a migration names an old Service that could not answer: requests sent there would be lost.

    Only when it is first named: going back to it is never in the way of anything.
    """
    old = after.migration.old if after.migration else None
    if old is None or old.service is None or (before.migration is not None and before.migration.old == old):
        return
    rule = await _unreachable(cluster, after.namespace, old, old.service)
    if rule:
        raise Refused([Refusal("migration.old.service", f"{old.service}:{old.port}", rule)])


async def _unreachable(cluster: Cluster, namespace: str, old: External, name: str) -> str:
    try:
        raw = await cluster.request("GET", f"{collection_path('v1', 'services', namespace)}/{name}")
    except Absent:
        return f"there is no such Service in namespace {namespace}"
    spec = msgspec.json.decode(raw, type=Service).spec
    if spec.type == "ExternalName":
        return ""
    ports = [port.port for port in spec.ports]
    if old.port not in ports:
        return f"the Service has no such port, only {', '.join(map(str, ports)) or 'none'}"
    slices = await cluster.items(
        collection_path("discovery.k8s.io/v1", "endpointslices", namespace), f"{SERVICE_LABEL}={name}", EndpointSlice
    )
    # Not said to be unready is ready (`EndpointConditions.ready` of discovery.k8s.io/v1).
    ready = [one for item in slices for one in item.endpoints or () if one.conditions.ready is not False]
    return "" if ready else "the Service has no ready endpoint: what is sent there would be answered by nobody"
