"""The state of models as samples, derived from the whole cluster at each scrape. Pure."""

from __future__ import annotations

from exporter.cluster import Cluster
from exporter.objects import SeldonDeployment
from exporter.page import families as fam
from exporter.page.family import Scope
from exporter.page.samples import Samples
from exporter.page.sink import Subject
from milepost.identity import Identity

STATES = ("Available", "Creating", "Failed")


def add_model_lines(out: Samples, cluster: Cluster) -> None:
    """Add every family about models."""
    ready = cluster.ready_replicas()
    routed = _add_routes(out, cluster)
    for model in cluster.models:
        meta = model.metadata
        subject = Subject.of(Identity(meta.namespace, meta.name), Scope.MODEL)
        _add_state(out, subject, model)
        out.add(fam.MODEL_HAS_INGRESS, subject, int((meta.namespace, meta.name) in routed))
        for predictor in cluster.predictors(model, ready):
            at = Subject.of(Identity(meta.namespace, meta.name, predictor.name), Scope.PREDICTOR)
            out.add(fam.MODEL_REPLICAS_WANTED, at, predictor.wanted)
            out.add(fam.MODEL_REPLICAS_AVAILABLE, at, predictor.available)
            out.add(fam.MODEL_TRAFFIC_WEIGHT, at, predictor.weight)


def _add_state(out: Samples, subject: Subject, model: SeldonDeployment) -> None:
    states = STATES if model.status.state in (*STATES, "") else (*STATES, model.status.state)
    for state in states:
        out.add(fam.MODEL_STATE, subject, int(state == model.status.state), state)


def _add_routes(out: Samples, cluster: Cluster) -> set[tuple[str, str]]:
    routed = set()
    for route in sorted(set(cluster.routes()), key=repr):
        routed.add((route.namespace, route.model))
        subject = Subject.of(Identity(route.namespace, route.model, route.predictor), Scope.PREDICTOR)
        out.add(fam.MODEL_INGRESS, subject, 1, route.ingress, route.host, route.path, str(route.canary).lower())
    return routed
