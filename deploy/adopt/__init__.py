"""From an existing SeldonDeployment to a spec that renders to the same object.

What the spec has a field for is read into it; whatever is left over becomes overrides, computed as the difference
between what the spec renders and what is there. So adopting never changes a running model: `render` of the adopted spec
gives the normalised original. Normal form: apiVersion v1 (v1alpha2 and v1alpha3 have the same schema), no nulls, no
status, `children`, `protocol`, `transport` and the predictor's `replicas` written out, the share of a single predictor
left out.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from deploy.adopt.server import serving_of, unit_of
from deploy.errors import Refusal, Refused
from deploy.objects import MANAGED_BY, SELDON, Body, shape, webhook
from deploy.objects.patch import difference
from deploy.objects.seldon import NO_ENGINE, SERVICE_NAME, seldon_deployment
from deploy.settings import Cluster
from deploy.spec import ModelSpec, Override
from deploy.spec.file import from_document
from deploy.spec.release import Release, Split

PROTOCOLS: Mapping[str, str] = MappingProxyType({"": "seldon", "kfserving": "v2"})
FOREIGN_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration", "seldon.io/last-applied")


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was read: the release, and the normal form of the original that it renders to."""

    release: Release
    normal: Body


def adopt(body: Body, cluster: Cluster) -> Adopted:
    """Read a SeldonDeployment. Raises Refused when it has no form as one stable track and one candidate."""
    faults = tuple(shape.refusals(_without_nulls(body)))
    if faults:
        raise Refused(faults)
    normal = normalise(body)
    serving = [item for item in webhook.predictors(normal) if not item.get("shadow")]
    if not 1 <= len(serving) <= 2:
        rule = "a release has a stable track and at most one candidate"
        raise Refused([Refusal("spec.predictors", [item.get("name") for item in serving], rule)])
    serving.sort(key=lambda item: -int(item.get("traffic", 0)))
    tracks = [_track(normal, item, cluster) for item in serving]
    candidate = tracks[1] if len(tracks) == 2 else None
    split = Split(percent=int(serving[1].get("traffic", 0))) if candidate else None
    release = Release(stable=tracks[0], candidate=candidate, split=split)
    rendered = seldon_deployment(release, cluster).body
    rest = difference(_without_tracks(rendered, serving), _without_tracks(normal, serving))
    if rest:
        override = Override(kind="SeldonDeployment", patch=rest)
        stable = msgspec.structs.replace(tracks[0], overrides=(*tracks[0].overrides, override))
        release = msgspec.structs.replace(release, stable=stable)
    return Adopted(release, normal)


def normalise(body: Body) -> Body:
    """Return the normal form of a SeldonDeployment of any version; the argument is left as it is."""
    metadata = body.get("metadata", {})
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in FOREIGN_ANNOTATIONS}
    kept: Body = {"name": metadata.get("name"), "namespace": metadata.get("namespace") or "default"}
    kept["labels"] = dict(metadata.get("labels") or {}) | MANAGED_BY
    if annotations:
        kept["annotations"] = annotations
    spec: Body = _without_nulls(copy.deepcopy(body.get("spec") or {}))
    spec.setdefault("name", kept["name"])
    spec["protocol"] = spec.get("protocol") or "seldon"
    spec["transport"] = spec.get("transport") or "rest"
    every = spec.get("predictors") or []
    for predictor in every:
        _normalise_predictor(predictor, spec.get("replicas"))
    if len(every) == 1 and every[0].get("traffic") in (0, 100):
        del every[0]["traffic"]
    return {"apiVersion": SELDON, "kind": "SeldonDeployment", "metadata": kept, "spec": spec}


def _normalise_predictor(predictor: Body, replicas: int | None) -> None:
    for _, node in webhook.nodes(predictor, 0):
        node["children"] = node.get("children") or []
    components = predictor.get("componentSpecs") or []
    scaled = any("hpaSpec" in item or "kedaSpec" in item for item in components)
    if not scaled:
        predictor.setdefault("replicas", 1 if replicas is None else replicas)
    if not components:
        predictor.pop("componentSpecs", None)


def _track(normal: Body, predictor: Body, cluster: Cluster) -> ModelSpec:
    """Return the spec of one predictor, with an override for what it has no field for."""
    spec = from_document(_document(normal, predictor))
    rendered = seldon_deployment(Release(stable=spec), cluster).body["spec"]["predictors"][0]
    rest = difference(rendered, {key: value for key, value in predictor.items() if key != "traffic"})
    return msgspec.structs.replace(spec, overrides=(Override(kind="Predictor", patch=rest),)) if rest else spec


def _document(normal: Body, predictor: Body) -> Body:
    metadata, spec = normal["metadata"], normal["spec"]
    annotations = spec.get("annotations") or {}
    graph = predictor.get("graph") or {}
    components = predictor.get("componentSpecs") or []
    protocol = PROTOCOLS.get(spec["protocol"], spec["protocol"])
    document: Body = {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "serviceName": (predictor.get("annotations") or {}).get(SERVICE_NAME),
        "protocol": protocol,
        "transport": spec["transport"],
        "orchestrator": annotations.get(NO_ENGINE) != "true",
        "replicas": predictor.get("replicas", 1),
        "route": {"exposure": "none", "timeouts": {"requestSeconds": _timeout(annotations)}},
        "cpuCheck": "none",
        "drainSeconds": None,
        "logs": None,
    }
    if predictor.get("name") != "default":
        document["predictor"] = predictor.get("name")
    single = not graph.get("children") and graph.get("implementation") not in webhook.BUILT_IN[2:]
    if single:
        document |= {"unit": graph.get("name")} | serving_of(graph, components, protocol)
    else:
        document["graph"] = unit_of(graph, components, protocol)
    if graph.get("logger", {}).get("url"):
        document["requestLog"] = graph["logger"]
    return document | _pod_fields(components) | _scaling(components)


def _pod_fields(components: list[Body]) -> Body:
    pod: Body = (components[0].get("spec") or {}) if len(components) == 1 else {}
    fields = {
        "graceSeconds": pod.get("terminationGracePeriodSeconds"),
        "priority": pod.get("priorityClassName"),
        "tolerations": pod.get("tolerations") or [],
    }
    selector = {k: v for k, v in (pod.get("nodeSelector") or {}).items() if k != "gaia.tencent.com/gpu-model"}
    return fields | {"nodeSelector": selector}


def _scaling(components: list[Body]) -> Body:
    if len(components) != 1:
        return {}
    fields: Body = {}
    hpa, pdb = components[0].get("hpaSpec"), components[0].get("pdbSpec")
    if hpa is not None:
        percents = dict(_utilisation(hpa.get("metricsv2") or []))
        fields["autoscaling"] = {"minReplicas": hpa.get("minReplicas", 1), "maxReplicas": hpa["maxReplicas"]} | percents
    if pdb is not None:
        fields["disruption"] = {key: pdb[key] for key in ("minAvailable", "maxUnavailable") if key in pdb}
    return fields


def _utilisation(metrics: list[Body]) -> Iterator[tuple[str, Any]]:
    for metric in metrics:
        resource = metric.get("resource") or {}
        percent = (resource.get("target") or {}).get("averageUtilization")
        if resource.get("name") in ("cpu", "memory") and percent is not None:
            yield f"{resource['name']}Percent", percent


def _timeout(annotations: Mapping[str, str]) -> int | None:
    rest, grpc = annotations.get("seldon.io/rest-timeout"), annotations.get("seldon.io/grpc-timeout")
    if rest is None or rest != grpc or not rest.isdigit() or int(rest) % 1000 or not int(rest):
        return None
    return int(rest) // 1000


def _without_tracks(body: Body, tracks: list[Body]) -> Body:
    """Return the body without these predictors; the others (a shadow) become a mapping by name, so that they append."""
    names = {item.get("name") for item in tracks}
    others = {p["name"]: p for p in webhook.predictors(body) if p.get("name") not in names}
    spec = {key: value for key, value in body["spec"].items() if key != "predictors"}
    return body | {"spec": spec | ({"predictors": others} if others else {})}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value
