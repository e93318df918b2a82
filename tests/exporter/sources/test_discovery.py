"""Which pages of a pod are read: one row for every kind of pod met in clusters."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.objects import Container, Metadata, Pod, PodSpec, Port
from exporter.sources.discovery import Target, image_version, recognised, targets
from exporter.sources.pages import read

SELDON = {"seldon-deployment-id": "fraud"}
SCRAPE = {"prometheus.io/scrape": "true", "prometheus.io/path": "/prometheus"}
TF_PATH = "/monitoring/prometheus/metrics"


def container(name: str, image: str, *ports: tuple[str, int], args: tuple[str, ...] = ()) -> Container:
    return Container(
        name=name, image=image, args=args, ports=tuple(Port(name=port, container_port=number) for port, number in ports)
    )


ENGINE = container(
    "seldon-container-engine", "docker.io/seldonio/seldon-core-executor:1.17.1", ("http", 8000), ("metrics", 8000),
    ("grpc", 5001),
)  # fmt: skip
EXECUTOR = Target("executor", "seldon-container-engine", 8000, "/prometheus")

CASES: dict[str, tuple[tuple[Container, ...], dict[str, str], dict[str, str], tuple[Target, ...]]] = {
    "a model with the executor beside it": (
        (container("classifier", "reg:5000/fraud:3", ("http", 9000), ("metrics", 6000)), ENGINE), SELDON, SCRAPE,
        (Target("wrapper", "classifier", 6000, "/prometheus"), EXECUTOR),
    ),
    "two units of one pod have ports of their own": (
        (container("a", "a:1", ("metrics", 6000)), container("b", "b:1", ("metrics-b", 6001)), ENGINE), SELDON, SCRAPE,
        (Target("wrapper", "a", 6000, "/prometheus"), Target("wrapper", "b", 6001, "/prometheus"), EXECUTOR),
    ),
    "the engine in a pod of its own": ((ENGINE,), SELDON, SCRAPE, (EXECUTOR,)),
    "an explainer has no annotations": (
        (container("explainer", "seldonio/alibiexplainer:1", ("metrics", 6000)),), SELDON, {},
        (Target("wrapper", "explainer", 6000, "/prometheus"),),
    ),
    "an executor that was moved": (
        (container("seldon-container-engine", "x/executor@sha256:ab", ("http", 8080), ("metrics", 8081)),), SELDON, {},
        (Target("executor", "seldon-container-engine", 8081, "/prometheus"),),
    ),
    "Triton under Seldon, whose metrics port is not declared": (
        (container("m", "nvcr.io/nvidia/tritonserver:21.08-py3", ("http", 9000), ("grpc", 9500)), ENGINE), SELDON,
        SCRAPE, (Target("triton", "m", 8002, "/metrics"), EXECUTOR),
    ),
    "Triton with a flag": (
        (container("m", "nvcr.io/nvidia/tritonserver:24.01-py3", args=("--http-port=9000", "--metrics-port=7001")),),
        {}, {}, (Target("triton", "m", 7001, "/metrics"),),
    ),
    "TF Serving under Seldon, whose declared metrics port is dead": (
        (container("m", "tensorflow/serving:2.1.0", ("metrics", 6000), args=("--port=2000", "--rest_api_port=2001")),
         ENGINE),
        SELDON, SCRAPE, (Target("tfserving", "m", 2001, TF_PATH), EXECUTOR),
    ),
    "TF Serving from a registry with a port, in a shell": (
        (container("m", "reg:5000/tf/serving:2.14", args=("tensorflow_model_server --rest_api_port 8600 --port 1",)),),
        {}, {}, (Target("tfserving", "m", 8600, TF_PATH),),
    ),
    "MLServer under Seldon": (
        (container("m", "docker.io/seldonio/mlserver:1.3.5-sklearn", ("http", 9000), ("metrics", 6000)), ENGINE),
        SELDON, SCRAPE, (Target("mlserver", "m", 6000, "/prometheus"), EXECUTOR),
    ),
    "MLServer alone": (
        (container("m", "seldonio/mlserver:1.3.5"),), {}, SCRAPE, (Target("mlserver", "m", 8082, "/metrics"),),
    ),
    "TorchServe": (
        (container("m", "pytorch/torchserve:0.9.0-gpu"),), {}, {}, (Target("torchserve", "m", 8082, "/metrics"),),
    ),
    "KServe with annotations": (
        (container("kserve-container", "kserve/sklearnserver:v0.11"), container("queue-proxy", "knative/queue")), {},
        {"prometheus.kserve.io/port": "9090", "prometheus.kserve.io/path": "stats"},
        (Target("kserve", "kserve-container", 9090, "/stats"),),
    ),
    "KServe without": (
        (container("kserve-container", "kserve/sklearnserver:v0.11"),), {}, {},
        (Target("kserve", "kserve-container", 8080, "/metrics"),),
    ),
    "Triton under KServe": (
        (container("kserve-container", "nvcr.io/nvidia/tritonserver:23.05-py3"),), {}, {},
        (Target("triton", "kserve-container", 8002, "/metrics"),),
    ),
    "ingress-nginx": (
        (container("controller", "registry.k8s.io/ingress-nginx/controller:v1.9.4@sha256:5b1", ("metrics", 10254)),),
        {}, {}, (Target("ingress-nginx", "controller", 10254, "/metrics"),),
    ),
    "GpuManager": (
        (container("gpu-manager", "tkestack/gpu-manager:v1.1.5"),), {}, {},
        (Target("gpumanager", "gpu-manager", 5678, "/metric"),),
    ),
    "dcgm-exporter": (
        (container("exporter", "nvcr.io/nvidia/k8s/dcgm-exporter:3.3.0-3.2.0-ubuntu22.04", ("metrics", 9401)),), {}, {},
        (Target("dcgm", "exporter", 9401, "/metrics"),),
    ),
    "a plain pod with a metrics port is none of ours": (
        (container("web", "example/web:1", ("metrics", 9090)),), {}, SCRAPE, (),
    ),
    "a port out of range is not taken": (
        (container("m", "tritonserver", args=("--metrics-port=99999",)),), {}, {},
        (Target("triton", "m", 8002, "/metrics"),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_discovery(case: str) -> None:
    containers, labels, annotations, expected = CASES[case]
    pod = Pod(metadata=Metadata(labels=labels, annotations=annotations), spec=PodSpec(containers=containers))
    assert targets(pod) == expected


@pytest.mark.parametrize(
    ("image", "version"),
    [("seldonio/mock_classifier:1.18.2", "1.18.2"), ("reg:5000/m:1", "1"), ("reg:5000/m", ""), ("m", ""),
     ("m@sha256:0a", ""), ("reg:5000/a/m:v2@sha256:0a", "v2"), ("", "")],
)  # fmt: skip
def test_the_version_of_an_image_is_its_tag(image: str, version: str) -> None:
    assert image_version(image) == version


def test_mlserver_in_a_custom_image_is_recognised_by_its_page() -> None:
    assert recognised("wrapper", b"# x\nmodel_infer_request_success_total 1\n") == "mlserver"
    assert recognised("wrapper", b"mycounter_total 1\n") == "wrapper"
    assert recognised("triton", b"\nmodel_infer_request_success_total 1\n") == "triton"


def test_the_version_that_the_executor_loses_is_read_from_the_pod() -> None:
    page = (Path(__file__).parent / "pages" / "executor.txt").read_bytes()
    images = {"classifier": "other:9", "clean": "registry.example.com:5000/clean:7"}
    assert [(one.unit, one.version) for one in read("executor", page, images)] == [
        ("classifier", "1.18.2"), ("clean", "7"), ("classifier", "1.18.2"), ("", ""), ("", ""),
    ]  # fmt: skip
    assert read("wrapper", page, images) == []
