"""What the cluster's objects say together: wanted and available replicas, routes, the model behind a Service."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporter.cluster import Cluster, Route, wanted_replicas
from exporter.cluster.podindex import PodIndex
from exporter.objects import SeldonDeployment
from exporter.settings import ExporterSettings, WatchSettings, node_name, shard_of
from milepost.settings import SettingsError
from tests.exporter.workload import ENGINE, Object, ingress, running, seldon_deployment, seldon_pod, service


def decoded(item: Object) -> SeldonDeployment:
    return msgspec.json.decode(msgspec.json.encode(item), type=SeldonDeployment)


def deployment(*, spec: Object | None = None, status: Object | None = None, **predictor: Any) -> SeldonDeployment:
    content = {"metadata": {"name": "fraud", "namespace": "models"}, "status": status or {}}
    return decoded({**content, "spec": {**(spec or {}), "predictors": [{"name": "default", **predictor}]}})


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (deployment(), 1),
        (deployment(spec={"replicas": 3}), 3),
        (deployment(spec={"replicas": 3}, replicas=2), 2),
        (deployment(spec={"replicas": 3}, replicas=2, componentSpecs=[{"replicas": 4}, {}]), 6),
        (deployment(replicas=0), 0),
        (deployment(replicas=2, componentSpecs=[{"hpaSpec": {"maxReplicas": 9}}],
                    status={"deploymentStatus": {"fraud-default-0-classifier": {"replicas": 7},
                                                 "fraud-canary-0-classifier": {"replicas": 5}}}), 7),
    ],
)  # fmt: skip
def test_how_many_replicas_are_wanted(model: SeldonDeployment, wanted: int) -> None:
    assert wanted_replicas(model, model.spec.predictors[0]) == wanted


def test_traffic_of_a_lone_predictor_is_all_and_a_shadows_its_own() -> None:
    content = seldon_deployment("fraud")
    shadow = {"name": "shadow", "shadow": True, "traffic": 10}
    content["spec"]["predictors"].append(shadow)
    states = {state.name: state.weight for state in filled().predictors(decoded(content), {})}
    assert states == {"default": 1.0, "shadow": 0.1}


def filled(*pods: Object, **objects: list[Object]) -> Cluster:
    found = Cluster(PodIndex(render=False))
    for pod in pods:
        found.pods.apply(msgspec.json.encode(pod), deleted=False)
    for name, items in objects.items():
        for item in items:
            getattr(found, name).apply(msgspec.json.encode(item), deleted=False)
    return found


def behind(cluster: Cluster, name: str) -> tuple[str, str]:
    return cluster.behind({("models", name)})["models", name]


def test_orchestrators_alone_and_explainers_are_no_replicas() -> None:
    replica = running(seldon_pod("replica"), "198.18.0.1")
    orchestrator = running(seldon_pod("orchestrator"), "198.18.0.2")
    orchestrator["spec"]["containers"] = [c for c in orchestrator["spec"]["containers"] if c["name"] == ENGINE]
    explainer = running(seldon_pod("explainer"), "198.18.0.3")
    explainer["metadata"]["labels"]["seldon.io/explainer"] = "true"
    ready = filled(replica, orchestrator, explainer).ready_replicas()
    assert ready == {("models", "fraud", "default"): 1}


def test_a_service_leads_where_its_selector_says_whatever_its_name() -> None:
    pod = running(seldon_pod("p", predictor="r2"), "198.18.0.1")
    named = service("anything", model="fraud", predictor="r2")
    named["metadata"]["labels"] = {}
    assert behind(filled(pod, services=[named]), "anything") == ("fraud", "r2")


def test_a_service_without_pods_leads_where_its_labels_say() -> None:
    assert behind(filled(services=[service("x", model="fraud", predictor="r2")]), "x") == ("fraud", "r2")


def test_a_service_of_nothing_known_leads_to_no_model() -> None:
    other = {"metadata": {"name": "web", "namespace": "models"}, "spec": {"selector": {"app": "web"}}}
    found = filled(services=[other])
    assert behind(found, "web") == behind(found, "not-there") == ("", "")


def test_an_ingress_is_a_route_to_each_model_it_leads_to() -> None:
    canary = ingress("fraud-canary", "fraud-r2")
    canary["metadata"]["annotations"] = {"nginx.ingress.kubernetes.io/canary": "true"}
    fallback = {"metadata": {"name": "all", "namespace": "models"},
                "spec": {"defaultBackend": {"service": {"name": "fraud-r1"}}}}  # fmt: skip
    found = filled(
        services=[service(f"fraud-{p}", model="fraud", predictor=p) for p in ("r1", "r2")],
        ingresses=[ingress("fraud", "fraud-r1"), canary, fallback, ingress("web", "web")],
    )
    host, path = "models.example.test", "/seldon/models"
    assert set(found.routes()) == {
        Route("models", "fraud", "r1", "fraud", host, f"{path}/fraud", canary=False),
        Route("models", "fraud", "r2", "fraud-canary", host, f"{path}/fraud-canary", canary=True),
        Route("models", "fraud", "r1", "all", "", "", canary=False),
    }


def test_an_object_that_is_deleted_is_gone() -> None:
    found = filled(ingresses=[ingress("fraud", "x")])
    found.ingresses.apply(msgspec.json.encode(ingress("fraud", "x")), deleted=True)
    assert len(found.ingresses) == 0


def test_the_node_must_be_named_in_node_mode() -> None:
    assert node_name(ExporterSettings(node=""), {"NODE_NAME": "n1"}) == "n1"
    assert node_name(ExporterSettings(node="n2"), {"NODE_NAME": "n1"}) == "n2"
    with pytest.raises(SettingsError, match="NODE_NAME"):
        node_name(ExporterSettings(node=""), {})


def test_a_stateful_sets_pod_knows_its_shard() -> None:
    shard = shard_of(WatchSettings(shards=3), {"HOSTNAME": "exporter-2"})
    assert (shard.index, shard.count) == (2, 3)
    assert shard_of(WatchSettings(shards=3, shard="1"), {}).index == 1
    for hostname in ("exporter-3", "exporter-7d9c6b5f4d-xkq2p", ""):
        with pytest.raises(SettingsError, match="must be 0 to 2"):
            shard_of(WatchSettings(shards=3), {"HOSTNAME": hostname})
