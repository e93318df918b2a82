"""The rules of a spec that several fields, or the cluster's settings, decide together.

One row a rule: what it is called, and a function that yields the refusals of a spec. Here are those of the whole; those
of one server are in `deploy.rules.container`, of names in `deploy.rules.names`, of the route in `deploy.route.rules`.
What Seldon and GpuManager demand of the rendered objects is in `deploy.objects.webhook` and
`deploy.objects.allocation`; `deploy.render` applies all of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from deploy.errors import Refusal
from deploy.objects.graph import pods_of, root_of, walk
from deploy.objects.seldon import pinned_service
from deploy.route.rules import ROUTE_RULES
from deploy.rules.container import CONTAINER_RULES, ContainerRule
from deploy.rules.names import NAME_RULES
from deploy.settings import Cluster
from deploy.spec import Autoscaling, ModelSpec, Serving, Unit
from deploy.spec.frameworks import SERVERS, container_of, implementation_of, protocol_of

Rule = Callable[[ModelSpec, Cluster], Iterator[Refusal]]

GRAPH_DEPTH_MAX = 10
"""Seldon's CRD writes the levels of a graph out one by one, and the API server drops what is deeper."""
_PERCENT = re.compile(r"(100|[1-9]?[0-9])%")


def refusals(spec: ModelSpec, cluster: Cluster) -> Iterator[Refusal]:
    """Yield every rule that the spec breaks on this cluster."""
    for rule in RULES.values():
        yield from rule(spec, cluster)


def servings(spec: ModelSpec) -> Iterator[tuple[str, Serving]]:
    """Yield (path of the field, server) of everything in the spec that runs a server."""
    if spec.graph is None:
        yield "", spec
    else:
        yield from ((f"graph[{unit.name}].", unit) for unit in walk(spec.graph) if unit.builtin is None)
    if spec.shadow is not None:
        yield "shadow.", spec.shadow


def _each(rule: ContainerRule) -> Rule:
    """Return the rule of a spec that asks this of each of its servers."""

    def of_spec(spec: ModelSpec, cluster: Cluster) -> Iterator[Refusal]:
        for path, serving in servings(spec):
            yield from rule(path, serving, cluster)

    return of_spec


def _names(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    services = {spec.predictor: pinned_service(spec) or ""}
    if spec.shadow is not None:
        services[spec.shadow.predictor] = f"{spec.name}-{spec.shadow.predictor}"
    for predictor, service in services.items():
        if len(service) > 63:
            rule = f"with predictor {predictor!r} its Service would have {len(service)} characters; 63 is the most"
            yield Refusal("name", spec.name, rule)
    for name, count in Counter(unit.name for unit in walk(root_of(spec))).items():
        if count > 1:
            yield Refusal("graph", name, f"{count} units have this name; names of units are unique")


def _one_server(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    if spec.graph is None:
        return
    for field in ("server", "model_uri", "image", "gpu"):
        if getattr(spec, field) is not None:
            yield Refusal(_wire(field), getattr(spec, field), "with a graph, servers are written on its units")
    if spec.framework != "custom":
        yield Refusal("framework", spec.framework, "with a graph, servers are written on its units")


def _server(spec: ModelSpec, cluster: Cluster) -> Iterator[Refusal]:
    for path, serving in servings(spec):
        if serving.server and serving.framework != "custom":
            rule = "a server of seldon-config needs framework custom"
            yield Refusal(f"{path}server", serving.server, rule)
        elif serving.server and serving.server not in cluster.servers:
            known = ", ".join(cluster.servers) or "none"
            rule = f"seldon-config has no such server as far as setting --cluster-servers says (known: {known})"
            yield Refusal(f"{path}server", serving.server, rule)
        elif implementation_of(serving) is None and not serving.image:
            yield Refusal(f"{path}image", serving.image, "an own (non-reusable) server needs an image")


def _protocol(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    protocol = protocol_of(spec)
    for path, serving in servings(spec):
        allowed = SERVERS[serving.framework].protocols
        if protocol not in allowed:
            rule = f"framework {serving.framework} ({path or 'model'}) speaks {' or '.join(allowed)}"
            yield Refusal("protocol", protocol, rule)


def _shared_containers(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    protocol = protocol_of(spec)
    for group in pods_of(root_of(spec)):
        names = Counter(container_of(unit, unit.name, protocol) for unit in group)
        for name, count in names.items():
            if count > 1:
                rule = f"{count} units of one pod need the container {name!r}; give all but one `ownPod: true`"
                yield Refusal("graph", name, rule)


def _graph(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    if spec.graph is None:
        return
    if (depth := _depth(spec.graph)) > GRAPH_DEPTH_MAX:
        yield Refusal("graph", f"{depth} levels", f"Seldon's resource has at most {GRAPH_DEPTH_MAX} of them")
    for unit in walk(spec.graph):
        if unit.builtin is None and unit.type in ("router", "combiner") and not unit.children:
            yield Refusal(f"graph[{unit.name}].children", 0, f"a {unit.type} needs children")


def _depth(unit: Unit) -> int:
    return 1 + max(map(_depth, unit.children), default=0)


def _builtin(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    if spec.graph is None:
        return
    for unit in walk(spec.graph):
        if unit.builtin == "random-abtest" and len(unit.children) != 2:
            rule = "random-abtest chooses between exactly two children"
            yield Refusal(f"graph[{unit.name}].children", len(unit.children), rule)
        elif unit.builtin in ("simple-router", "average-combiner") and not unit.children:
            yield Refusal(f"graph[{unit.name}].children", 0, f"{unit.builtin} needs children")
        elif unit.builtin is not None and (unit.image or unit.server or unit.model_uri):
            rule = "the orchestrator performs it; it has no image, server or modelUri"
            yield Refusal(f"graph[{unit.name}].builtin", unit.builtin, rule)


def _no_orchestrator(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    if not spec.orchestrator and (len(list(walk(root_of(spec)))) > 1 or spec.request_log or spec.explainer):
        rule = "without an orchestrator there is one unit, no requestLog and no explainer"
        yield Refusal("orchestrator", False, rule)


def _scaling(spec: ModelSpec, cluster: Cluster) -> Iterator[Refusal]:
    scaling = spec.autoscaling
    most = spec.replicas if scaling is None else scaling.max_replicas
    if most > cluster.replicas_max:
        field = "replicas" if scaling is None else "autoscaling.maxReplicas"
        yield Refusal(field, most, f"at most {cluster.replicas_max} (setting --cluster-replicas-max)")
    if scaling is None:
        return
    if scaling.min_replicas > scaling.max_replicas:
        yield Refusal("autoscaling.minReplicas", scaling.min_replicas, f"above maxReplicas {scaling.max_replicas}")
    if scaling.kind == "hpa":
        yield from _hpa(spec, scaling)
    else:
        yield from _keda(scaling)


def _keda(scaling: Autoscaling) -> Iterator[Refusal]:
    if not scaling.triggers:
        yield Refusal("autoscaling.triggers", [], "keda needs at least one trigger")
    for number, trigger in enumerate(scaling.triggers):
        metadata = trigger.get("metadata")
        if not isinstance(trigger.get("type"), str):
            yield Refusal(f"autoscaling.triggers[{number}].type", trigger.get("type"), "KEDA's name of the scaler")
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            rule = "KEDA takes a mapping of texts; write numbers in quotes"
            yield Refusal(f"autoscaling.triggers[{number}].metadata", metadata, rule)
    for name, percent in (("cpuPercent", scaling.cpu_percent), ("memoryPercent", scaling.memory_percent)):
        if percent is not None:
            yield Refusal(f"autoscaling.{name}", percent, "keda scales by its triggers; write a trigger of type cpu")


def _hpa(spec: ModelSpec, scaling: Autoscaling) -> Iterator[Refusal]:
    if scaling.min_replicas == 0:
        yield Refusal("autoscaling.minReplicas", 0, "an HPA keeps at least one pod; only keda scales to zero")
    if scaling.triggers:
        yield Refusal("autoscaling.triggers", len(scaling.triggers), "triggers belong to keda")
    wanted = {"cpu": scaling.cpu_percent, "memory": scaling.memory_percent}
    if not any(wanted.values()):
        yield Refusal("autoscaling", None, "an HPA needs cpuPercent or memoryPercent")
    for path, serving in servings(spec):
        for resource, percent in wanted.items():
            if percent and resource not in serving.resources.requests and not path.startswith("shadow"):
                rule = f"an HPA on {resource} is a percentage of its request, so a request is needed"
                yield Refusal(f"{path}resources.requests[{resource}]", None, rule)


def _disruption(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    budget = spec.disruption
    if budget is None:
        return
    values = {"minAvailable": budget.min_available, "maxUnavailable": budget.max_unavailable}
    if sum(value is not None for value in values.values()) != 1:
        yield Refusal("disruption", values, "write exactly one of minAvailable and maxUnavailable")
    for name, value in values.items():
        if value is not None and not (value >= 0 if isinstance(value, int) else _PERCENT.fullmatch(value)):
            yield Refusal(f"disruption.{name}", value, "it must be a number from 0 or a percentage such as 25%")
    if budget.max_unavailable in (0, "0%") or budget.min_available == "100%":
        yield Refusal("disruption", values, "no pod could ever be evicted and node drains would hang")
    floor = spec.autoscaling.min_replicas if spec.autoscaling else spec.replicas
    if isinstance(budget.min_available, int) and 0 < floor <= budget.min_available:
        rule = f"with {floor} replicas no pod could ever be evicted and node drains would hang"
        yield Refusal("disruption.minAvailable", budget.min_available, rule)


def _stopping(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    if spec.drain_seconds is not None and spec.grace_seconds is not None and spec.drain_seconds >= spec.grace_seconds:
        rule = f"draining must end before graceSeconds ({spec.grace_seconds}), or requests are cut"
        yield Refusal("drainSeconds", spec.drain_seconds, rule)


def _wire(field: str) -> str:
    head, *rest = field.split("_")
    return head + "".join(part.capitalize() for part in rest)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "names fit": _names,
        "one place for servers": _one_server,
        "a server exists": _server,
        "the protocol is spoken": _protocol,
        "containers of a pod differ": _shared_containers,
        "graph": _graph,
        "built-in units": _builtin,
        "no orchestrator, no graph": _no_orchestrator,
        "scaling": _scaling,
        "disruption budget": _disruption,
        "stopping": _stopping,
        **NAME_RULES,
        **{name: _each(rule) for name, rule in CONTAINER_RULES.items()},
        **ROUTE_RULES,
    }
)
