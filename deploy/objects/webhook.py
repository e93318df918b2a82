"""The rules of Seldon's validating webhook, as a table over a rendered SeldonDeployment.

Source: SeldonIO/seldon-core v1.18.2 `operator/apis/machinelearning.seldon.io/v1/seldondeployment_webhook.go`. They are
applied here too because the webhook reads only apiVersion v1, is often not installed, and answers after a rollout has
begun. The object may come from a spec, from a patch over it, or from a cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from deploy.errors import Refusal
from deploy.objects import Body

Rule = Callable[[Body], Iterator[Refusal]]

PROTOCOLS = ("", "seldon", "tensorflow", "kfserving", "v2")
TRANSPORTS = ("", "rest", "grpc")
SERVER_TYPES = ("", "rpc", "kafka")
BUILT_IN = ("", "UNKNOWN_IMPLEMENTATION", "SIMPLE_MODEL", "SIMPLE_ROUTER", "RANDOM_ABTEST", "AVERAGE_COMBINER")
NO_TENSORFLOW_PROTOCOL = ("SKLEARN_SERVER", "XGBOOST_SERVER", "MLFLOW_SERVER", "HUGGINGFACE_SERVER")
WITHOUT_URI = ("HUGGINGFACE_SERVER",)
KAFKA_ENV = ("KAFKA_BROKER", "KAFKA_INPUT_TOPIC", "KAFKA_OUTPUT_TOPIC")


def refusals(body: Body) -> Iterator[Refusal]:
    """Yield every broken rule of one SeldonDeployment."""
    for rule in RULES.values():
        yield from rule(body)


def predictors(body: Body) -> list[Body]:
    """Return the predictors."""
    return list(body.get("spec", {}).get("predictors") or [])


def nodes(predictor: Body, index: int) -> Iterator[tuple[str, Body]]:
    """Yield (field, node) of a predictor's graph, parents first."""
    stack = [(f"spec.predictors[{index}].graph", predictor.get("graph") or {})]
    while stack:
        field, node = stack.pop()
        yield field, node
        children = [(f"{field}.children[{i}]", child) for i, child in enumerate(node.get("children") or [])]
        stack.extend(reversed(children))


def pods(body: Body) -> Iterator[tuple[str, Body, Body]]:
    """Yield (field, metadata, PodSpec) of every componentSpec."""
    for i, predictor in enumerate(predictors(body)):
        for j, component in enumerate(predictor.get("componentSpecs") or []):
            field = f"spec.predictors[{i}].componentSpecs[{j}]"
            yield field, component.get("metadata") or {}, component.get("spec") or {}


def _one_of(key: str, allowed: tuple[str, ...]) -> Rule:
    def rule(body: Body) -> Iterator[Refusal]:
        value = body.get("spec", {}).get(key) or ""
        if value not in allowed:
            yield Refusal(f"spec.{key}", value, f"it must be one of {', '.join(filter(None, allowed))}")

    return rule


def _some_predictor(body: Body) -> Iterator[Refusal]:
    if not predictors(body):
        yield Refusal("spec.predictors", [], "there must be at least one predictor")


def _unique_names(body: Body) -> Iterator[Refusal]:
    names = Counter(predictor.get("name") for predictor in predictors(body))
    for name, count in names.items():
        if count > 1:
            yield Refusal("spec.predictors", name, f"{count} predictors have this name; names must be unique")


def _containers(body: Body) -> Iterator[Refusal]:
    for i, predictor in enumerate(predictors(body)):
        components = predictor.get("componentSpecs") or []
        present = {item.get("name") for c in components for item in (c.get("spec") or {}).get("containers") or []}
        for field, node in nodes(predictor, i):
            if node.get("implementation", "") in ("", "UNKNOWN_IMPLEMENTATION") and node.get("name") not in present:
                yield Refusal(
                    f"{field}.name", node.get("name"), "a unit without a server needs a container of its name"
                )


def _model_uri(body: Body) -> Iterator[Refusal]:
    for field, node in _prepackaged(body):
        if not node.get("modelUri") and node["implementation"] not in WITHOUT_URI:
            yield Refusal(f"{field}.modelUri", node.get("modelUri"), f"{node['implementation']} needs a modelUri")


def _tensorflow_protocol(body: Body) -> Iterator[Refusal]:
    if body.get("spec", {}).get("protocol") != "tensorflow":
        return
    for _, node in _prepackaged(body):
        if node["implementation"] in NO_TENSORFLOW_PROTOCOL:
            yield Refusal("spec.protocol", "tensorflow", f"{node['implementation']} does not speak this protocol")


def _traffic(body: Body) -> Iterator[Refusal]:
    serving = [p for p in predictors(body) if not p.get("shadow")]
    shares = [p.get("traffic") or 0 for p in serving]
    if len(serving) > 1 and sum(shares) != 100:
        yield Refusal("spec.predictors[].traffic", shares, "the traffic of several predictors must sum to 100")
    if len(serving) == 1 and 0 < shares[0] < 100:
        yield Refusal("spec.predictors[0].traffic", shares[0], "a single predictor has all the traffic: 0 or 100")


def _shadow(body: Body) -> Iterator[Refusal]:
    every = predictors(body)
    shadows = [p for p in every if p.get("shadow")]
    if len(shadows) > 1:
        yield Refusal("spec.predictors[].shadow", len(shadows), "there can be one shadow")
    if shadows and len(shadows) == len(every):
        yield Refusal("spec.predictors[].shadow", True, "a shadow cannot be alone")
    for shadow in shadows:
        if not 0 <= (shadow.get("traffic") or 0) <= 100:
            yield Refusal("spec.predictors[].traffic", shadow.get("traffic"), "a shadow's traffic is 0 to 100")


def _no_engine(body: Body) -> Iterator[Refusal]:
    everywhere = (body.get("spec", {}).get("annotations") or {}).get("seldon.io/no-engine") == "true"
    for i, predictor in enumerate(predictors(body)):
        # On a predictor the webhook asks whether the annotation is there, whatever it says.
        here = "seldon.io/no-engine" in (predictor.get("annotations") or {})
        if (everywhere or here) and (predictor.get("graph") or {}).get("children"):
            field = f"spec.predictors[{i}].graph.children"
            yield Refusal(field, len(predictor["graph"]["children"]), "without an orchestrator a graph has one node")


def _service_names(body: Body) -> Iterator[Refusal]:
    names = Counter((p.get("annotations") or {}).get("seldon.io/svc-name") for p in predictors(body))
    for name, count in names.items():
        if name and count > 1:
            rule = f"{count} predictors have this Service name; they would share the requests"
            yield Refusal("spec.predictors[].annotations[seldon.io/svc-name]", name, rule)


def _kafka(body: Body) -> Iterator[Refusal]:
    if body.get("spec", {}).get("serverType") != "kafka":
        return
    for i, predictor in enumerate(predictors(body)):
        env: list[Any] = (predictor.get("svcOrchSpec") or {}).get("env") or []
        present = {item.get("name") for item in env}
        for name in KAFKA_ENV:
            if name not in present:
                yield Refusal(f"spec.predictors[{i}].svcOrchSpec.env[{name}]", None, "serverType kafka needs it")


def _endpoint_types(body: Body) -> Iterator[Refusal]:
    every = [node for i, predictor in enumerate(predictors(body)) for _, node in nodes(predictor, i)]
    kinds = {str((node.get("endpoint") or {}).get("type") or "") for node in every} - {""}
    transport = str(body.get("spec", {}).get("transport") or "")
    if len(kinds) > 1:
        rule = "endpoint types cannot be mixed, also not between predictors"
        yield Refusal("spec.predictors[].graph.endpoint.type", sorted(kinds), rule)
    elif transport and kinds - {transport.upper()}:
        rule = f"the endpoints are of another type: {', '.join(sorted(kinds))}"
        yield Refusal("spec.transport", transport, rule)


def _methods(body: Body) -> Iterator[Refusal]:
    for i, predictor in enumerate(predictors(body)):
        for field, node in nodes(predictor, i):
            own = node.get("implementation", "") in ("", "UNKNOWN_IMPLEMENTATION")
            if own and node.get("type") == "UNKNOWN_TYPE" and not node.get("methods"):
                yield Refusal(f"{field}.type", "UNKNOWN_TYPE", "a unit of no known type must name its methods")


def _logger(body: Body) -> Iterator[Refusal]:
    for i, predictor in enumerate(predictors(body)):
        for field, node in nodes(predictor, i):
            if node.get("logger") is not None and not node["logger"].get("mode"):
                yield Refusal(f"{field}.logger.mode", node["logger"].get("mode"), "all, request or response")


def _prepackaged(body: Body) -> Iterator[tuple[str, Body]]:
    for i, predictor in enumerate(predictors(body)):
        for field, node in nodes(predictor, i):
            if (node.get("implementation") or "") not in BUILT_IN:
                yield field, node


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "protocol is known": _one_of("protocol", PROTOCOLS),
        "transport is known": _one_of("transport", TRANSPORTS),
        "server type is known": _one_of("serverType", SERVER_TYPES),
        "some predictor": _some_predictor,
        "predictor names are unique": _unique_names,
        "units have containers": _containers,
        "prepackaged servers have a modelUri": _model_uri,
        "tensorflow protocol only for its servers": _tensorflow_protocol,
        "traffic sums to 100": _traffic,
        "one shadow, never alone": _shadow,
        "no engine only with one node": _no_engine,
        "service names are unique": _service_names,
        "kafka has its variables": _kafka,
        "endpoint types are not mixed": _endpoint_types,
        "units say what they do": _methods,
        "request logging has a mode": _logger,
    }
)
