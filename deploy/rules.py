"""The rules of a spec that several fields, or the cluster's settings, decide together.

One row a rule: what it is called, and a function that yields the refusals of a spec. What Seldon and GpuManager demand
of the rendered objects is in `deploy.webhook` and `deploy.allocation`; `deploy.render` applies all three.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from deploy.errors import Refusal
from deploy.frameworks import SERVERS, container_of, implementation_of, protocol_of
from deploy.graph import pods_of, root_of, walk
from deploy.route.rules import ROUTE_RULES
from deploy.seldon import pinned_service
from deploy.settings import Cluster
from deploy.spec import Autoscaling, ModelSpec, Serving

Rule = Callable[[ModelSpec, Cluster], Iterator[Refusal]]

URI_SCHEMES = ("gs", "s3", "hdfs", "pvc", "oci", "http", "https", "azure", "file", "webhdfs", "swebhdfs")
_URI = re.compile(r"^(?P<scheme>[a-z0-9]+)(://|:)(?P<rest>.+)$")
_QUANTITY = re.compile(r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")
_ENV_NAME = re.compile(r"^[-._a-zA-Z][-._a-zA-Z0-9]*$")
_PERCENT = re.compile(r"^[0-9]{1,3}%$")
PREFLIGHT_FEATURES_MAX = 16


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


def _names(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    service = pinned_service(spec)
    if service is not None and len(service) > 63:
        rule = f"with predictor {spec.predictor!r} its Service would have {len(service)} characters; 63 is the most"
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


def _uri(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    for path, serving in servings(spec):
        uri = serving.model_uri
        if uri is None:
            if SERVERS[serving.framework].needs_uri and implementation_of(serving):
                yield Refusal(f"{path}modelUri", None, f"framework {serving.framework} needs a modelUri")
            continue
        match = _URI.match(uri)
        if match is None or match["scheme"] not in URI_SCHEMES:
            yield Refusal(f"{path}modelUri", uri, f"it must start with one of {', '.join(URI_SCHEMES)} and ://")
        elif match["scheme"] == "hdfs" and not uri.startswith("hdfs://"):
            yield Refusal(f"{path}modelUri", uri, "it must start with hdfs://")


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


def _quantities(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    for path, serving in servings(spec):
        for half in ("requests", "limits"):
            for name, quantity in getattr(serving.resources, half).items():
                field = f"{path}resources.{half}[{name}]"
                if name.startswith("tencent.com/"):
                    yield Refusal(field, quantity, "GPU shares and cards are written as `gpu`")
                elif not _QUANTITY.match(quantity):
                    yield Refusal(field, quantity, "it must be a Kubernetes quantity such as 500m, 2 or 4Gi")


def _gpu(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    for path, serving in servings(spec):
        gpu = serving.gpu
        if gpu is None:
            continue
        if (gpu.cards is None) == (gpu.cores is None):
            rule = "write either `cores` (a share of one card, 1 to 99) or `cards` (whole ones)"
            yield Refusal(f"{path}gpu", {"cores": gpu.cores, "cards": gpu.cards}, rule)
        if gpu.cards is not None and gpu.cards < 1:
            yield Refusal(f"{path}gpu.cards", gpu.cards, "at least one card")
        if gpu.cores is not None and gpu.cores < 1:
            yield Refusal(f"{path}gpu.cores", gpu.cores, "at least 1 hundredth of a card")
        if gpu.cards is not None and gpu.memory_mib is not None:
            rule = "a whole card is exclusive and its memory is not limited; leave memoryMiB out"
            yield Refusal(f"{path}gpu.memoryMiB", gpu.memory_mib, rule)
        if gpu.memory_mib is not None and gpu.memory_mib < 0:
            yield Refusal(f"{path}gpu.memoryMiB", gpu.memory_mib, "memory is not negative")
        if gpu.cards is not None and gpu.core_limit is not None:
            yield Refusal(f"{path}gpu.coreLimit", gpu.core_limit, "only a share can have a core limit")


def _environment(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    for path, serving in servings(spec):
        for name in [*serving.env, *serving.secret_env]:
            if not _ENV_NAME.match(name):
                yield Refusal(f"{path}env", name, "it is no name of an environment variable")
        for name in serving.env.keys() & serving.secret_env.keys():
            yield Refusal(f"{path}secretEnv[{name}]", name, "the variable is in `env` as well")
        for secret, mount in serving.mount_secrets.items():
            if not mount.startswith("/") or mount.startswith("/mnt/models"):
                rule = "it must be an absolute path outside /mnt/models, which is the model's"
                yield Refusal(f"{path}mountSecrets[{secret}]", mount, rule)


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
    elif not scaling.triggers:
        yield Refusal("autoscaling.triggers", [], "keda needs at least one trigger")


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
        if isinstance(value, str) and not _PERCENT.match(value):
            yield Refusal(f"disruption.{name}", value, "it must be a number or a percentage such as 25%")
    floor = spec.autoscaling.min_replicas if spec.autoscaling else spec.replicas
    if isinstance(budget.min_available, int) and 0 < floor <= budget.min_available:
        rule = f"with {floor} replicas no pod could ever be evicted and node drains would hang"
        yield Refusal("disruption.minAvailable", budget.min_available, rule)


def _stopping(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    if spec.drain_seconds is not None and spec.grace_seconds is not None and spec.drain_seconds >= spec.grace_seconds:
        rule = f"draining must end before graceSeconds ({spec.grace_seconds}), or requests are cut"
        yield Refusal("drainSeconds", spec.drain_seconds, rule)


def _features(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    for path, serving in servings(spec):
        features = serving.cpu_features or ()
        for feature in features:
            if not re.fullmatch(r"[A-Z0-9]+[A-Z0-9._]*", feature):
                rule = "a feature is named as in node-feature-discovery's cpu-cpuid labels: AVX2, AVX512F, FMA3"
                yield Refusal(f"{path}cpuFeatures", feature, rule)
        if len(features) > PREFLIGHT_FEATURES_MAX:
            yield Refusal(f"{path}cpuFeatures", len(features), f"at most {PREFLIGHT_FEATURES_MAX} features")


def _wire(field: str) -> str:
    head, *rest = field.split("_")
    return head + "".join(part.capitalize() for part in rest)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "names fit": _names,
        "one place for servers": _one_server,
        "a server exists": _server,
        "modelUri is readable": _uri,
        "the protocol is spoken": _protocol,
        "containers of a pod differ": _shared_containers,
        "built-in units": _builtin,
        "no orchestrator, no graph": _no_orchestrator,
        "quantities": _quantities,
        "gpu is a share or cards": _gpu,
        "environment": _environment,
        "scaling": _scaling,
        "disruption budget": _disruption,
        "stopping": _stopping,
        "cpu features": _features,
        **ROUTE_RULES,
    }
)
