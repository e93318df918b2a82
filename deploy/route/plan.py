"""The route of a release, before any router's vocabulary.

A route has one stable backend and perhaps one candidate with a split; never two candidates, since ingress-nginx
silently ignores a second canary. In a canary the candidate is another predictor of the same model; in a migration the
stable backend is the old serving address and the candidate is the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from msgspec import Struct

from deploy.objects import MANAGED_BY, Body, KubeObject
from deploy.objects.seldon import service_of
from deploy.settings import Cluster
from deploy.spec import ModelSpec, RouteSpec, Transport
from deploy.spec.release import External, Release, Split

NO_ENGINE_PORTS: Mapping[Transport, int] = {"rest": 9000, "grpc": 9500}


@dataclass(frozen=True, slots=True)
class Backend:
    """A Service of the model's namespace and one of its ports."""

    service: str
    port: int


class Handover(Struct, frozen=True, omit_defaults=True):
    """When the main route came to lead where it does, and since when it names each of its Services (Unix s)."""

    moved_at: float = 0.0
    known: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Route:
    """Everything a renderer needs to know. `name` is that of the route object, `model` that of the model.

    `standby` are Services that the router must know without sending them anything (`deploy.route.handover`).
    """

    name: str
    model: str
    namespace: str
    host: str
    transport: Transport
    spec: RouteSpec
    stable: Backend
    candidate: Backend | None
    split: Split | None
    mirror: Backend | None
    mirror_percent: int
    standby: tuple[Backend, ...] = ()
    handover: Handover | None = None


def route_of(release: Release, cluster: Cluster, observed: Mapping[str, str]) -> Route | None:
    """Return the route of a release, or None for a model that is not exposed.

    `observed` maps predictors to their Services as `status.serviceStatus` has them. Raises Refused when the name of
    a Service is not known yet.
    """
    spec = release.stable
    if spec.route.exposure == "none":
        return None
    stable = Backend(service_of(spec, observed), port_of(spec, cluster))
    candidate: Backend | None = None
    if release.external is not None:
        old = Backend(release.external.service or external_name(spec), release.external.port)
        stable, candidate = old, stable
    elif release.candidate is not None:
        candidate = Backend(service_of(release.candidate, observed), port_of(release.candidate, cluster))
    mirror: Backend | None = None
    if spec.shadow is not None:
        name = observed.get(spec.shadow.predictor, f"{spec.name}-{spec.shadow.predictor}")
        mirror = Backend(name, port_of(spec, cluster))
    split = release.split if candidate is not None else None
    return Route(
        name=spec.route.name or spec.name,
        model=spec.name,
        namespace=spec.namespace,
        host=spec.route.host or f"{spec.name}-{spec.namespace}.{cluster.domain}",
        transport=spec.transport,
        spec=spec.route,
        stable=stable,
        candidate=candidate if split is not None else None,
        split=split,
        mirror=mirror,
        mirror_percent=spec.shadow.percent if spec.shadow else 0,
    )


def port_of(spec: ModelSpec, cluster: Cluster) -> int:
    """Return the port of the predictor's Service for the model's transport."""
    if not spec.orchestrator:
        return NO_ENGINE_PORTS[spec.transport]
    return cluster.service_http_port if spec.transport == "rest" else cluster.service_grpc_port


def external_name(spec: ModelSpec) -> str:
    """Return the name of the Service that stands for the old address."""
    return f"{spec.name}-external"


def external_objects(spec: ModelSpec, external: External) -> tuple[KubeObject, ...]:
    """Render the Service of an old address: by DNS name, or by addresses with their EndpointSlice.

    An address that is already a Service of the namespace is used as it is.
    """
    if external.service is not None:
        return ()
    name = external_name(spec)
    metadata: Body = {"name": name, "namespace": spec.namespace, "labels": dict(MANAGED_BY)}
    port = {"name": "http", "port": external.port, "protocol": "TCP"}
    service: Body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    if external.hostname is not None:
        service["spec"] = {"type": "ExternalName", "externalName": external.hostname, "ports": [port]}
        return (KubeObject(service),)
    service["spec"] = {"type": "ClusterIP", "ports": [port | {"targetPort": external.port}]}
    family = {4: "IPv4", 6: "IPv6"}[ip_address(external.addresses[0]).version]
    slice_labels = dict(MANAGED_BY) | {"kubernetes.io/service-name": name}
    endpoints: Body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata | {"name": f"{name}-1", "labels": slice_labels},
        "addressType": family,
        "ports": [port],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in external.addresses],
    }
    return KubeObject(service), KubeObject(endpoints)
