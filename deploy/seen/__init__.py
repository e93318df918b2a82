"""What the cluster shows of one model: read from raw JSON, pure, only the fields that decide anything.

The rules come from Seldon Core v1 (`operator/controllers/seldondeployment_controller.go`, `.../labels.go`):

* a predictor's annotations are copied onto its Deployments and its Service. We set `milepost.dev/predictor` and
  `milepost.dev/fingerprint` there, so a Deployment tells which predictor it belongs to and which spec it runs;
  without them (a model that was adopted) the pod label `version` names the predictor;
* the name of a predictor's Service is never computed, since the rule differs by version, annotation and length: it
  is the `seldon-app` label of the predictor's pods, and it must be a key of `status.serviceStatus`;
* a Deployment is settled when its controller has seen its last generation and every replica is updated and available.
  The SeldonDeployment's own `status.state` may be that of an earlier spec, so it is told but never trusted alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.objects import PREFIX
from deploy.route.handover import MainRoute
from deploy.route.nginx import STANDBY
from deploy.seen.kinds import Deployment, EndpointSlice, Seldon, SeldonStatus, Service

PREDICTOR_ANNOTATION = f"{PREFIX}/predictor"
FINGERPRINT_ANNOTATION = f"{PREFIX}/fingerprint"
DIGEST_ANNOTATION = f"{PREFIX}/digest"
MODEL_LABEL = f"{PREFIX}/model"
SELDON_ID_LABEL = "seldon-deployment-id"
SELDON_APP_LABEL = "seldon-app"
VERSION_LABEL = "version"
ROUTE_KINDS = ("Ingress", "HTTPRoute", "GRPCRoute")

Address = tuple[str, str, str, str]
"""(apiVersion, kind, namespace, name)."""


@dataclass(frozen=True, slots=True)
class SeenPredictor:
    """A predictor's Deployments, together; counts are summed over them."""

    name: str
    fingerprints: frozenset[str]
    deployments: int
    wanted: int
    updated: int
    available: int
    total: int
    observed: bool
    service: str
    ports: Mapping[str, int]
    endpoints: int
    complaint: str

    @property
    def rolled_out(self) -> bool:
        """Whether every replica is of the last spec, available, and no older one is left."""
        return self.observed and self.wanted == self.updated == self.available == self.total


@dataclass(frozen=True, slots=True)
class Owned:
    """One of our objects: the digest it carries and, when it is a route, the Services it leads to; `main` for the
    main Ingress."""

    digest: str = ""
    services: frozenset[str] = frozenset()
    main: MainRoute | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at a model. `digests` are those of the objects that we may trust to be as we applied them, `routed`
    the Services that its routes lead to, `leads` the same by route."""

    exists: bool = False
    going: bool = False
    state: str = ""
    description: str = ""
    declared: tuple[str, ...] = ()
    predictors: Mapping[str, SeenPredictor] = field(default_factory=dict)
    objects: frozenset[Address] = frozenset()
    digests: Mapping[Address, str] = field(default_factory=dict)
    routed: frozenset[str] = frozenset()
    leads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    main: MainRoute | None = None


def see(
    seldon: Seldon | None,
    deployments: Iterable[Deployment],
    services: Iterable[Service],
    slices: Iterable[EndpointSlice],
    objects: Mapping[Address, Owned],
) -> Seen:
    """Return what the objects of one model show; `objects` are ours, by address."""
    grouped: dict[str, list[Deployment]] = {}
    for deployment in deployments:
        grouped.setdefault(_predictor_of(deployment), []).append(deployment)
    ready = _ready_endpoints(slices)
    known = {service.metadata.name: service for service in services}
    status = seldon.status if seldon else SeldonStatus()
    routable = {name: service for name, service in known.items() if name in (status.service_status or {})}
    return Seen(
        exists=seldon is not None or bool(grouped),
        going=seldon is not None and seldon.metadata.deletion_timestamp is not None,
        state=status.state,
        description=status.description,
        declared=tuple(predictor.name for predictor in seldon.spec.predictors) if seldon else (),
        predictors={name: _predictor(name, group, routable, ready) for name, group in grouped.items()},
        objects=frozenset(objects),
        digests={address: owned.digest for address, owned in objects.items()},
        routed=frozenset(service for owned in objects.values() for service in owned.services),
        leads={name: owned.services for (_, kind, _, name), owned in objects.items() if kind in ROUTE_KINDS},
        main=next((owned.main for owned in objects.values() if owned.main is not None), None),
    )


def services_of(value: Any) -> Iterator[str]:
    """Yield the Services that a route leads to, in an Ingress (`service.name`) or an HTTPRoute (`backendRefs`).

    Those that an Ingress only names are not among them.
    """
    if isinstance(value, Mapping):
        if str(value.get("host", "")).startswith(STANDBY):
            return
        service = value.get("service")
        if isinstance(service, Mapping) and "name" in service:
            yield str(service["name"])
        for reference in value.get("backendRefs", ()):
            yield str(reference["name"])
        for part in value.values():
            yield from services_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from services_of(part)


def _predictor_of(deployment: Deployment) -> str:
    annotated = deployment.metadata.annotations.get(PREDICTOR_ANNOTATION)
    return annotated or deployment.spec.template.metadata.labels.get(VERSION_LABEL, "")


def _predictor(
    name: str, group: list[Deployment], services: Mapping[str, Service], ready: Mapping[str, int]
) -> SeenPredictor:
    apps = {item.spec.template.metadata.labels.get(SELDON_APP_LABEL, "") for item in group}
    service = next((services[app] for app in sorted(apps) if app in services), None)
    service_name = service.metadata.name if service else ""
    return SeenPredictor(
        name=name,
        fingerprints=frozenset(item.metadata.annotations.get(FINGERPRINT_ANNOTATION, "") for item in group),
        deployments=len(group),
        wanted=sum(item.spec.replicas for item in group),
        updated=sum(item.status.updated_replicas for item in group),
        available=sum(item.status.available_replicas for item in group),
        total=sum(item.status.replicas for item in group),
        observed=all(item.status.observed_generation >= item.metadata.generation for item in group),
        service=service_name,
        ports={port.name: port.port for port in service.spec.ports} if service else {},
        endpoints=ready.get(service_name, 0),
        complaint="; ".join(_complaints(group)),
    )


def _complaints(group: list[Deployment]) -> list[str]:
    return [
        f"{item.metadata.name}: {condition.reason}: {condition.message}"
        for item in group
        for condition in item.status.conditions
        if (condition.type == "Progressing" and condition.status == "False") or condition.type == "ReplicaFailure"
    ]


def _ready_endpoints(slices: Iterable[EndpointSlice]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for item in slices:
        service = item.metadata.labels.get("kubernetes.io/service-name", "")
        # A missing `ready` means ready: https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
        counts[service] = counts.get(service, 0) + sum(
            1 for endpoint in item.endpoints or () if endpoint.conditions.ready is not False
        )
    return counts
