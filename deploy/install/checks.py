"""What a cluster needs for Milepost, as a table: what is looked at, what is found, what to do.

Pure: `Survey` is what `deploy.install.survey` read from the cluster, a row of `CHECKS` turns it into a `Finding`. A
survey that the caller may not read gives `unknown`, never `present`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from deploy.settings import Cluster
from deploy.spec.frameworks import SERVERS

VERSION_MIN = (1, 23)
GPU_PAGE = "/metric"


class State(StrEnum):
    """How a check ended."""

    PRESENT = "present"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Survey:
    """What was read. None: the caller may not read it, or the server did not say."""

    version: tuple[int, int] | None = None
    groups: frozenset[str] = frozenset()
    seldon_servers: frozenset[str] | None = None
    seldon_webhook: bool | None = None
    ingress_classes: frozenset[str] | None = None
    gateways: frozenset[str] | None = None
    nodes: int | None = None
    nodes_with_nfd: int = 0
    nodes_with_avx2: int = 0
    nodes_with_gpu_manager: int = 0
    gpu_page: str | None = None
    metrics_api: bool = False
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the answer."""

    name: str
    state: State
    required: bool
    found: str
    todo: str = ""

    @property
    def blocks(self) -> bool:
        """Whether Milepost cannot work as configured."""
        return self.required and self.state is not State.PRESENT


Check = Callable[[Survey, Cluster], Finding]


def check(survey: Survey, cluster: Cluster) -> list[Finding]:
    """Return a finding for every check, in the order of the table."""
    return [rule(survey, cluster) for rule in CHECKS]


def _version(survey: Survey, _: Cluster) -> Finding:
    name, wanted = "Kubernetes", ".".join(map(str, VERSION_MIN))
    if survey.version is None:
        return Finding(name, State.UNKNOWN, True, "no answer to /version", "check the kubeconfig and the API server")
    found = ".".join(map(str, survey.version))
    state = State.PRESENT if survey.version >= VERSION_MIN else State.MISSING
    return Finding(name, state, True, found, "" if state is State.PRESENT else f"upgrade to {wanted} or later")


def _seldon_crd(survey: Survey, _: Cluster) -> Finding:
    todo = "helm upgrade --install seldon-core … -f deploy/kustomize/values/seldon-core.yaml"
    served = "machinelearning.seldon.io/v1" in survey.groups
    return _plain("SeldonDeployment v1", served, "machinelearning.seldon.io/v1", todo, required=True)


def _seldon_servers(survey: Survey, cluster: Cluster) -> Finding:
    name = "seldon-config servers"
    if survey.seldon_servers is None:
        return _unread(name, "seldon-config", survey, "ConfigMap seldon-config was not found", required=True)
    wanted = {server.implementation for server in SERVERS.values() if server.implementation} | set(cluster.servers)
    lacking = sorted(wanted - survey.seldon_servers)
    if not lacking:
        return Finding(name, State.PRESENT, True, f"{len(wanted)} of {len(wanted)}")
    todo = "add them to predictor_servers (deploy/kustomize/values/seldon-core.yaml), or do not use their frameworks"
    return Finding(name, State.MISSING, bool(set(lacking) & set(cluster.servers)), f"no {', '.join(lacking)}", todo)


def _seldon_webhook(survey: Survey, _: Cluster) -> Finding:
    name, todo = "Seldon's webhook", "Milepost applies its rules itself; objects made by hand go unchecked"
    if survey.seldon_webhook is None:
        return _unread(name, "webhooks", survey, "not readable", required=False)
    return _plain(name, survey.seldon_webhook, "validating webhook of machinelearning.seldon.io", todo, required=False)


def _router(survey: Survey, cluster: Cluster) -> Finding:
    return _ingress(survey, cluster) if cluster.router == "nginx" else _gateway(survey, cluster)


def _ingress(survey: Survey, cluster: Cluster) -> Finding:
    name, wanted = "Ingress class", cluster.ingress_class
    if survey.ingress_classes is None:
        return _unread(name, "ingressclasses", survey, "not readable", required=True)
    todo = "install ingress-nginx with deploy/kustomize/values/ingress-nginx.yaml, or set --cluster-ingress-class"
    found = ", ".join(sorted(survey.ingress_classes)) or "none"
    state = State.PRESENT if wanted in survey.ingress_classes else State.MISSING
    return Finding(name, state, True, f"{wanted} wanted, there is {found}", "" if state is State.PRESENT else todo)


def _external_class(survey: Survey, cluster: Cluster) -> Finding:
    name, wanted = "Ingress class for outside", cluster.external_ingress_class
    if cluster.router != "nginx":
        return Finding(name, State.PRESENT, False, "not used with the Gateway API")
    if survey.ingress_classes is None:
        return _unread(name, "ingressclasses", survey, "not readable", required=False)
    todo = "needed for models with route.exposure external: a second controller, or --cluster-external-ingress-class"
    return _plain(name, wanted in survey.ingress_classes, wanted, todo, required=False)


def _gateway(survey: Survey, cluster: Cluster) -> Finding:
    name = "Gateway"
    if "gateway.networking.k8s.io/v1" not in survey.groups:
        todo = "install the Gateway API's CRDs and a controller, or set --cluster-router nginx"
        return Finding(name, State.MISSING, True, "no gateway.networking.k8s.io/v1", todo)
    if survey.gateways is None:
        return _unread(name, "gateways", survey, "not readable", required=True)
    todo = f"create Gateway {cluster.gateway}, or name yours by --cluster-gateway"
    return _plain(name, cluster.gateway in survey.gateways, cluster.gateway, todo, required=True)


def _gpu_manager(survey: Survey, _: Cluster) -> Finding:
    name = "GpuManager"
    if survey.nodes is None:
        return _unread(name, "nodes", survey, "nodes are not readable", required=False)
    found = f"{survey.nodes_with_gpu_manager} of {survey.nodes} nodes offer tencent.com/vcuda-core"
    todo = "needed for a spec's `gpu`: install gpu-manager and gpu-admission, label nodes nvidia-device-enable=enable"
    state = State.PRESENT if survey.nodes_with_gpu_manager else State.MISSING
    return Finding(name, state, False, found, "" if state is State.PRESENT else todo)


def _gpu_page(survey: Survey, _: Cluster) -> Finding:
    name = "GpuManager's metrics page"
    if not survey.nodes_with_gpu_manager:
        return Finding(name, State.PRESENT, False, "no GpuManager, no page")
    if survey.gpu_page == GPU_PAGE:
        return Finding(name, State.PRESENT, False, f"annotated {GPU_PAGE}")
    found = "no Service kube-system/gpu-manager-metric" if survey.gpu_page is None else f"path {survey.gpu_page!r}"
    return Finding(name, State.MISSING, False, found, "kubectl apply -k deploy/kustomize/gpu-manager")


def _cpu_labels(survey: Survey, cluster: Cluster) -> Finding:
    name = "CPU feature labels"
    if survey.nodes is None:
        return _unread(name, "nodes", survey, "nodes are not readable", required=False)
    needed = cluster.cpu_check in ("affinity", "both")
    found = f"{survey.nodes_with_nfd} of {survey.nodes} nodes labelled, {survey.nodes_with_avx2} have AVX2"
    if survey.nodes_with_avx2:
        return Finding(name, State.PRESENT, needed, found)
    todo = "install node-feature-discovery, or set --cluster-cpu-check preflight"
    if survey.nodes_with_nfd:
        todo = "no node has AVX2: TensorFlow Serving cannot run here; give the virtual machines a newer CPU model"
    return Finding(name, State.MISSING, needed, found, todo)


def _metrics_api(survey: Survey, _: Cluster) -> Finding:
    todo = "install metrics-server: autoscaling by CPU or memory does not work without"
    return _plain("metrics.k8s.io", survey.metrics_api, "metrics.k8s.io/v1beta1", todo, required=False)


def _prometheus_operator(survey: Survey, cluster: Cluster) -> Finding:
    todo = (
        "install the Prometheus operator, or leave out components/monitoring and set --cluster-monitoring annotations"
    )
    served = "monitoring.coreos.com/v1" in survey.groups
    required = cluster.monitoring == "servicemonitor"
    return _plain("Prometheus operator", served, "monitoring.coreos.com/v1", todo, required=required)


def _keda(survey: Survey, _: Cluster) -> Finding:
    todo = "needed for autoscaling.kind keda only: install KEDA and set keda.enabled for Seldon"
    return _plain("KEDA", "keda.sh/v1alpha1" in survey.groups, "keda.sh/v1alpha1", todo, required=False)


CHECKS: tuple[Check, ...] = (
    _version,
    _seldon_crd,
    _seldon_servers,
    _seldon_webhook,
    _router,
    _external_class,
    _cpu_labels,
    _gpu_manager,
    _gpu_page,
    _metrics_api,
    _prometheus_operator,
    _keda,
)


def _plain(name: str, there: bool, found: str, todo: str, *, required: bool) -> Finding:
    if there:
        return Finding(name, State.PRESENT, required, found)
    return Finding(name, State.MISSING, required, f"no {found}", todo)


def _unread(name: str, what: str, survey: Survey, otherwise: str, *, required: bool) -> Finding:
    reason = survey.refused.get(what)
    if reason:
        return Finding(name, State.UNKNOWN, required, reason, "ask with an account that may read it, or mend it")
    return Finding(name, State.MISSING, required, otherwise, "install Seldon Core, or name its namespace")
