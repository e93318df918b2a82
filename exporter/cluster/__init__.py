"""The other objects of the cluster, and what they say together about models: state, replicas, routes, GPUs. Pure.

Which predictor a Service leads to is read from the Service, never computed from a name: the naming rule differs between
Seldon versions and can be overridden. Its selector or its own labels carry the Seldon labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from exporter.cluster.podindex import PodIndex
from exporter.objects import ComponentSpec, Ingress, Node, Predictor, SeldonDeployment, Service
from milepost.identity import APP_LABEL_V1, model_and_predictor

Kept = TypeVar("Kept", Node, Service, Ingress, SeldonDeployment)
Key = tuple[str, str]
CANARY = "nginx.ingress.kubernetes.io/canary"


class Objects(Generic[Kept]):
    """All objects of one resource by (namespace, name)."""

    def __init__(self, kind: type[Kept]) -> None:
        self._kind: type[Kept] = kind
        self._by_name: dict[Key, Kept] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._by_name.values())

    def get(self, namespace: str, name: str) -> Kept | None:
        """Return one object."""
        return self._by_name.get((namespace, name))

    def apply(self, raw: bytes, *, deleted: bool) -> Key:
        """Take an object's newest state, or forget it; return its (namespace, name). Raises msgspec.DecodeError."""
        found = msgspec.json.decode(raw, type=self._kind)
        key = (found.metadata.namespace, found.metadata.name)
        if deleted:
            self._by_name.pop(key, None)
        else:
            self._by_name[key] = found
        return key

    def retain(self, keys: set[Key]) -> None:
        """Forget all objects but these."""
        for key in self._by_name.keys() - keys:
            del self._by_name[key]


@dataclass(frozen=True, slots=True)
class PredictorState:
    """One predictor: how many replicas it should have and has, and its share of the model's traffic."""

    name: str
    wanted: int
    available: int
    weight: float


@dataclass(frozen=True, slots=True)
class Route:
    """One path of an Ingress that leads to a predictor."""

    namespace: str
    model: str
    predictor: str
    ingress: str
    host: str
    path: str
    canary: bool


class Cluster:
    """Everything held of the cluster, and the questions asked of it. Caller: one event loop."""

    def __init__(self, pods: PodIndex) -> None:
        self.pods = pods
        self.nodes = Objects(Node)
        self.services = Objects(Service)
        self.ingresses = Objects(Ingress)
        self.models = Objects(SeldonDeployment)

    def ready_replicas(self) -> Mapping[tuple[str, str, str], int]:
        """Count the ready replicas by (namespace, model, predictor)."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for entry in self.pods:
            who = entry.subject.identity
            if who.model and entry.ready and entry.replica:
                counts[who.namespace, who.model, who.predictor] += 1
        return counts

    def predictors(
        self, model: SeldonDeployment, ready: Mapping[tuple[str, str, str], int]
    ) -> Iterator[PredictorState]:
        """Yield the predictors of a SeldonDeployment."""
        meta = model.metadata
        alone = len([p for p in model.spec.predictors if not p.shadow]) == 1
        for predictor in model.spec.predictors:
            available = ready.get((meta.namespace, meta.name, predictor.name), 0)
            weight = 1.0 if alone and not predictor.shadow else (predictor.traffic or 0) / 100
            yield PredictorState(predictor.name, wanted_replicas(model, predictor), available, weight)

    def routes(self) -> Iterator[Route]:
        """Yield the paths of all Ingresses that lead to a model."""
        apps = self._predictor_by_app()
        for ingress in self.ingresses:
            meta = ingress.metadata
            canary = (meta.annotations or {}).get(CANARY) == "true"
            for host, path, service in _backends(ingress):
                model, predictor = self._behind(meta.namespace, service, apps)
                if model:
                    yield Route(meta.namespace, model, predictor, meta.name, host, path, canary)

    def behind(self, services: set[Key]) -> Mapping[Key, tuple[str, str]]:
        """Return the (model, predictor) that each Service leads to; ("", "") for one that leads to no model."""
        apps = self._predictor_by_app()
        return {key: self._behind(*key, apps) for key in services}

    def _behind(self, namespace: str, name: str, apps: Mapping[Key, tuple[str, str]]) -> tuple[str, str]:
        service = self.services.get(namespace, name)
        if service is None:
            return "", ""
        selector = service.spec.selector or {}
        by_app = apps.get((namespace, selector.get(APP_LABEL_V1, "")))
        if by_app:
            return by_app
        # No pod of it now (scaled to zero, or starting): the labels still say which model it is for.
        return model_and_predictor({**(service.metadata.labels or {}), **selector})

    def _predictor_by_app(self) -> Mapping[Key, tuple[str, str]]:
        return {
            (entry.subject.identity.namespace, entry.app): (
                entry.subject.identity.model,
                entry.subject.identity.predictor,
            )
            for entry in self.pods
            if entry.app
        }


def wanted_replicas(model: SeldonDeployment, predictor: Predictor) -> int:
    """Return how many pods a predictor should have.

    A component's own count wins over the predictor's, that over the deployment's; where an autoscaler decides, the
    Deployments' current target is the answer (Seldon Core `doc/source/graph/scaling.md`).
    """
    components = predictor.component_specs or (ComponentSpec(),)
    if any(component.hpa_spec for component in components):
        prefix = f"{model.metadata.name}-{predictor.name}-"
        deployments = model.status.deployment_status or {}
        return sum(status.replicas for name, status in deployments.items() if name.startswith(prefix))
    inherited = predictor.replicas if predictor.replicas is not None else model.spec.replicas
    default = inherited if inherited is not None else 1
    return sum(c.replicas if c.replicas is not None else default for c in components)


def _backends(ingress: Ingress) -> Iterator[tuple[str, str, str]]:
    if ingress.spec.default_backend and ingress.spec.default_backend.service:
        yield "", "", ingress.spec.default_backend.service.name
    for rule in ingress.spec.rules or ():
        for path in (rule.http.paths if rule.http else None) or ():
            if path.backend.service:
                yield rule.host, path.path, path.backend.service.name
