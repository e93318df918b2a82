"""Patches: the laws of merge and difference, and what a patch over rendered objects may not do."""

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deploy.errors import Refused
from deploy.objects import shape
from deploy.objects.patch import PatchError, difference, merge
from deploy.render import render
from deploy.settings import Cluster
from deploy.spec import ModelSpec, Override
from deploy.spec.release import Release

KEYS = st.sampled_from(["name", "a", "b", "0", "spec"])
LEAVES = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["", "x", "y", "0"]))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
NAMED = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["x", "y", "z"]), "v": VALUES}),
    max_size=3,
    unique_by=lambda i: i["name"],
)
DOCUMENTS = st.dictionaries(KEYS, st.one_of(VALUES, NAMED), max_size=4)


@settings(deadline=None)
@given(DOCUMENTS, DOCUMENTS)
def test_the_difference_applied_to_the_old_gives_the_new(old: Any, new: Any) -> None:
    before = copy.deepcopy((old, new))
    try:
        patch = difference(old, new)
    except PatchError:
        assume(False)
    assert merge(old, patch) == new
    assert (old, new) == before


@settings(deadline=None)
@given(DOCUMENTS)
def test_equal_documents_have_no_difference(document: Any) -> None:
    assert difference(document, copy.deepcopy(document)) == {}


MERGES: list[tuple[Any, Any, Any]] = [
    ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    ({"a": 1}, {"a": None}, {}),
    ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
    ({"c": [{"name": "x", "v": 1}]}, {"c": {"x": {"v": 2}}}, {"c": [{"name": "x", "v": 2}]}),
    ({"c": [{"name": "x"}]}, {"c": {"y": {"v": 2}}}, {"c": [{"name": "x"}, {"name": "y", "v": 2}]}),
    ({"c": [{"name": "x"}, {"name": "y"}]}, {"c": {"x": None}}, {"c": [{"name": "y"}]}),
    ({"c": [{"v": 1}]}, {"c": {"0": {"w": 2}}}, {"c": [{"v": 1, "w": 2}]}),
    ({"c": [{"v": 1}]}, {"c": {"1": {"w": 2}}}, {"c": [{"v": 1}, {"w": 2}]}),
    ({"a": "text"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
]


@pytest.mark.parametrize(("target", "patch", "expected"), MERGES)
def test_merge(target: Any, patch: Any, expected: Any) -> None:
    assert merge(target, patch) == expected


@pytest.mark.parametrize("patch", [{"c": {"7": {}}}, {"c": {"nobody": None}}])
def test_an_item_that_is_not_there_is_named(patch: Any) -> None:
    with pytest.raises(PatchError, match=r"no item '(7|nobody)' in a list of 1"):
        merge({"c": [{"name": "x"}]}, patch)


def spec(*overrides: Override, **fields: Any) -> ModelSpec:
    base: dict[str, Any] = {"name": "m", "namespace": "n", "framework": "sklearn", "model_uri": "gs://b/m"}
    return ModelSpec(overrides=overrides, **(base | fields))


CONTAINER = "spec.predictors[0].componentSpecs[0].spec.containers[0]"


def of_container(**fields: Any) -> Override:
    return Override(kind="Predictor", patch={"componentSpecs": {"0": {"spec": {"containers": {"m": fields}}}}})


REFUSED: list[tuple[Override, str, str]] = [
    (Override(kind="Ingress", patch={"metadata": {"name": "x"}}), "overrides[0].patch.metadata.name", "move"),
    (Override(kind="Ingress", patch={"metadata": {"namespace": "x"}}), "overrides[0].patch.metadata.namespace", "move"),
    (Override(kind="Ingress", patch={"kind": None}), "overrides[0].patch.kind", "move"),
    (Override(kind="Ingress", patch={"metadata": {"labels": None}}), "overrides[0].patch.metadata.labels", "finds"),
    (Override(kind="Job", patch={}), "overrides[0]", "there is Ingress/m"),
    (Override(kind="Ingress", name="other", patch={}), "overrides[0]", "there is Ingress/m"),
    (Override(kind="Predictor", patch={"traffic": 50}), "overrides[0].patch.traffic", "has a field"),
    (Override(kind="Predictor", patch={"annotations": {"seldon.io/svc-name": "x"}}),
     "overrides[0].patch.annotations.seldon.io/svc-name", "has a field"),
    (Override(kind="Predictor", patch={"componentSpecs": {"5": {}}}), "overrides[0].patch", "no item '5'"),
    (Override(kind="Predictor", patch={"graph": {"modelUri": None}}), "spec.predictors[0].graph.modelUri", "needs"),
    (Override(kind="Predictor", patch={"componentSpecs": {"0": {"spec": {"containers": {"m": {"resources": {
     "limits": {"tencent.com/vcuda-core": "150"}, "requests": {"tencent.com/vcuda-core": "150"}}}}}}}}),
     f"{CONTAINER}.resources.limits[tencent.com/vcuda-core]", "multiple"),
    (of_container(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": 1}}),
     f"{CONTAINER}.resources.requests[memory]", "more than its limit"),
    (of_container(resources={"limits": {"mem": "1Gi"}}), f"{CONTAINER}.resources.limits[mem]", "no such resource"),
    (of_container(image="A B"), f"{CONTAINER}.image", "no reference"),
    (of_container(volumeMounts=[{"name": "a", "mountPath": "/x"}, {"name": "b", "mountPath": "/x"}]),
     f"{CONTAINER}.volumeMounts", "2 volumes"),
    (of_container(resources="x"), f"{CONTAINER}.resources", "expected `object`, got `str`"),
    (of_container(env=[{"value": "x"}]), f"{CONTAINER}.env[0].name", "missing"),
    (Override(kind="Predictor", patch={"graph": 1}), "spec.predictors[0].graph", "expected `object`, got `int`"),
    (Override(kind="Predictor", patch={"annotations": {"a": 1}}), "spec.predictors[0].annotations[a]", "in quotes"),
    (Override(kind="SeldonDeployment", patch={"spec": {"predictors": [{"name": "default", "graph": {"name": "m"},
     "componentSpecs": None}]}}), "spec.predictors[0].componentSpecs", "got `null`"),
    (Override(kind="SeldonDeployment", patch={"metadata": 1}), "overrides[0].patch.metadata.labels", "finds"),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=[row[1] for row in REFUSED])
def test_a_patch_is_checked_like_a_spec(row: tuple[Override, str, str]) -> None:
    override, field, text = row
    with pytest.raises(Refused) as caught:
        render(spec(override), Cluster())
    (found,) = [item for item in caught.value.refusals if item.field == field]
    assert text in found.rule


PARTS = ["spec", "metadata", "graph", "componentSpecs", "containers", "resources", "limits", "env", "name", "0", "m"]
PATCHES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, 1, "x", True, [], {}, [1], ["x"], [{}], [[]], {"a": 1}]),
    lambda inner: st.dictionaries(st.sampled_from(PARTS), inner, max_size=2),
    max_leaves=6,
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["Predictor", "SeldonDeployment", "Ingress", "NetworkPolicy"]), st.lists(st.sampled_from(PARTS)),
       PATCHES)  # fmt: skip
def test_any_patch_is_rendered_or_refused(kind: str, path: list[str], leaf: Any) -> None:
    for key in reversed(path):
        leaf = {key: leaf}
    assume(isinstance(leaf, dict))
    with contextlib.suppress(Refused):
        for item in render(spec(Override(kind=kind, patch=leaf)), Cluster()):
            assert list(shape.refusals(item.body)) == [] or item.kind != "SeldonDeployment"


def test_a_predictor_patch_follows_its_own_track() -> None:
    patch = Override(kind="Predictor", patch={"labels": {"team": "risk"}})
    release = Release(stable=spec(predictor="r1"), candidate=spec(patch, predictor="r2"))
    first, second = render(release, Cluster())[0].body["spec"]["predictors"]
    assert "labels" not in first
    assert second["labels"] == {"team": "risk"}
