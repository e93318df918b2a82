"""Which metrics pages a pod has: pure, from its ports, annotations and images.

Seldon Core v1 marks pods with `prometheus.io/path` and, on purpose, no port: every container port named `metrics` or
`metrics-...` is a page (`operator/controllers/seldondeployment_controller.go`). Three servers need more than that:
- TF Serving never listens on the `metrics` port that the operator declares for it; its page is on the REST port.
- Triton loses its `metrics` port under Seldon (seldon-core#5279) and listens on 8002.
- KServe names the port by annotation.
What listens on a page is told by the page itself, so an image name is only used to find a port.

The *front* is the page that sees whole requests to the predictor: the orchestrator's where there is one. A pod without
an orchestrator is its own front, unless its predictor's orchestrator runs in a pod of its own (then the pod has no
`seldon-app` label); so each request is counted at one front only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.objects import Container, Pod
from exporter.samples import Subject
from milepost.identity import APP_LABEL_V1, MODEL_LABEL_V1, MODEL_LABEL_V2

ORCHESTRATOR = "seldon-container-engine"
KSERVE_LABEL = "serving.kserve.io/inferenceservice"
_KSERVE_PORT, _KSERVE_PATH = "prometheus.kserve.io/port", "prometheus.kserve.io/path"
_PATH = "prometheus.io/path"
_METRICS_PORT = re.compile(r"metrics(-.*)?")
_TF_REST_ARG = re.compile(r"--rest_api_port=(\d+)")
_TF_REST_PORTS = ("http", "rest", "http1")
_TF_PATH = "/monitoring/prometheus/metrics"
NODE_EXPORTER_LABELS = {"app.kubernetes.io/name": "milepost-exporter", "app.kubernetes.io/component": "node"}
INGRESS_NGINX_PORT = 10254
_PORT_BY_IMAGE = (("tritonserver", 8002), ("mlserver", 8082), ("torchserve", 8082))


@dataclass(frozen=True, slots=True)
class PageTarget:
    """One page of one container; `front` when it counts whole requests to the predictor."""

    subject: Subject
    url: str
    front: bool


def page_targets(pod: Pod, containers: dict[str, Subject]) -> tuple[PageTarget, ...]:
    """Return the pages of a running model pod; `containers` maps its container names to their subjects."""
    labels = pod.metadata.labels or {}
    serves = labels.get(MODEL_LABEL_V1) or labels.get(MODEL_LABEL_V2) or labels.get(KSERVE_LABEL)
    if not serves or not pod.status.pod_ip or pod.status.phase != "Running":
        return ()
    orchestrated = any(c.name == ORCHESTRATOR for c in pod.spec.containers)
    elsewhere = MODEL_LABEL_V1 in labels and APP_LABEL_V1 not in labels
    return tuple(
        PageTarget(
            containers[container.name],
            f"http://{_host(pod)}:{port}{path}",
            front=container.name == ORCHESTRATOR if orchestrated else not elsewhere,
        )
        for container in pod.spec.containers
        for port, path in _pages(pod, container)
    )


def controller_page(pod: Pod) -> str:
    """Return the URL of an ingress-nginx controller's page, "" when the pod is none or does not declare the port."""
    labels = pod.metadata.labels or {}
    if labels.get("app.kubernetes.io/name") != "ingress-nginx" or not pod.status.pod_ip:
        return ""
    for container in pod.spec.containers:
        for port in container.ports or ():
            if port.name in ("metrics", "prometheus") or port.container_port == INGRESS_NGINX_PORT:
                return f"http://{_host(pod)}:{port.container_port}/metrics"
    return ""


def node_exporter_page(pod: Pod) -> str:
    """Return the URL of a Milepost node exporter's page, "" when the pod is none."""
    labels = pod.metadata.labels or {}
    if any(labels.get(name) != value for name, value in NODE_EXPORTER_LABELS.items()) or not pod.status.pod_ip:
        return ""
    for container in pod.spec.containers:
        for port in container.ports or ():
            if port.name in ("http", "metrics"):
                return f"http://{_host(pod)}:{port.container_port}/metrics"
    return ""


def _host(pod: Pod) -> str:
    return f"[{pod.status.pod_ip}]" if ":" in pod.status.pod_ip else pod.status.pod_ip


def _pages(pod: Pod, container: Container) -> Iterator[tuple[int, str]]:
    annotations = pod.metadata.annotations or {}
    if "tensorflow/serving" in container.image:
        yield _tensorflow_rest_port(container), _TF_PATH
        return
    kserve_port = annotations.get(_KSERVE_PORT, "")
    if kserve_port.isdecimal() and container is pod.spec.containers[0]:
        yield int(kserve_port), _rooted(annotations.get(_KSERVE_PATH, "/metrics"))
        return
    named = sorted({port.container_port for port in container.ports or () if _METRICS_PORT.fullmatch(port.name)})
    for port in named:
        yield port, _rooted(annotations.get(_PATH, "/prometheus"))
    if not named:
        for part, port in _PORT_BY_IMAGE:
            if part in container.image:
                yield port, "/metrics"
                return


def _tensorflow_rest_port(container: Container) -> int:
    for argument in container.args or ():
        if match := _TF_REST_ARG.fullmatch(argument):
            return int(match[1])
    declared = {port.name: port.container_port for port in container.ports or ()}
    return next((declared[name] for name in _TF_REST_PORTS if name in declared), 8501)


def _rooted(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"
