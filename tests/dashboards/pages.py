"""What Milepost's programs serve, as an hour of samples in a real Prometheus.

The pages are rendered by the programs' own code: the exporter's (the scene of its golden pages, with a failing canary
and GPU shares added) and the log-server's metrics. Counters, histograms and summaries grow from sample to sample in
proportion to what the page says, gauges stay; `promtool tsdb create-blocks-from openmetrics` writes them into the
database, so that no test waits for scrapes.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter import families as fam
from exporter.assemble import assemble
from exporter.cluster import Cluster
from exporter.collector import Collection
from exporter.family import Scope
from exporter.kubelet import read_cadvisor_page, read_resource_page
from exporter.metricsapi import read_pod_metrics
from exporter.modellines import add_model_lines
from exporter.nodelines import add_node_lines
from exporter.observed import add_model
from exporter.render import SeriesBound, page
from exporter.samples import (
    EXPORTER,
    ContainerUsage,
    ControllerTraffic,
    GpuUsage,
    Observation,
    Samples,
    SourceResult,
    Subject,
)
from exporter.sources import nginx
from logserver.metrics import TABLE, Metrics
from milepost.identity import Identity
from tests.exporter import scene
from tests.exporter.scene import CARD, NODE, NOW, PAGES
from tests.exporter.workload import ENGINE, Object, running, seldon_deployment, seldon_pod

HOUR_S, STEP_S = 3600, 15
STABLE, CANARY = "fraud-default-0-classifier-aaaaa", "fraud-canary-0-classifier-ddddd"
GIB = float(2**30)


def _cluster() -> Cluster:
    """The scene's cluster, where the model `fraud` has a canary that is not ready, and both hold a share of a card."""
    found = scene.cluster()
    limits = {"tencent.com/vcuda-core": "30", "tencent.com/vcuda-memory": 16, "cpu": "2", "memory": "4Gi"}
    for name, predictor in ((STABLE, "default"), (CANARY, "canary")):
        pod = running(
            seldon_pod(name, predictor=predictor, node=NODE, resources={"limits": limits}), "198.18.0.7"
        )  # fmt: skip
        pod["metadata"]["annotations"] = {"tencent.com/predicate-gpu-idx-0": "0"}
        if predictor == "canary":
            _crashed(pod)
        found.pods.apply(msgspec.json.encode(pod), deleted=False)
    model = seldon_deployment("fraud", replicas=1)
    stable = model["spec"]["predictors"][0]
    model["spec"]["predictors"] = [{**stable, "traffic": 90}, {**stable, "name": "canary", "traffic": 10}]
    found.models.apply(msgspec.json.encode(model), deleted=False)
    return found


def _crashed(pod: Object) -> None:
    ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-24T08:05:00Z"}
    pod["status"]["conditions"] = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]
    pod["status"]["containerStatuses"][0] |= {"restartCount": 4, "lastState": {"terminated": ended}}


def cluster_page() -> str:
    """The page of the exporter in cluster mode."""
    found = _cluster()
    state = Samples()
    found.pods.add_lines(state)
    add_model_lines(state, found)
    add_node_lines(state, found)
    for source, pod, container in (
        ("executor", STABLE, ENGINE), ("executor", CANARY, ENGINE),
        ("triton", "churn-default-0-classifier-bbbbb", "classifier"),
    ):  # fmt: skip
        add_model(state, scene.model_page(source, scene.subject(found.pods, pod, container)))
    observed: list[Observation] = [
        ControllerTraffic("ingress-nginx-controller-0", nginx.parse((PAGES / "ingress-nginx.txt").read_bytes())),
        *read_pod_metrics((PAGES.parent.parent / "pod-metrics.json").read_bytes(), found.pods, now=NOW),
    ]
    return _rendered(found, state, observed, "cluster")


def node_page() -> str:
    """The page of the exporter in node mode, on the node with the card."""
    found = _cluster()
    out, node = Samples(), Subject.of(Identity(node=NODE), Scope.NODE)
    folder = PAGES.parent.parent
    observed: list[Observation] = list(
        read_resource_page((folder / "kubelet-resource.txt").read_bytes(), found.pods, node, out, now=NOW)
    )
    read_cadvisor_page((folder / "kubelet-cadvisor.txt").read_bytes(), found.pods, out)
    for name in (STABLE, CANARY):
        unit = scene.subject(found.pods, name, "classifier")
        observed.append(GpuUsage(unit, CARD, "nvml", 0.2, 3 * GIB, 600.0))
        if name == CANARY:  # the kubelet's page of the scene knows the stable one
            observed.append(ContainerUsage(unit, NOW, 900.0, memory_bytes=3.5 * GIB))
        out.add(fam.GPU_MANAGER_SILENT_ZERO, unit, 0, CARD)
    out.add(fam.GPU_CARD_INFO, node, 1, CARD, "0", "Tesla T4", "00000000:00:08.0", "", "535.161.08")
    for family, value in (
        (fam.GPU_CARD_UTILISATION, 0.4), (fam.GPU_CARD_MEMORY_USED, 6 * GIB), (fam.GPU_CARD_MEMORY, 16 * GIB),
        (fam.GPU_CARD_TEMPERATURE, 61.0), (fam.GPU_CARD_POWER, 48.0),
    ):  # fmt: skip
        out.add(family, node, value, CARD, "nvml")
    out.add(fam.GPU_UNATTRIBUTED_PROCESSES, node, 0, CARD)
    out.add(fam.GPU_UNATTRIBUTED_MEMORY, node, 0, CARD)
    return _rendered(found, out, observed, "node")


def _rendered(found: Cluster, out: Samples, observed: Sequence[Observation], mode: str) -> str:
    own = Samples()
    own.add(fam.BUILD_INFO, EXPORTER, 1, "0.1.0", mode)
    own.add(fam.SOURCE_UP, EXPORTER, 1, "kubernetes")
    cores = {usage.subject.text: 0.5 for usage in observed if isinstance(usage, ContainerUsage)}
    samples = assemble(Collection((SourceResult("all", 0.01, out, observed),), cores), found.pods, found)
    return "".join(page(samples, own, SeriesBound(100_000), openmetrics=False))


def log_server_page() -> str:
    """The page of a log-server that has done some of everything."""
    metrics = Metrics()
    for row in TABLE:
        labels = tuple(f"{label}-1" for label in row.labels)
        match row.kind.__name__:
            case "Counter":
                metrics.counter(row.name, *labels).inc(1000)
            case "Gauge":
                metrics.gauge(row.name, *labels).set(1)
            case _:
                for seconds in (0.02, 0.2, 0.7, 3):
                    metrics.histogram(row.name, *labels).observe(seconds)
    return generate_latest(metrics.registry).decode()


PAGES_BY_TARGET = {
    ("milepost-exporter-cluster", "cluster:9100"): cluster_page,
    ("milepost-exporter-node", "gpu-1:9100"): node_page,
    ("milepost-logserver", "logserver:8080"): log_server_page,
}


def history(end_s: int) -> Iterator[str]:
    """Yield the lines of an OpenMetrics file: all pages, scraped for an hour until `end_s`."""
    times = range(end_s - HOUR_S, end_s + 1, STEP_S)
    seen: dict[str, tuple[str, list[str]]] = {}
    for (job, instance), make in PAGES_BY_TARGET.items():
        for family in text_string_to_metric_families(make()):
            grows = family.type in ("counter", "histogram", "summary")
            _, lines = seen.setdefault(family.name, (family.type, []))
            for sample in family.samples:
                if sample.name.endswith("_created"):
                    continue
                labels = {"job": job, "instance": instance, **sample.labels}
                text = ",".join(f'{name}="{value}"' for name, value in labels.items())
                for at in times:
                    value = sample.value * ((at - times[0]) / HOUR_S if grows else 1)
                    lines.append(f"{sample.name}{{{text}}} {value if math.isfinite(value) else 0:.10g} {at}")
    for name, (_, lines) in seen.items():
        # The type is not needed for queries, and OpenMetrics is stricter on counters' names than Prometheus.
        yield f"# TYPE {name} unknown"
        yield from lines
    yield "# EOF"


def write_blocks(promtool: str, folder: Path, end_s: int) -> None:
    """Fill the Prometheus database in `folder` with the hour that ends at `end_s`."""
    text = folder / "history.txt"
    folder.mkdir(parents=True, exist_ok=True)
    text.write_text("\n".join(history(end_s)) + "\n")
    argv = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
