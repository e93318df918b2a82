"""The rules of what a spec calls by name: other objects, labels, nodes, and what stands beside the model.

They hold for the spec as a whole; those of one server are in `deploy.rules.container`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

import re2

from deploy.errors import Refusal
from deploy.objects import MANAGED_BY, PREFIX
from deploy.objects.allocation import PREDICATE_PREFIXES, PREDICATE_RULE
from deploy.objects.graph import pods_of, root_of
from deploy.rules.container import resource_refusals, storage_refusals, uri_refusals
from deploy.settings import Cluster
from deploy.spec import ModelSpec, gpu
from deploy.spec.grammar import is_dns_label, is_dns_name, is_label_value, is_qualified_name

KEPT_LABELS = (*MANAGED_BY, "seldon-deployment-id", "seldon-app", "version")
KEPT_PREFIXES = (f"{PREFIX}/", "seldon.io/")
TOLERATION_OPERATORS = ("Equal", "Exists")
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def _objects(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    for field, name in (("priority", spec.priority), ("route.tlsSecret", spec.route.tls_secret)):
        if name is not None and not is_dns_name(name):
            yield Refusal(field, name, "no object of Kubernetes can have this name")
    for name in spec.network.allow_namespaces:
        if not is_dns_label(name):
            yield Refusal("network.allowNamespaces", name, "no namespace can have this name")


def _labels(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    for field, pairs in (("labels", spec.labels), ("nodeSelector", spec.node_selector)):
        for key, value in pairs.items():
            if not is_qualified_name(key):
                yield Refusal(field, key, "no label can have this key: at most 63 letters, digits and -_. after a /")
            if not is_label_value(value):
                rule = "a label's value has at most 63 letters, digits and -_., the first and last a letter or a digit"
                yield Refusal(f"{field}[{key}]", value, rule)
    for key, value in spec.labels.items():
        if key in KEPT_LABELS or key.startswith(KEPT_PREFIXES):
            yield Refusal(f"labels[{key}]", value, "Seldon and the platform find the model's objects by it")
    for key in spec.annotations:
        if not is_qualified_name(key):
            yield Refusal("annotations", key, "no annotation can have this key")
        elif key.startswith(PREDICATE_PREFIXES):
            yield Refusal(f"annotations[{key}]", spec.annotations[key], PREDICATE_RULE)


def _tolerations(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    for number, one in enumerate(spec.tolerations):
        field = f"tolerations[{number}]"
        if one.operator not in (None, *TOLERATION_OPERATORS):
            yield Refusal(f"{field}.operator", one.operator, f"it is one of {', '.join(TOLERATION_OPERATORS)}")
        if one.effect not in (None, "", *TAINT_EFFECTS):
            yield Refusal(f"{field}.effect", one.effect, f"it is one of {', '.join(TAINT_EFFECTS)}")
        if one.operator == "Exists" and one.value:
            yield Refusal(f"{field}.value", one.value, "operator Exists compares no value")
        if not one.key and one.operator != "Exists":
            yield Refusal(f"{field}.key", one.key, "without a key the operator must be Exists, which tolerates all")
        if one.toleration_seconds is not None and one.effect != "NoExecute":
            yield Refusal(f"{field}.tolerationSeconds", one.toleration_seconds, "only effect NoExecute has a time")


def _cards(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    """A pod runs on one node, so all its units need the same card, and the selector may not name another one."""
    for group in pods_of(root_of(spec)):
        wanted = {unit.gpu.model for unit in group if unit.gpu is not None and unit.gpu.model is not None}
        selected = spec.node_selector.get(gpu.MODEL_LABEL)
        if selected is not None and wanted - {selected}:
            rule = f"`gpu.model` selects {', '.join(sorted(wanted))}; write it there alone"
            yield Refusal(f"nodeSelector[{gpu.MODEL_LABEL}]", selected, rule)
        if len(wanted) > 1:
            rule = "units of one pod run on one node and so on one kind of card; give the others `ownPod: true`"
            yield Refusal("gpu.model", sorted(wanted), rule)


def _beside(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    yield from resource_refusals("orchestratorResources", spec.orchestrator_resources)
    if spec.explainer is not None:
        yield from resource_refusals("explainer.resources", spec.explainer.resources)
        yield from storage_refusals("explainer.storage", spec.explainer.storage)
        if spec.explainer.model_uri is not None:
            yield from uri_refusals("explainer.modelUri", spec.explainer.model_uri)
    if spec.request_log is not None and not _is_url(spec.request_log.url):
        yield Refusal("requestLog.url", spec.request_log.url, "it must be an http:// or https:// URL with a host")
    if spec.logs is not None and spec.logs.multiline_pattern is not None:
        yield from _pattern("logs.multilinePattern", spec.logs.multiline_pattern)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _pattern(field: str, pattern: str) -> Iterator[Refusal]:
    # Filebeat is written in Go, whose expressions are RE2's.
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        yield Refusal(field, pattern, f"Filebeat cannot read this expression: {_text(error)}")


def _text(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)


NAME_RULES: Mapping[str, Callable[[ModelSpec, Cluster], Iterator[Refusal]]] = MappingProxyType(
    {
        "names of objects": _objects,
        "labels and annotations": _labels,
        "tolerations": _tolerations,
        "cards of a pod": _cards,
        "beside the model": _beside,
    }
)
