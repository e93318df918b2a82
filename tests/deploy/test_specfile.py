"""Reading specs: what is accepted, and how everything else is refused."""

import pytest

from deploy.errors import Refused
from deploy.specfile import from_document, json_schema, read_spec, write_spec

MINIMAL = {"name": "mnist", "namespace": "models"}

REFUSED = [
    ({"namespace": "models"}, "name", None, "missing required field"),
    (MINIMAL | {"name": "Mnist"}, "name", "Mnist", "matching regex"),
    (MINIMAL | {"name": "m" * 64}, "name", "m" * 64, "length <= 63"),
    (MINIMAL | {"framework": "caffe"}, "framework", "caffe", "invalid enum value"),
    (MINIMAL | {"replicas": -1}, "replicas", -1, ">= 0"),
    (MINIMAL | {"gpu": {"memoryMiB": "8Gi"}}, "gpu.memoryMiB", "8Gi", "expected `int | null`"),
    (MINIMAL | {"gpu": {"memory": 8}}, "gpu.memory", 8, "unknown field"),
    (MINIMAL | {"tolerations": [{}, 3]}, "tolerations[1]", 3, "expected `object`"),
    (MINIMAL | {"graph": {"name": "a", "children": [{"name": "B"}]}}, "graph.children[0].name", "B", "regex"),
]


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


def test_a_spec_survives_being_written_and_read() -> None:
    spec = read_spec("name: mnist\nnamespace: models\nframework: tensorflow\nmodelUri: gs://b/m\ngpu: {cards: 2}\n")
    assert read_spec(write_spec(spec)) == spec
    assert "apiVersion" not in write_spec(spec)


def test_the_json_schema_knows_every_field_and_refuses_others() -> None:
    model = json_schema()["$defs"]["ModelSpec"]
    assert {"name", "namespace", "modelUri", "gpu", "route", "overrides"} <= set(model["properties"])
    assert model["additionalProperties"] is False
    assert model["required"] == ["name", "namespace"]
