"""One small cluster with everything in it that the exporter has something to say about, for golden pages.

`python -m tests.exporter.scene` writes the golden pages again; the change then shows in the diff.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from exporter.assemble import assemble
from exporter.cluster import Cluster
from exporter.cluster.modellines import add_model_lines
from exporter.cluster.nodelines import add_node_lines
from exporter.cluster.podindex import PodIndex
from exporter.collector import Collection
from exporter.history.observed import add_model
from exporter.history.traffic import front_counts
from exporter.page.family import Scope
from exporter.page.observations import (
    ContainerUsage,
    ControllerTraffic,
    FrontReading,
    GpuUsage,
    ModelTraffic,
    Observation,
)
from exporter.page.render import SeriesBound, page
from exporter.page.samples import Samples, SourceResult
from exporter.page.sink import Subject
from exporter.read.kubelet import read_cadvisor_page, read_resource_page
from exporter.read.metricsapi import read_pod_metrics
from exporter.sources import nginx
from exporter.sources.pages import read
from milepost.identity import Identity
from tests.exporter.workload import ENGINE, Object, ingress, running, seldon_deployment, seldon_pod, service

PAGES = Path(__file__).parent / "sources" / "pages"
GOLDEN = Path(__file__).parent / "golden"
NODE = "gpu-1"
NOW = 1_795_507_200.0
CARD = "GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52"


def healthy_pod() -> Object:
    """A replica of a model: orchestrator and classifier, running."""
    return running(seldon_pod("fraud-default-0-classifier-aaaaa", node=NODE), "198.18.0.7")


def sharing_pod() -> Object:
    """A plain pod with a GpuManager share that may use more of an idle card."""
    pod: Object = {
        "metadata": {
            "name": "notebook", "namespace": "research",
            "annotations": {"tencent.com/predicate-gpu-idx-0": "1", "tencent.com/vcuda-core-limit": "50"},
        },
        "spec": {"nodeName": NODE, "containers": [{"name": "main", "image": "jupyter", "resources": {
            "limits": {"tencent.com/vcuda-core": "30", "tencent.com/vcuda-memory": 16}}}]},
    }  # fmt: skip
    return running(pod, "198.18.0.9")


def crashing_pod() -> Object:
    """A TensorFlow model on a node without AVX."""
    pod = running(
        seldon_pod("churn-default-0-classifier-bbbbb", model="churn", engine=False, node="old-1"), "198.18.0.8"
    )
    ended = {"reason": "Error", "exitCode": 132, "finishedAt": "2026-11-24T08:05:00Z"}
    pod["status"]["conditions"] = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]
    pod["status"]["containerStatuses"][0] |= {
        "ready": False,
        "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended},
    }
    return pod


def pending_pod() -> Object:
    """A pod that fits on no node."""
    pod = seldon_pod("big-default-0-classifier-ccccc", model="big", engine=False)
    pod["metadata"]["uid"] = "5c0b9a52-6f6f-4b5e-9d55-111111111111"
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return {**pod, "status": {"phase": "Pending", "conditions": [condition]}}


def cluster() -> Cluster:
    """The cluster, as its watches would have filled it."""
    pods = PodIndex(render=True)
    found = Cluster(pods)
    for pod in (healthy_pod(), sharing_pod(), crashing_pod(), pending_pod()):
        pods.apply(msgspec.json.encode(pod), deleted=False)
    capacity = {"tencent.com/vcuda-core": "200", "tencent.com/vcuda-memory": "126", "cpu": "64"}
    applied: Sequence[tuple[Any, Object]] = (
        (found.nodes, {"metadata": {"name": NODE}, "status": {"capacity": capacity, "allocatable": capacity}}),
        (found.nodes, {"metadata": {"name": "old-1"}, "status": {"capacity": {"cpu": "8"}}}),
        (found.models, seldon_deployment("fraud", replicas=2)),
        (found.models, seldon_deployment("churn", replicas=1, state="Failed")),
        (found.services, service("fraud-default", model="fraud")),
        (found.services, service("fraud-canary", model="fraud", predictor="canary")),
        (found.ingresses, ingress("fraud", "fraud-default")),
    )
    for holder, item in applied:
        holder.apply(msgspec.json.encode(item), deleted=False)
    return found


def subject(pods: PodIndex, name: str, container: str) -> Subject:
    """A container of the scene."""
    found = pods.by_name("research" if name == "notebook" else "models", name, container)
    assert found is not None
    return found


def model_page(source: str, about: Subject) -> ModelTraffic:
    """What a fixture page of this source says, as that container's."""
    return ModelTraffic(about, source, True, read(source, (PAGES / f"{source}.txt").read_bytes(), {}))


def front_reading(source: str, about: Subject, at: float) -> FrontReading:
    """The whole requests on such a page, read at this time."""
    counts = front_counts(model_page(source, about))
    assert counts is not None
    return FrontReading(about, source, at, counts)


def cluster_page(*, openmetrics: bool = False) -> str:
    """The cluster page, without the exporter's own families."""
    found = cluster()
    state = Samples()
    found.pods.add_lines(state)
    add_model_lines(state, found)
    add_node_lines(state, found)
    engine = subject(found.pods, "fraud-default-0-classifier-aaaaa", ENGINE)
    crashing = subject(found.pods, "churn-default-0-classifier-bbbbb", "classifier")
    controller = ControllerTraffic(
        "ingress-nginx-controller-0", nginx.parse((PAGES / "ingress-nginx.txt").read_bytes())
    )
    pages = Samples()
    add_model(pages, model_page("executor", engine))
    add_model(pages, model_page("triton", crashing))
    observed: list[Observation] = [controller]
    observed += read_pod_metrics((PAGES.parent.parent / "pod-metrics.json").read_bytes(), found.pods, now=NOW)
    results = (
        SourceResult("kubernetes", 0.01, state),
        SourceResult("model-pages", 0.02, pages, observed),
    )
    samples = assemble(Collection(results, {}), found.pods, found)
    return "".join(page(samples, Samples(), SeriesBound(10_000), openmetrics=openmetrics))


def node_page() -> str:
    """The node page, without the exporter's own families."""
    pods = PodIndex(render=False)
    for pod in (healthy_pod(), sharing_pod()):
        pods.apply(msgspec.json.encode(pod), deleted=False)
    out = Samples()
    node = Subject.of(Identity(node=NODE), Scope.NODE)
    folder = PAGES.parent.parent
    resource = (folder / "kubelet-resource.txt").read_bytes()
    observed: list[Observation] = list(read_resource_page(resource, pods, node, out, now=NOW))
    read_cadvisor_page((folder / "kubelet-cadvisor.txt").read_bytes(), pods, out)
    notebook = subject(pods, "notebook", "main")
    observed.append(GpuUsage(notebook, CARD, "nvml", 0.42, 3.0 * 2**30, 17.5))
    cores = {usage.subject.text: 1.5 for usage in observed if isinstance(usage, ContainerUsage)}
    samples = assemble(Collection((SourceResult("kubelet", 0.01, out, observed),), cores), pods, None)
    return "".join(page(samples, Samples(), SeriesBound(10_000), openmetrics=False))


PAGES_BY_NAME = {"cluster.txt": cluster_page, "node.txt": node_page}

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, make in PAGES_BY_NAME.items():
        (GOLDEN / name).write_text(make())
