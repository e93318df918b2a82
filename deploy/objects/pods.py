"""Containers and pods: from a `Serving` to the parts of a Kubernetes PodSpec.

Seldon's webhook completes what a prepackaged server needs (image, arguments, ports, the storage initializer); only what
the spec decides is written here, under the container names that Seldon expects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from deploy.objects import PREFIX, Body
from deploy.objects.probes import probes
from deploy.settings import Cluster
from deploy.spec import LogHints, ModelSpec, Protocol, Serving, gpu
from deploy.spec.frameworks import container_of, cpu_features_of, implementation_of
from deploy.spec.grammar import is_dns_label

NFD_LABEL = "feature.node.kubernetes.io/cpu-cpuid."
PREFLIGHT = "milepost-preflight"
VERSION_LABEL = f"{PREFIX}/version"


def container(serving: Serving, unit: str, spec: ModelSpec, protocol: Protocol) -> Body:
    """Return the container that runs one unit's server; a prepackaged one may be no more than its name."""
    name = container_of(serving, unit, protocol)
    rendered: Body = {"name": name}
    if serving.image:
        rendered["image"] = serving.image
    if serving.command:
        rendered["command"] = list(serving.command)
    if serving.args:
        rendered["args"] = list(serving.args)
    rendered |= _environment(serving) | _resources(serving)
    if serving.probes is not None:
        rendered |= probes(
            serving.probes,
            container=name,
            prepackaged=implementation_of(serving) is not None,
            protocol=protocol,
            transport=spec.transport,
        )
    if spec.drain_seconds is not None:
        rendered["lifecycle"] = {"preStop": {"exec": {"command": ["/bin/sh", "-c", f"sleep {spec.drain_seconds}"]}}}
    if serving.mount_secrets:
        rendered["volumeMounts"] = [
            {"name": volume_name(secret), "mountPath": path, "readOnly": True}
            for secret, path in sorted(serving.mount_secrets.items())
        ]
    return rendered


def pod(servings: Iterable[tuple[Serving, str]], spec: ModelSpec, cluster: Cluster, protocol: Protocol) -> Body:
    """Return the PodSpec of units that share a pod; empty when nothing needs to be said.

    Seldon's CRD requires `containers` as soon as there is a PodSpec, so then every unit is named.
    """
    units = list(servings)
    rendered: Body = {}
    containers = [container(serving, unit, spec, protocol) for serving, unit in units]
    features = sorted({feature for serving, _ in units for feature in cpu_features_of(serving)})
    check = spec.cpu_check or cluster.cpu_check
    if features and check in ("preflight", "both"):
        rendered["initContainers"] = [preflight(features, cluster.preflight_image)]
    if features and check in ("affinity", "both"):
        rendered["affinity"] = _affinity(features)
    selector = dict(spec.node_selector) | _card_selector(units)
    optional = {
        "nodeSelector": selector,
        "tolerations": [msgspec.to_builtins(item) for item in spec.tolerations],
        "priorityClassName": spec.priority,
        "terminationGracePeriodSeconds": spec.grace_seconds,
        "volumes": _volumes(units),
    }
    rendered |= {key: value for key, value in optional.items() if value}
    silent = not rendered and all(set(body) == {"name"} for body in containers)
    return {} if silent else {"containers": containers} | rendered


def pod_metadata(units: Iterable[Serving], spec: ModelSpec) -> Body:
    """Return labels and annotations of the pod template."""
    annotations = dict(spec.annotations) | log_hints(spec.logs)
    for serving in units:
        if serving.gpu is not None and serving.gpu.core_limit is not None:
            annotations[gpu.CORE_LIMIT] = str(serving.gpu.core_limit)
    labels = dict(spec.labels) | ({VERSION_LABEL: spec.version} if spec.version else {})
    return {key: value for key, value in (("labels", labels), ("annotations", annotations)) if value}


def log_hints(hints: LogHints | None) -> dict[str, str]:
    """Return the annotations that Filebeat's hints-based autodiscovery reads."""
    if hints is None:
        return {}
    prefix = "co.elastic.logs"
    rendered = {f"{prefix}/enabled": str(hints.enabled).lower()}
    if hints.json:
        # An empty target of filestream's ndjson parser is the root of the document.
        rendered |= {f"{prefix}/json.target": "", f"{prefix}/json.add_error_key": "true"}
    if hints.multiline_pattern:
        rendered |= {
            f"{prefix}/multiline.type": "pattern",
            f"{prefix}/multiline.pattern": hints.multiline_pattern,
            f"{prefix}/multiline.negate": "true",
            f"{prefix}/multiline.match": "after",
        }
    return rendered


def preflight(features: Iterable[str], image: str) -> Body:
    """Return the init container that ends with its own exit code on a CPU without these features."""
    return {
        "name": PREFLIGHT,
        "image": image,
        "args": ["preflight", "avx", *(f"--feature={feature}" for feature in features)],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def resources(requests: dict[str, str], limits: dict[str, str]) -> dict[str, Any]:
    """Return a `resources` block without empty halves."""
    return {key: value for key, value in (("requests", requests), ("limits", limits)) if value}


def _resources(serving: Serving) -> Body:
    extended = gpu.units(serving.gpu) if serving.gpu else {}
    block = resources(dict(serving.resources.requests) | extended, dict(serving.resources.limits) | extended)
    return {"resources": block} if block else {}


def _environment(serving: Serving) -> Body:
    env: list[Body] = [{"name": name, "value": value} for name, value in serving.env.items()]
    env += [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": ref.secret, "key": ref.key}}}
        for name, ref in serving.secret_env.items()
    ]
    return {"env": env} if env else {}


def _affinity(features: Iterable[str]) -> Body:
    expressions = [{"key": f"{NFD_LABEL}{feature}", "operator": "In", "values": ["true"]} for feature in features]
    terms = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def _card_selector(units: Iterable[tuple[Serving, str]]) -> dict[str, str]:
    models = {serving.gpu.model for serving, _ in units if serving.gpu and serving.gpu.model}
    return {gpu.MODEL_LABEL: min(models)} if models else {}


def _volumes(units: Iterable[tuple[Serving, str]]) -> list[Body]:
    secrets = sorted({secret for serving, _ in units for secret in serving.mount_secrets})
    return [{"name": volume_name(secret), "secret": {"secretName": secret}} for secret in secrets]


def volume_name(secret: str) -> str:
    """Return the name of a Secret's volume: a volume's may have neither dots nor more than 63 characters."""
    plain = f"secret-{secret}"
    if is_dns_label(plain):
        return plain
    return f"{plain.replace('.', '-')[:54]}-{hashlib.sha256(secret.encode()).hexdigest()[:8]}"
