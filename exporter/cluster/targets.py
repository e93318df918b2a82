"""The pages of a pod as things to fetch: whose they are, where they are, and which of them is the front. Pure.

`exporter.sources.discovery` says which container has which page. The *front* is the page that sees whole requests to
the predictor: the orchestrator's where there is one. A pod without an orchestrator is its own front, unless its
predictor's orchestrator runs in a pod of its own (then the pod has no `seldon-app` label); so each request is counted
at one front only.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.objects import Pod
from exporter.page.sink import Subject
from exporter.sources.discovery import ENGINE_CONTAINER, targets
from milepost.identity import APP_LABEL_V1, MODEL_LABEL_V1

INGRESS_SOURCE = "ingress-nginx"
GPU_SOURCES = frozenset({"gpumanager", "dcgm"})
NODE_EXPORTER_LABELS = {"app.kubernetes.io/part-of": "milepost", "app.kubernetes.io/name": "exporter"}
NODE_EXPORTER_COMPONENTS = ("node", "node-gpu")
NODE_EXPORTER_PORT = "metrics"


@dataclass(frozen=True, slots=True)
class PageTarget:
    """One page of one container; `images` are the pod's by container, which the executor's page gets wrong."""

    source: str
    subject: Subject
    host: str
    port: int
    path: str
    front: bool
    images: Mapping[str, str]

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{self.host}:{self.port}{self.path}"

    @property
    def about_models(self) -> bool:
        """False for pages of Ingress controllers and GPU exporters."""
        return self.source != INGRESS_SOURCE and self.source not in GPU_SOURCES


def page_targets(pod: Pod, subjects: Mapping[str, Subject]) -> tuple[PageTarget, ...]:
    """Return the pages of a running pod; `subjects` are those of its containers by name."""
    host = _host(pod)
    found = targets(pod) if host else ()
    if not found:
        return ()
    labels = pod.metadata.labels or {}
    orchestrated = any(container.name == ENGINE_CONTAINER for container in pod.spec.containers)
    elsewhere = MODEL_LABEL_V1 in labels and APP_LABEL_V1 not in labels
    images = {sys.intern(container.name): sys.intern(container.image) for container in pod.spec.containers}
    return tuple(
        PageTarget(
            page.source,
            subjects[page.container],
            host,
            page.port,
            page.path,
            front=page.container == ENGINE_CONTAINER if orchestrated else not elsewhere,
            images=images if page.container == ENGINE_CONTAINER else {},
        )
        for page in found
    )


def node_exporter_page(pod: Pod) -> str:
    """Return the URL of a Milepost node exporter's page, "" when the pod is none."""
    labels, host = pod.metadata.labels or {}, _host(pod)
    if not host or any(labels.get(name) != value for name, value in NODE_EXPORTER_LABELS.items()):
        return ""
    if labels.get("app.kubernetes.io/component") not in NODE_EXPORTER_COMPONENTS:
        return ""
    ports = [port for container in pod.spec.containers for port in container.ports or ()]
    return next(
        (f"http://{host}:{port.container_port}/metrics" for port in ports if port.name == NODE_EXPORTER_PORT), ""
    )


def _host(pod: Pod) -> str:
    """Return the address of a running pod as a URL has it, "" when it has none."""
    address = pod.status.pod_ip if pod.status.phase == "Running" else ""
    return f"[{address}]" if ":" in address else address
