"""What a release renders to: golden files, and properties that hold for every one of them."""

import copy
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from deploy.objects import KubeObject, to_yaml
from deploy.objects.extras import network_policy
from deploy.objects.pods import log_hints
from deploy.render import render
from deploy.settings import Cluster
from deploy.spec import LogHints, ModelSpec, Network, RouteSpec, Storage
from deploy.spec.frameworks import SERVERS
from deploy.spec.release import Release
from tests.deploy.golden_cases import Case, cases

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_renders_what_the_golden_file_says(case: Case) -> None:
    assert to_yaml(case.render()) == case.golden.read_text()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_rendering_is_pure(case: Case) -> None:
    first = case.render()
    kept = copy.deepcopy([item.body for item in first])
    assert [item.body for item in case.render()] == kept
    assert list(yaml.safe_load_all(to_yaml(first))) == kept


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_object_is_of_the_models_namespace_ours_and_has_a_path(case: Case) -> None:
    objects = case.render()
    assert objects[0].kind == "SeldonDeployment"
    assert len({item.address for item in objects}) == len(objects)
    for item in objects:
        assert item.namespace == case.release.stable.namespace
        assert item.body["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "milepost"
        assert item.path.endswith(f"/namespaces/{item.namespace}/{item.path.split('/')[-2]}/{item.name}")


@pytest.mark.parametrize("framework", [name for name in SERVERS if name != "custom"])
def test_every_framework_renders_with_nothing_but_a_model_uri(framework: Any) -> None:
    spec = ModelSpec(name="m", namespace="n", framework=framework, model_uri="gs://bucket/m")
    seldon = render(spec, Cluster())[0].body
    assert seldon["spec"]["protocol"] == SERVERS[framework].protocols[0]
    assert seldon["spec"]["predictors"][0]["graph"]["implementation"] == SERVERS[framework].implementation


def test_pytorch_with_its_own_image_is_no_prepackaged_server() -> None:
    graph = _predictor(ModelSpec(name="m", namespace="n", framework="pytorch", image="own:1"))["graph"]
    assert "implementation" not in graph
    assert graph["type"] == "MODEL"


def test_only_tensorflow_asks_for_avx2_by_itself_and_a_spec_may_say_otherwise() -> None:
    plain = ModelSpec(name="m", namespace="n", framework="tensorflow", model_uri="gs://b/m")
    assert "cpu-cpuid.AVX2" in str(_predictor(plain))
    none = ModelSpec(name="m", namespace="n", framework="tensorflow", model_uri="gs://b/m", cpu_features=())
    assert "cpu-cpuid" not in str(_predictor(none))


def test_the_preflight_runs_before_the_storage_initializer_that_seldon_appends() -> None:
    spec = ModelSpec(name="m", namespace="n", framework="tensorflow", model_uri="gs://b/m", cpu_check="preflight")
    pod = _predictor(spec)["componentSpecs"][0]["spec"]
    assert [item["args"] for item in pod["initContainers"]] == [["preflight", "avx", "--feature=AVX2"]]
    assert "affinity" not in pod


@pytest.mark.parametrize("scheme", ["hdfs", "webhdfs", "swebhdfs"])
def test_a_model_of_hdfs_gets_our_initializer_unless_somebody_says_otherwise(scheme: str) -> None:
    spec = ModelSpec(name="m", namespace="n", framework="sklearn", model_uri=f"{scheme}://lake/m")
    key = "storageInitializerImage"
    assert _predictor(spec)["graph"][key] == Cluster().hdfs_initializer_image
    own = msgspec.structs.replace(spec, storage=Storage(initializer_image="own:1"))
    assert _predictor(own)["graph"][key] == "own:1"
    seldons = render(spec, Cluster(hdfs_initializer_image=""))[0].body["spec"]["predictors"][0]
    assert key not in seldons["graph"]
    assert key not in _predictor(msgspec.structs.replace(spec, model_uri="s3://bucket/m"))["graph"]


def test_a_model_without_exposure_has_no_route() -> None:
    spec = ModelSpec(name="m", namespace="n", framework="sklearn", model_uri="gs://b/m")
    kinds = {item.kind for item in render(spec, Cluster())}
    assert kinds == {"SeldonDeployment", "NetworkPolicy", "Ingress"}
    closed = ModelSpec(
        name="m", namespace="n", framework="sklearn", model_uri="gs://b/m", route=RouteSpec(exposure="none")
    )
    assert {item.kind for item in render(closed, Cluster())} == {"SeldonDeployment", "NetworkPolicy"}


def test_a_candidate_without_a_split_runs_dark() -> None:
    stable = ModelSpec(name="m", namespace="n", framework="sklearn", model_uri="gs://b/1", predictor="r1")
    candidate = ModelSpec(name="m", namespace="n", framework="sklearn", model_uri="gs://b/2", predictor="r2")
    objects = render(Release(stable=stable, candidate=candidate), Cluster())
    assert [item.name for item in objects if item.kind == "Ingress"] == ["m"]
    predictors = objects[0].body["spec"]["predictors"]
    assert [(item["name"], item["traffic"]) for item in predictors] == [("r1", 100), ("r2", 0)]


def test_the_stable_predictor_does_not_change_when_a_candidate_comes() -> None:
    stable = ModelSpec(name="m", namespace="n", framework="sklearn", model_uri="gs://b/1", predictor="r1")
    candidate = ModelSpec(name="m", namespace="n", framework="sklearn", model_uri="gs://b/2", predictor="r2")
    alone, together = _predictor(stable), _predictor(Release(stable=stable, candidate=candidate))
    assert together == alone | {"traffic": 100}


def test_observed_service_names_win_over_pinned_ones() -> None:
    spec = ModelSpec(name="m", namespace="n", framework="sklearn", model_uri="gs://b/m")
    ingress = render(spec, Cluster(), {"default": "seldon-0cc175b9c0f1b6a831c399e269772661"})[-1].body
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]
    assert backend["service"]["name"] == "seldon-0cc175b9c0f1b6a831c399e269772661"


def _predictor(release: Release | ModelSpec) -> dict[str, Any]:
    rendered: KubeObject = render(release, Cluster())[0]
    predictor: dict[str, Any] = rendered.body["spec"]["predictors"][0]
    return predictor


def test_the_log_hints_are_those_that_the_documentation_of_filebeat_shows() -> None:
    page = (Path(__file__).parents[2] / "docs" / "filebeat.md").read_text()
    shown = set(re.findall(r"co\.elastic\.logs/[a-z_.]+", page))
    hints = log_hints(LogHints(json=True, multiline_pattern="^T"))
    assert {name for name in hints if not name.endswith(("/enabled", ".type"))} <= shown


def test_the_network_policy_admits_the_namespaces_that_are_set_and_no_others() -> None:
    spec = ModelSpec(name="m", namespace="n", image="i:1", network=Network(allow_namespaces=("a",)))
    cluster = Cluster(ingress_namespace="edge", monitoring_namespace="", exporter_namespace="milepost-qa")
    peers = network_policy(spec, cluster).body["spec"]["ingress"][0]["from"]
    names = [next(iter(peer["namespaceSelector"]["matchLabels"].values())) for peer in peers[1:]]
    assert names == ["edge", "milepost-qa", "a"]
