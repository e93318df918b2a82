"""The parts of Kubernetes objects that the exporter reads, decoded straight from the raw JSON.

Everything else in an object is skipped by the decoder: a thousand pods cost 15 ms instead of the second and more that
the client library's model objects take. Fields are optional where the API server may leave them out. Sources: the
Kubernetes API reference (core/v1, networking.k8s.io/v1, metrics.k8s.io/v1beta1) and Seldon Core v1.17
`operator/apis/machinelearning.seldon.io/v1/seldondeployment_types.go`, `seldon_deployment_status.go`.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class _Struct(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """A part of an object; unknown fields are ignored."""


class Owner(_Struct, frozen=True):
    """An owner reference."""

    kind: str = ""
    name: str = ""
    controller: bool = False


class Metadata(_Struct, frozen=True):
    """The metadata of any object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[Owner, ...] = ()
    deletion_timestamp: datetime | None = None


class Port(_Struct, frozen=True):
    """A declared container port."""

    container_port: int = 0
    name: str = ""


class Resources(_Struct, frozen=True):
    """Requests and limits: resource name to quantity (a string, or a bare number)."""

    requests: dict[str, str | int | float] | None = None
    limits: dict[str, str | int | float] | None = None


class Container(_Struct, frozen=True):
    """A container of a pod's spec."""

    name: str = ""
    image: str = ""
    ports: tuple[Port, ...] | None = None
    resources: Resources | None = None
    restart_policy: str = ""
    args: tuple[str, ...] | None = None


class PodSpec(_Struct, frozen=True):
    """A pod's spec."""

    node_name: str = ""
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] | None = None


class Waiting(_Struct, frozen=True):
    """A container that is not running yet, or not again."""

    reason: str = ""


class Running(_Struct, frozen=True):
    """A running container."""

    started_at: datetime | None = None


class Terminated(_Struct, frozen=True):
    """How a container ended."""

    reason: str = ""
    exit_code: int = 0
    finished_at: datetime | None = None


class ContainerState(_Struct, frozen=True):
    """One of its three fields is set."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Struct, frozen=True):
    """What the kubelet says of a container."""

    name: str = ""
    ready: bool = False
    restart_count: int = 0
    container_id: str = msgspec.field(default="", name="containerID")
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class Condition(_Struct, frozen=True):
    """A condition of a pod."""

    type: str = ""
    status: str = ""
    reason: str = ""


class PodStatus(_Struct, frozen=True):
    """A pod's status."""

    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    reason: str = ""
    start_time: datetime | None = None
    conditions: tuple[Condition, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None
    ephemeral_container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(_Struct, frozen=True):
    """A pod."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class NodeStatus(_Struct, frozen=True):
    """A node's status."""

    capacity: dict[str, str] | None = None
    allocatable: dict[str, str] | None = None


class Node(_Struct, frozen=True):
    """A node."""

    metadata: Metadata
    status: NodeStatus = NodeStatus()


class ServiceSpec(_Struct, frozen=True):
    """A Service's spec."""

    selector: dict[str, str] | None = None


class Service(_Struct, frozen=True):
    """A Service."""

    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()


class ServiceRef(_Struct, frozen=True):
    """The Service of an Ingress backend."""

    name: str = ""


class Backend(_Struct, frozen=True):
    """An Ingress backend."""

    service: ServiceRef | None = None


class HttpPath(_Struct, frozen=True):
    """One path of an Ingress rule."""

    path: str = ""
    backend: Backend = Backend()


class Http(_Struct, frozen=True):
    """The paths of an Ingress rule."""

    paths: tuple[HttpPath, ...] | None = None


class Rule(_Struct, frozen=True):
    """An Ingress rule."""

    host: str = ""
    http: Http | None = None


class IngressSpec(_Struct, frozen=True):
    """An Ingress's spec."""

    rules: tuple[Rule, ...] | None = None
    default_backend: Backend | None = None


class Ingress(_Struct, frozen=True):
    """An Ingress."""

    metadata: Metadata
    spec: IngressSpec = IngressSpec()


class ComponentSpec(_Struct, frozen=True):
    """A component of a predictor; each becomes a Deployment."""

    replicas: int | None = None
    hpa_spec: dict[str, msgspec.Raw] | None = None


class Predictor(_Struct, frozen=True):
    """A predictor of a SeldonDeployment."""

    name: str = ""
    replicas: int | None = None
    traffic: int | None = None
    shadow: bool = False
    component_specs: tuple[ComponentSpec, ...] | None = None


class SeldonSpec(_Struct, frozen=True):
    """A SeldonDeployment's spec."""

    replicas: int | None = None
    predictors: tuple[Predictor, ...] = ()


class SeldonDeploymentStatus(_Struct, frozen=True):
    """The status of one Deployment of a SeldonDeployment."""

    replicas: int = 0


class SeldonStatus(_Struct, frozen=True):
    """A SeldonDeployment's status."""

    state: str = ""
    description: str = ""
    deployment_status: dict[str, SeldonDeploymentStatus] | None = None


class SeldonDeployment(_Struct, frozen=True):
    """A SeldonDeployment."""

    metadata: Metadata
    spec: SeldonSpec = SeldonSpec()
    status: SeldonStatus = SeldonStatus()


class UsageContainer(_Struct, frozen=True):
    """A container of PodMetrics; usage is quantities."""

    name: str = ""
    usage: dict[str, str] | None = None


class PodMetrics(_Struct, frozen=True):
    """One item of a metrics.k8s.io PodMetricsList."""

    metadata: Metadata
    timestamp: datetime | None = None
    containers: tuple[UsageContainer, ...] = ()


class PodMetricsList(_Struct, frozen=True):
    """A metrics.k8s.io PodMetricsList."""

    items: tuple[PodMetrics, ...] = ()
