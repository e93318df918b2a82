"""Which page of which container of a pod is read, and as what: a pure function over one literal table.

The first rule of `RULES` that fits a container wins. The port is, in this order: the one a command line flag of the
container names, a pod annotation, a declared container port with the first of the rule's names that there is, the
server's default. The path is an annotation's or the server's own.

Why a table and not "every port named `metrics`": Seldon Core v1 overwrites Triton's ports, so its page on 8002 is not
declared at all (seldon-core#5279), and it declares a `metrics` port 6000 on TF Serving that nothing listens on.
Explainers have no scrape annotation; they are found like any other container. Names and ports: Seldon Core v1.17
`operator/constants/constants.go`, `operator/controllers/seldondeployment_engine.go`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.objects import Container, Pod

ENGINE_CONTAINER = "seldon-container-engine"
SCRAPE_PATH_ANNOTATION = "prometheus.io/path"


@dataclass(frozen=True, slots=True)
class Target:
    """One page to read: `source` says which parser reads it."""

    source: str
    container: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of server is recognised and where its page is.

    It fits a container when `container` is its name, `image` is found in its image's repository (registry, tag and
    digest cut off), or one of its ports is named like one of `declares`; and, if given, `annotation` is on the pod.
    """

    source: str
    port: int
    path: str
    container: str = ""
    image: str = ""
    declares: str = ""
    port_flag: str = ""
    port_names: tuple[str, ...] = ()
    port_annotation: str = ""
    path_annotation: str = ""


RULES: tuple[Rule, ...] = (
    Rule("executor", 8000, "/prometheus", container=ENGINE_CONTAINER, port_names=("metrics", "http"),
         path_annotation=SCRAPE_PATH_ANNOTATION),
    Rule("triton", 8002, "/metrics", image="tritonserver", port_flag="--metrics-port"),
    Rule("tfserving", 8501, "/monitoring/prometheus/metrics", image="(tensorflow|tf)[-_/]?serving",
         port_flag="--rest_api_port"),
    Rule("torchserve", 8082, "/metrics", image="torchserve"),
    Rule("mlserver", 8082, "/metrics", image="mlserver", port_names=("metrics(-.*)?",),
         path_annotation=SCRAPE_PATH_ANNOTATION),
    Rule("kserve", 8080, "/metrics", container="kserve-container", port_annotation="prometheus.kserve.io/port",
         path_annotation="prometheus.kserve.io/path"),
    Rule("ingress-nginx", 10254, "/metrics", image="ingress-nginx[-/]controller|nginx-ingress-controller",
         port_names=("metrics", "prometheus")),
    Rule("gpumanager", 5678, "/metric", image="(^|/)gpu-manager$"),
    Rule("dcgm", 9400, "/metrics", image="dcgm-exporter", port_names=("metrics",)),
    Rule("wrapper", 6000, "/prometheus", declares="metrics(-.*)?", port_names=("metrics(-.*)?",),
         path_annotation=SCRAPE_PATH_ANNOTATION),
)  # fmt: skip
"""In order: the first that fits. The last one takes Seldon's own convention: any port named `metrics…`."""

SELDON_LABEL = "seldon-deployment-id"


def targets(pod: Pod) -> tuple[Target, ...]:
    """Return the pages to read in this pod, in the order of its containers; a rule never gives a page twice."""
    annotations = pod.metadata.annotations or {}
    seldon = SELDON_LABEL in (pod.metadata.labels or {})
    found: dict[tuple[int, str], Target] = {}
    for container in pod.spec.containers:
        for rule in RULES:
            if (rule.declares and not seldon) or not _fits(rule, container):
                continue
            target = _target(rule, container, annotations)
            found.setdefault((target.port, target.path), target)
            break
    return tuple(found.values())


def recognised(source: str, page: bytes) -> str:
    """Return the source as its page shows it: a custom image with MLServer inside looks like the wrapper's."""
    return "mlserver" if source == "wrapper" and b"\nmodel_infer_request_" in page else source


def image_version(image: str) -> str:
    """Return the tag of an image, or "" when it has none; `reg:5000/m` has none, `reg:5000/m:1@sha256:…` has `1`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _repository(image: str) -> str:
    path = image.partition("@")[0]
    return path.removesuffix(f":{version}") if (version := image_version(image)) else path


def _fits(rule: Rule, container: Container) -> bool:
    if rule.container:
        return container.name == rule.container
    if rule.image:
        return re.search(rule.image, _repository(container.image)) is not None
    return any(re.fullmatch(rule.declares, port.name) for port in container.ports or ())


def _target(rule: Rule, container: Container, annotations: Mapping[str, str]) -> Target:
    declared = [
        port.container_port
        for name in rule.port_names
        for port in container.ports or ()
        if re.fullmatch(name, port.name)
    ]
    port = (
        _port(_flag(rule.port_flag, container.args or ()))
        or _port(annotations.get(rule.port_annotation, ""))
        or (declared[0] if declared else rule.port)
    )
    path = rule.path
    # MLServer outside Seldon's operator keeps its own path; the annotation is about the declared port.
    if rule.path_annotation and (declared or not rule.port_names):
        path = annotations.get(rule.path_annotation, rule.path)
    return Target(rule.source, container.name, port, path if path.startswith("/") else f"/{path}")


def _flag(flag: str, arguments: tuple[str, ...]) -> str:
    """Return the value of `--flag=value` or `--flag value`; a shell's single string of arguments is looked into."""
    words = [word for argument in arguments for word in argument.split()] if flag else []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == flag:
            return following
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return ""


def _port(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) < 65536 else 0
