"""A release as one SeldonDeployment (`machinelearning.seldon.io/v1`).

The stable track and the candidate are two predictors of the same object, so each has its own Deployment and Service
and neither restarts when the other changes. nginx and Gateway routes do not read `traffic`; it is written because
Seldon's webhook wants the sum of 100 and because its Istio integration follows it.

The predictor's Service name is pinned by `seldon.io/svc-name`: Seldon's own rule differs between 1.0, 1.1 and names
over 63 characters.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET

from deploy.errors import Refusal, Refused
from deploy.objects import MANAGED_BY, SELDON, Body, KubeObject
from deploy.objects.graph import as_unit, node, pods_of, root_of, storage_fields
from deploy.objects.overrides import apply_to_predictor
from deploy.objects.pods import VERSION_LABEL, pod, pod_metadata, resources
from deploy.objects.scaling import component_fields
from deploy.settings import Cluster
from deploy.spec import Explainer, ModelSpec, Shadow, Unit
from deploy.spec.frameworks import protocol_of
from deploy.spec.release import Release

SERVICE_NAME = "seldon.io/svc-name"
NO_ENGINE = "seldon.io/no-engine"
DEADLINE_MARGIN_SECONDS = 300
"""What pulling an image and reading a model may take beside the start-up itself."""


def seldon_deployment(release: Release, cluster: Cluster) -> KubeObject:
    """Render the SeldonDeployment of a release."""
    spec = release.stable
    shares = _shares(release)
    tracks = [spec] if release.candidate is None else [spec, release.candidate]
    predictors = [predictor(track, cluster, traffic=share) for track, share in zip(tracks, shares, strict=True)]
    if spec.shadow is not None:
        predictors.append(shadow_predictor(spec, spec.shadow, cluster))
    body: Body = {
        "apiVersion": SELDON,
        "kind": "SeldonDeployment",
        "metadata": {
            "name": spec.name,
            "namespace": spec.namespace,
            "labels": dict(spec.labels) | MANAGED_BY | ({VERSION_LABEL: spec.version} if spec.version else {}),
        },
        "spec": {"name": spec.name, "protocol": protocol_of(spec), "transport": spec.transport},
    }
    annotations = _annotations(spec)
    if annotations:
        body["spec"]["annotations"] = annotations
    body["spec"]["predictors"] = predictors
    return KubeObject(body)


def predictor(spec: ModelSpec, cluster: Cluster, *, traffic: int | None) -> Body:
    """Render one predictor; `traffic` is None for the only one, which must not carry a share."""
    root = root_of(spec)
    rendered: Body = {
        "name": spec.predictor,
        "graph": node(root, transport=spec.transport, cluster=cluster, log=spec.request_log),
    }
    if spec.autoscaling is None:
        rendered["replicas"] = spec.replicas
    if traffic is not None:
        rendered["traffic"] = traffic
    service = pinned_service(spec)
    if service:
        rendered["annotations"] = {SERVICE_NAME: service}
    components = [_component(group, spec, cluster) for group in pods_of(root)]
    if len(components) > 1 or any(components):
        rendered["componentSpecs"] = [
            component or {"spec": _names(group)} for component, group in zip(components, pods_of(root), strict=True)
        ]
    deadline = max((unit.probes.startup_seconds for group in pods_of(root) for unit in group if unit.probes), default=0)
    if deadline:
        rendered["progressDeadlineSeconds"] = deadline + DEADLINE_MARGIN_SECONDS
    engine = resources(dict(spec.orchestrator_resources.requests), dict(spec.orchestrator_resources.limits))
    if engine:
        rendered["svcOrchSpec"] = {"resources": engine}
    if spec.explainer is not None:
        rendered["explainer"] = _explainer(spec.explainer, cluster)
    return apply_to_predictor(rendered, spec.overrides)


def shadow_predictor(spec: ModelSpec, shadow: Shadow, cluster: Cluster) -> Body:
    """Render the shadow as a predictor: the model's surroundings with the shadow's server."""
    unit = as_unit(shadow, spec.unit or spec.name)
    rendered: Body = {
        "name": shadow.predictor,
        "shadow": True,
        "traffic": shadow.percent,
        "replicas": spec.replicas,
        "annotations": {SERVICE_NAME: f"{spec.name}-{shadow.predictor}"},
        "graph": node(unit, transport=spec.transport, cluster=cluster, log=None),
    }
    component = _component([unit], spec, cluster)
    return rendered | ({"componentSpecs": [component]} if component else {})


def pinned_service(spec: ModelSpec) -> str | None:
    """Return the Service name that the spec pins, or None when Seldon decides it."""
    return f"{spec.name}-{spec.predictor}" if spec.service_name is UNSET else spec.service_name


def service_of(spec: ModelSpec, observed: Mapping[str, str]) -> str:
    """Return the predictor's Service: as observed in `status.serviceStatus`, else as pinned.

    Raises Refused when neither is known: the name is then Seldon's to say.
    """
    name = observed.get(spec.predictor) or pinned_service(spec)
    if name is None:
        rule = "Seldon decides the Service's name; the route can be rendered once status.serviceStatus has it"
        raise Refused([Refusal("serviceName", None, rule)])
    return name


def _component(units: list[Unit], spec: ModelSpec, cluster: Cluster) -> Body:
    rendered: Body = {}
    metadata = pod_metadata(units, spec)
    if metadata:
        rendered["metadata"] = metadata
    body = pod([(unit, unit.name) for unit in units], spec, cluster, protocol_of(spec))
    if body:
        rendered["spec"] = body
    elif metadata:
        rendered["spec"] = _names(units)
    return rendered | component_fields(spec)


def _names(units: list[Unit]) -> Body:
    return {"containers": [{"name": unit.name} for unit in units]}


def _explainer(explainer: Explainer, cluster: Cluster) -> Body:
    rendered: Body = {"type": explainer.type} | storage_fields(explainer.storage, explainer.model_uri, cluster)
    if explainer.parameters:
        rendered["initParameters"] = dict(explainer.parameters)
    if explainer.replicas is not None:
        rendered["replicas"] = explainer.replicas
    block = resources(dict(explainer.resources.requests), dict(explainer.resources.limits))
    return rendered | ({"containerSpec": {"name": "explainer", "resources": block}} if block else {})


def _annotations(spec: ModelSpec) -> dict[str, str]:
    rendered: dict[str, str] = {} if spec.orchestrator else {NO_ENGINE: "true"}
    seconds = spec.route.timeouts.request_seconds
    if seconds is None:
        return rendered
    return {"seldon.io/rest-timeout": f"{seconds}000", "seldon.io/grpc-timeout": f"{seconds}000"} | rendered


def _shares(release: Release) -> list[int | None]:
    if release.candidate is None:
        return [None]
    percent = release.split.percent if release.split else 0
    return [100 - percent, percent]
