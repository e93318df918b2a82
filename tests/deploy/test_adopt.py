"""Adopting what runs: the adopted spec renders to exactly what was there."""

import copy
import functools
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.adopt import adopt, normalise
from deploy.errors import Refused
from deploy.objects.patch import merge
from deploy.render import render
from deploy.settings import Cluster
from deploy.spec.file import read_spec, to_document, write_spec
from tests.deploy.golden_cases import cases

EXISTING = Path(__file__).parent / "existing"
CLUSTER = Cluster(servers=("LIGHTGBM_SERVER",))


def existing(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((EXISTING / f"{name}.yaml").read_text())
    return document


def assert_round_trip(body: dict[str, Any], cluster: Cluster) -> None:
    before = copy.deepcopy(body)
    adopted = adopt(body, cluster)
    assert body == before
    assert _by_name(render(adopted.release, cluster)[0].body) == _by_name(adopted.normal)
    assert read_spec(write_spec(adopted.release.stable)) == adopted.release.stable


@pytest.mark.parametrize("name", [path.stem for path in sorted(EXISTING.glob("*.yaml"))])
def test_an_existing_deployment_renders_back_to_itself(name: str) -> None:
    assert_round_trip(existing(name), CLUSTER)


@pytest.mark.parametrize("case", cases(), ids=[case.name for case in cases()])
def test_what_was_rendered_can_be_adopted(case: Any) -> None:
    assert_round_trip(case.render()[0].body, case.cluster)


def test_the_mnist_example_keeps_only_its_old_name_as_an_override() -> None:
    spec = adopt(existing("mnist"), CLUSTER).release.stable
    assert to_document(spec) == {
        "name": "tfserving",
        "namespace": "default",
        "framework": "tensorflow",
        "modelUri": "gs://seldon-models/tfserving/mnist-model",
        "parameters": {"signature_name": "predict_images", "model_input": "images", "model_output": "scores"},
        "probes": None,
        "serviceName": None,
        "unit": "mnist-model",
        "protocol": "seldon",
        "graceSeconds": None,
        "drainSeconds": None,
        "cpuCheck": "none",
        "route": {"exposure": "none", "timeouts": {"requestSeconds": None}},
        "logs": None,
        "overrides": ({"kind": "SeldonDeployment", "patch": {"spec": {"name": "mnist"}}},),
    }


def test_what_the_spec_has_a_field_for_is_read_into_it() -> None:
    spec = adopt(existing("defaulted"), CLUSTER).release.stable
    assert spec.framework == "sklearn"
    assert spec.protocol == "v2"
    assert spec.gpu is not None
    assert (spec.gpu.cores, spec.gpu.memory_mib, spec.gpu.core_limit) == (30, 1024, 60)
    assert spec.env == {"A": "1"}
    assert spec.secret_env["B"].secret == "s"
    assert spec.autoscaling is not None
    assert (spec.autoscaling.min_replicas, spec.autoscaling.cpu_percent) == (2, 70)
    assert spec.disruption is not None
    assert spec.disruption.min_available == 1
    assert (spec.grace_seconds, spec.priority, spec.node_selector) == (40, "high", {"disk": "ssd"})
    assert spec.route.timeouts.request_seconds == 30
    assert spec.service_name == "iris-svc"
    assert spec.storage.secret == "rclone"


def test_a_change_of_an_adopted_spec_reaches_the_object() -> None:
    release = adopt(existing("defaulted"), CLUSTER).release
    moved = msgspec.structs.replace(release.stable, model_uri="gs://models/iris-2", framework="sklearn")
    graph = render(moved, CLUSTER)[0].body["spec"]["predictors"][0]["graph"]
    assert graph["modelUri"] == "gs://models/iris-2"


def test_two_predictors_become_a_stable_track_and_a_candidate() -> None:
    release = adopt(existing("canary"), CLUSTER).release
    assert release.candidate is not None
    assert release.split is not None
    assert (release.stable.predictor, release.candidate.predictor, release.split.percent) == ("first", "second", 25)


@pytest.mark.parametrize("names", [[], ["a", "b", "c"]])
def test_what_is_no_release_is_refused(names: list[str]) -> None:
    body = existing("mnist")
    first = body["spec"]["predictors"][0]
    body["spec"]["predictors"] = [first | {"name": name} for name in names]
    with pytest.raises(Refused, match="at most one candidate"):
        adopt(body, CLUSTER)


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"metadata": {"labels": "x"}}, "metadata.labels"),
        ({"spec": {"predictors": {"0": {"graph": ["x"]}}}}, "spec.predictors[0].graph"),
        ({"spec": {"predictors": {"0": {"componentSpecs": [1]}}}}, "spec.predictors[0].componentSpecs[0]"),
        (
            {"spec": {"predictors": {"0": {"componentSpecs": [{"hpaSpec": {}}]}}}},
            "spec.predictors[0].componentSpecs[0].hpaSpec.maxReplicas",
        ),
    ],
)
def test_what_has_not_the_shape_of_a_seldondeployment_is_refused_by_field(patch: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as caught:
        adopt(merge(existing("mnist"), patch), CLUSTER)
    assert [item.field for item in caught.value.refusals] == [field]


TEXT = st.text("abz019.-", max_size=6)
NAME = st.sampled_from(["m", "model-a", "x1"])
RESOURCES = st.dictionaries(
    st.sampled_from(["cpu", "memory", "ephemeral-storage"]), st.sampled_from(["1", "2Gi", "500m"])
)
HALVES = [("requests",), ("limits",), ("requests", "limits")]
ENV = st.lists(st.fixed_dictionaries({"name": st.sampled_from("ABC"), "value": TEXT}), max_size=3)
CONTAINER = st.fixed_dictionaries(
    {"name": NAME, "image": st.just("i:1")},
    optional={
        "env": ENV,
        "args": st.lists(TEXT, max_size=2),
        # Requests above limits would run nowhere, so nobody can adopt them.
        "resources": st.one_of(*(RESOURCES.map(functools.partial(dict.fromkeys, halves)) for halves in HALVES)),
        "ports": st.just([{"containerPort": 9000}]),
        "securityContext": st.just({"runAsUser": 8888}),
    },
)
PARAMETERS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from("pqr"),
            "value": TEXT,
            "type": st.sampled_from(["INT", "FLOAT", "DOUBLE", "STRING", "BOOL"]),
        }
    ),
    max_size=3,
)
PREDICTOR = st.fixed_dictionaries(
    {
        "name": st.just("default"),
        "graph": st.fixed_dictionaries(
            {
                "name": NAME,
                "implementation": st.sampled_from(["SKLEARN_SERVER", "TENSORFLOW_SERVER", "LIGHTGBM_SERVER"]),
                "modelUri": st.just("gs://m/a"),
            },
            optional={"parameters": PARAMETERS, "type": st.just("MODEL"), "children": st.just([])},
        ),
    },
    optional={
        "replicas": st.integers(0, 5),
        "annotations": st.dictionaries(st.sampled_from(["a", "seldon.io/svc-name"]), st.just("svc")),
        "labels": st.dictionaries(st.just("version"), TEXT),
        "componentSpecs": st.lists(
            st.fixed_dictionaries(
                {
                    "spec": st.fixed_dictionaries(
                        {"containers": st.lists(CONTAINER, min_size=1, max_size=2)},
                        optional={"terminationGracePeriodSeconds": st.integers(1, 60), "hostNetwork": st.just(True)},
                    )
                }
            ),
            max_size=2,
        ),
    },
)


@settings(deadline=None)
@given(PREDICTOR)
def test_any_deployment_round_trips(predictor: dict[str, Any]) -> None:
    body = {"metadata": {"name": "m", "namespace": "n"}, "spec": {"predictors": [predictor]}}
    assert_round_trip(body, CLUSTER)


def test_the_normal_form_is_a_fixed_point() -> None:
    for path in EXISTING.glob("*.yaml"):
        normal = normalise(yaml.safe_load(path.read_text()))
        assert normalise(normal) == normal


def _by_name(body: dict[str, Any]) -> dict[str, Any]:
    predictors = sorted(body["spec"]["predictors"], key=lambda item: str(item["name"]))
    return body | {"spec": body["spec"] | {"predictors": predictors}}
