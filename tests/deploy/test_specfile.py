"""Reading specs: what is accepted, and how everything else is refused."""

import pytest

from deploy.errors import Refused
from deploy.spec.file import from_document, json_schema, read_spec, write_spec

MINIMAL = {"name": "mnist", "namespace": "models"}

REFUSED = [
    ({"namespace": "models"}, "name", None, "missing and has no default"),
    (MINIMAL | {"name": "Mnist"}, "name", "Mnist", "matching regex"),
    (MINIMAL | {"name": "m" * 64}, "name", "m" * 64, "length <= 63"),
    (MINIMAL | {"framework": "caffe"}, "framework", "caffe", "invalid enum value"),
    (MINIMAL | {"replicas": -1}, "replicas", -1, ">= 0"),
    (MINIMAL | {"gpu": {"memoryMiB": "8Gi"}}, "gpu.memoryMiB", "8Gi", "expected `int | null`"),
    (MINIMAL | {"gpu": {"memory": 8}}, "gpu.memory", 8, "no such field; did you mean memoryMiB?"),
    (MINIMAL | {"gpu": {"zzz": 8}}, "gpu.zzz", 8, "no such field"),
    (MINIMAL | {"replica": 2}, "replica", 2, "did you mean replicas"),
    (MINIMAL | {"env": {"A": "x", "B": 1}}, "env[B]", 1, "expected `str`, got `int`; write it in quotes"),
    (MINIMAL | {"env": {1: "x"}}, "env", {1: "x"}, "expected `str`, got `int`"),
    (MINIMAL | {"resources": {"limits": {"memory": "1Gi", "cpu": 1}}}, "resources.limits[cpu]", 1, "in quotes"),
    (MINIMAL | {"secretEnv": {"A": {"secret": "s", "key": "k"}, "B": {"secret": "s"}}}, "secretEnv[B].key", None,
     "missing"),
    (MINIMAL | {"secretEnv": {"A": {"secret": "s", "key": "k"}, "B": {"secret": "s", "key": "k", "keys": 1}}},
     "secretEnv[B].keys", 1, "did you mean key?"),
    (MINIMAL | {"graph": {"name": "a", "children": [{"name": "b", "env": {"A": 1}}]}}, "graph.children[0].env[A]", 1,
     "in quotes"),
    (MINIMAL | {"graph": {"name": "a", "children": [{"nam": "b"}]}}, "graph.children[0].nam", "b", "mean name?"),
    ([MINIMAL], "(spec)", [MINIMAL], "expected `object`"),
    (MINIMAL | {"tolerations": [{"kee": "x"}]}, "tolerations[0].kee", "x", "did you mean key?"),
    (MINIMAL | {"tolerations": [{}, 3]}, "tolerations[1]", 3, "expected `object`"),
    (MINIMAL | {"graph": {"name": "a", "children": [{"name": "B"}]}}, "graph.children[0].name", "B", "regex"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "field", "value", "rule"), REFUSED, ids=[row[1] for row in REFUSED])
def test_a_refusal_names_the_field_the_value_and_the_rule(document, field, value, rule):  # type: ignore[no-untyped-def]
    with pytest.raises(Refused) as caught:
        from_document(document)
    (refusal,) = caught.value.refusals
    assert (refusal.field, refusal.value) == (field, value)
    assert rule in refusal.rule


def test_text_that_is_not_yaml_is_refused_with_its_place() -> None:
    with pytest.raises(Refused, match=r"line 2, column"):
        read_spec("name: a\n  namespace: [")


def test_a_key_that_is_written_twice_is_refused_with_its_place() -> None:
    with pytest.raises(Refused, match=r"line 3, column 1.*'gpu' is written twice"):
        read_spec("gpu: {cards: 1}\nname: a\ngpu: {cards: 2}\n")
    assert read_spec("name: a\nnamespace: n\nenv: &e {A: b}\nnodeSelector: {<<: *e, A: c}").node_selector == {"A": "c"}


def test_a_spec_survives_being_written_and_read() -> None:
    spec = read_spec("name: mnist\nnamespace: models\nframework: tensorflow\nmodelUri: gs://b/m\ngpu: {cards: 2}\n")
    assert read_spec(write_spec(spec)) == spec
    assert "apiVersion" not in write_spec(spec)


def test_the_json_schema_knows_every_field_and_refuses_others() -> None:
    model = json_schema()["$defs"]["ModelSpec"]
    assert {"name", "namespace", "modelUri", "gpu", "route", "overrides"} <= set(model["properties"])
    assert model["additionalProperties"] is False
    assert model["required"] == ["name", "namespace"]
