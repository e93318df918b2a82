"""The rules of Seldon's webhook and of GpuManager's allocator, each as a row: the object, and what is refused."""

from typing import Any

import pytest

from deploy.objects import allocation, webhook
from deploy.settings import Cluster
from deploy.spec import gpu


def cr(*predictors: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "m", "namespace": "n"}, "spec": {"predictors": list(predictors)} | spec}


def sklearn(name: str = "default", **fields: Any) -> dict[str, Any]:
    return {"name": name, "graph": {"name": "a", "implementation": "SKLEARN_SERVER", "modelUri": "gs://b/m"}} | fields


def server(implementation: str, uri: str | None = "gs://b/m") -> dict[str, Any]:
    return {"name": "default", "graph": {"name": "a", "implementation": implementation, "modelUri": uri}}


OWN = {"name": "default", "graph": {"name": "a"}, "componentSpecs": [{"spec": {"containers": [{"name": "a"}]}}]}
MIXED = OWN | {
    "graph": {
        "name": "a",
        "endpoint": {"type": "REST"},
        "children": [{"name": "a", "endpoint": {"type": "GRPC"}}],
    }
}
NO_ENGINE = {"seldon.io/no-engine": "true"}
TRAFFIC = "spec.predictors[].traffic"
ENDPOINTS = "spec.predictors[].graph.endpoint.type"
Row = tuple[str, dict[str, Any], str, Any, str]


def of_type(kind: str, name: str, traffic: int = 0) -> dict[str, Any]:
    return OWN | {"name": name, "traffic": traffic, "graph": {"name": "a", "endpoint": {"type": kind}}}


REFUSED: list[Row] = [
    ("protocol is known", cr(sklearn(), protocol="http"), "spec.protocol", "http", "seldon, tensorflow"),
    ("transport is known", cr(sklearn(), transport="soap"), "spec.transport", "soap", "rest, grpc"),
    ("server type is known", cr(sklearn(), serverType="amqp"), "spec.serverType", "amqp", "rpc, kafka"),
    ("some predictor", cr(), "spec.predictors", [], "at least one"),
    ("predictor names are unique", cr(sklearn(traffic=50), sklearn(traffic=50)),
     "spec.predictors", "default", "unique"),
    ("units have containers", cr({"name": "d", "graph": {"name": "a"}}), "spec.predictors[0].graph.name", "a",
     "needs a container"),
    ("units have containers", cr(OWN | {"graph": {"name": "a", "children": [{"name": "b"}]}}),
     "spec.predictors[0].graph.children[0].name", "b", "needs a container"),
    ("units have containers", cr({"name": "d", "graph": {"name": "a", "implementation": "UNKNOWN_IMPLEMENTATION"}}),
     "spec.predictors[0].graph.name", "a", "needs a container"),
    ("prepackaged servers have a modelUri", cr(server("TENSORFLOW_SERVER", None)),
     "spec.predictors[0].graph.modelUri", None, "TENSORFLOW_SERVER needs"),
    ("prepackaged servers have a modelUri", cr(server("LIGHTGBM_SERVER", "")),
     "spec.predictors[0].graph.modelUri", "", "LIGHTGBM_SERVER needs"),
    *[("tensorflow protocol only for its servers", cr(server(name), protocol="tensorflow"),
       "spec.protocol", "tensorflow", name) for name in webhook.NO_TENSORFLOW_PROTOCOL],
    ("traffic sums to 100", cr(sklearn("a", traffic=50), sklearn("b", traffic=40)), TRAFFIC, [50, 40], "sum to 100"),
    ("traffic sums to 100", cr(sklearn("a"), sklearn("b")), TRAFFIC, [0, 0], "sum to 100"),
    ("traffic sums to 100", cr(sklearn(traffic=1)), "spec.predictors[0].traffic", 1, "single predictor"),
    ("traffic sums to 100", cr(sklearn(traffic=99)), "spec.predictors[0].traffic", 99, "single predictor"),
    ("one shadow, never alone", cr(sklearn("a"), sklearn("b", shadow=True), sklearn("c", shadow=True)),
     "spec.predictors[].shadow", 2, "one shadow"),
    ("one shadow, never alone", cr(sklearn(shadow=True)), "spec.predictors[].shadow", True, "alone"),
    ("one shadow, never alone", cr(sklearn("a"), sklearn("b", shadow=True, traffic=101)), TRAFFIC, 101, "0 to 100"),
    ("one shadow, never alone", cr(sklearn("a"), sklearn("b", shadow=True, traffic=-1)), TRAFFIC, -1, "0 to 100"),
    ("no engine only with one node", cr(OWN | {"annotations": NO_ENGINE, "graph": {"name": "a", "children": [{}]}}),
     "spec.predictors[0].graph.children", 1, "one node"),
    ("no engine only with one node", cr(OWN | {"graph": {"name": "a", "children": [{}]}}, annotations=NO_ENGINE),
     "spec.predictors[0].graph.children", 1, "one node"),
    ("service names are unique", cr(sklearn("a", traffic=50, annotations={"seldon.io/svc-name": "s"}),
     sklearn("b", traffic=50, annotations={"seldon.io/svc-name": "s"})),
     "spec.predictors[].annotations[seldon.io/svc-name]", "s", "share the requests"),
    *[("kafka has its variables", cr(sklearn(), serverType="kafka"),
       f"spec.predictors[0].svcOrchSpec.env[{name}]", None, "kafka") for name in webhook.KAFKA_ENV],
    ("endpoint types are not mixed", cr(MIXED), ENDPOINTS, ["GRPC", "REST"], "mixed"),
    ("endpoint types are not mixed", cr(of_type("REST", "a", 50), of_type("GRPC", "b", 50)), ENDPOINTS,
     ["GRPC", "REST"], "between predictors"),
    ("endpoint types are not mixed", cr(of_type("REST", "a"), transport="grpc"), "spec.transport", "grpc", "REST"),
    ("no engine only with one node", cr(OWN | {"annotations": {"seldon.io/no-engine": ""},
     "graph": {"name": "a", "children": [{}]}}), "spec.predictors[0].graph.children", 1, "one node"),
    ("units say what they do", cr(OWN | {"graph": {"name": "a", "type": "UNKNOWN_TYPE"}}),
     "spec.predictors[0].graph.type", "UNKNOWN_TYPE", "methods"),
    ("request logging has a mode", cr(OWN | {"graph": {"name": "a", "logger": {"url": "http://x"}}}),
     "spec.predictors[0].graph.logger.mode", None, "all, request or response"),
]  # fmt: skip

ACCEPTED = {
    "one server": cr(sklearn()),
    "traffic 100 on a single predictor": cr(sklearn(traffic=100)),
    "traffic 0 on a single predictor": cr(sklearn(traffic=0)),
    "a canary": cr(sklearn("a", traffic=90), sklearn("b", traffic=10)),
    "a shadow beside one predictor": cr(sklearn("a", traffic=100), sklearn("b", shadow=True, traffic=20)),
    "an own image": cr(OWN),
    "huggingface without a modelUri": cr(server("HUGGINGFACE_SERVER", None), protocol="v2"),
    "a simple model without a container": cr({"name": "d", "graph": {"name": "a", "implementation": "SIMPLE_MODEL"}}),
    "a unit that names its methods": cr(
        OWN | {"graph": {"name": "a", "type": "UNKNOWN_TYPE", "methods": ["TRANSFORM_INPUT"]}}
    ),
    "endpoints of the transport": cr(of_type("GRPC", "a"), transport="grpc"),
    "requests that are logged": cr(OWN | {"graph": {"name": "a", "logger": {"mode": "all"}}}),
    "tensorflow by its protocol": cr(server("TENSORFLOW_SERVER"), protocol="tensorflow"),
    "the old name of v2": cr(server("TRITON_SERVER"), protocol="kfserving"),
    "kafka with all its variables": cr(
        sklearn(svcOrchSpec={"env": [{"name": name, "value": "x"} for name in webhook.KAFKA_ENV]}), serverType="kafka"
    ),
}


@pytest.mark.parametrize("row", REFUSED, ids=[f"{row[0]}: {row[4]} {row[3]}" for row in REFUSED])
def test_what_seldons_webhook_refuses_is_refused_before(row: Row) -> None:
    rule, body, field, value, text = row
    (found, *_) = [item for item in webhook.RULES[rule](body) if (item.field, item.value) == (field, value)]
    assert text in found.rule
    assert found in list(webhook.refusals(body))


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_seldons_webhook_accepts_passes(body: dict[str, Any]) -> None:
    assert list(webhook.refusals(body)) == []


def test_every_rule_of_the_webhook_has_a_row() -> None:
    assert {row[0] for row in REFUSED} == set(webhook.RULES)


def gpu_container(limits: dict[str, Any], requests: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"name": "a", "resources": {"limits": limits, "requests": limits if requests is None else requests}} | fields


CORE, MEMORY = gpu.CORE, gpu.MEMORY
LD_PATH: dict[str, Any] = {"env": [{"name": "LD_LIBRARY_PATH", "value": "/opt"}]}
ALLOCATIONS: list[tuple[str, dict[str, Any], list[tuple[str, Any, str]]]] = [
    ("30 cores with memory", gpu_container({CORE: "30", MEMORY: "30"}), []),
    ("the README's sample, 50 cores and 30 blocks", gpu_container({CORE: "50", MEMORY: "30"}), []),
    ("99 cores with the whole memory", gpu_container({CORE: "99", MEMORY: "60"}), []),
    ("100 cores", gpu_container({CORE: 100}), []),
    ("200 cores", gpu_container({CORE: "200"}), []),
    ("whole card with LD_LIBRARY_PATH", gpu_container({CORE: "100"}, **LD_PATH), []),
    ("0 cores", gpu_container({CORE: "0", MEMORY: "4"}), [(CORE, "0", "above zero")]),
    ("30 without memory", gpu_container({CORE: "30"}), [(MEMORY, None, "memory above zero")]),
    ("30 with memory 0", gpu_container({CORE: "30", MEMORY: "0"}), [(MEMORY, "0", "memory above zero")]),
    ("150 cores", gpu_container({CORE: "150"}), [(CORE, "150", "multiple of 100")]),
    ("101 cores", gpu_container({CORE: "101"}), [(CORE, "101", "multiple of 100")]),
    ("half a core", gpu_container({CORE: "0.5", MEMORY: "1"}), [(CORE, "0.5", "whole number")]),
    ("memory in MiB", gpu_container({CORE: "30", MEMORY: "4Gi"}), [(MEMORY, "4Gi", "whole number of 256 MiB")]),
    ("memory alone", gpu_container({MEMORY: "4"}), [(CORE, None, "without cores")]),
    ("one card's memory", gpu_container({CORE: "30", MEMORY: "60"}), []),
    ("more than one card's memory", gpu_container({CORE: "30", MEMORY: "61"}), [(MEMORY, "61", "than one card")]),
    ("whole card with memory", gpu_container({CORE: "100", MEMORY: "4"}), [(MEMORY, "4", "exclusive")]),
    ("limits alone", gpu_container({CORE: "100"}, {}), [(CORE, "100", "must be equal")]),
    ("requests above limits", gpu_container({CORE: "30", MEMORY: "4"}, {CORE: "30", MEMORY: "8"}),
     [(MEMORY, "4", "must be equal")]),
    ("LD_LIBRARY_PATH in a share", gpu_container({CORE: "30", MEMORY: "4"}, **LD_PATH),
     [("LD_LIBRARY_PATH", "set", "escape the limit")]),
    ("no GPU at all", {"name": "a", **LD_PATH}, []),
]  # fmt: skip
CARD = Cluster(gpu_memory_mib=15_500)  # 60.5 blocks: GpuManager offers 60


@pytest.mark.parametrize("row", ALLOCATIONS, ids=[row[0] for row in ALLOCATIONS])
def test_what_gpumanager_refuses_on_the_node_is_refused_before(row: Any) -> None:
    _, container, expected = row
    found = list(allocation.refusals(iter([("pod", {}, {"containers": [container]})]), CARD))
    assert [(item.field.rpartition("[")[2].rstrip("]"), item.value) for item in found] == [
        (subject, value) for subject, value, _ in expected
    ]
    assert all(text in item.rule for item, (_, _, text) in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", ["predicate-time", "predicate-node", "predicate-gpu-idx-0", "gpu-assigned"])
def test_annotations_that_the_scheduler_writes_are_refused_in_a_template(name: str) -> None:
    metadata = {"annotations": {f"tencent.com/{name}": "1"}}
    (found,) = allocation.refusals(iter([("pod", metadata, {})]), CARD)
    assert "refused as predicated" in found.rule


def test_the_memory_of_the_selected_card_counts_not_that_of_the_largest() -> None:
    cluster = Cluster(gpu_memory_mib=81_920, gpu_cards=("Tesla-T4=15109",))
    pod = {"nodeSelector": {gpu.MODEL_LABEL: "Tesla-T4"}, "containers": [gpu_container({CORE: "10", MEMORY: "60"})]}
    (found,) = allocation.refusals(iter([("pod", {}, pod)]), cluster)
    assert "than one card" in found.rule
