"""The vocabulary of the platform: what a model's owner writes, and nothing about how it is rendered.

`ModelSpec` is one model on one cluster. The wire names are camelCase (`modelUri`), an unknown key is refused, and a
field left out has the default written here. What only one value allows (a number's range, a choice) is part of the
type and so of the published JSON Schema; what several fields decide together is a rule of `deploy.rules`. A spec is a
value: every change makes a new one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

API_VERSION: Literal["milepost/v1"] = "milepost/v1"

Framework = Literal["tensorflow", "sklearn", "xgboost", "mlflow", "triton", "huggingface", "pytorch", "custom"]
Protocol = Literal["seldon", "tensorflow", "v2"]
Transport = Literal["rest", "grpc"]
UnitType = Literal["model", "router", "combiner", "transformer", "output-transformer"]
Builtin = Literal["simple-model", "simple-router", "random-abtest", "average-combiner"]
CpuCheck = Literal["affinity", "preflight", "both", "none"]
Scalar = bool | int | float | str

Label = Annotated[str, Meta(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
"""A DNS-1035 label: a Service and a SeldonDeployment can both carry it."""
Positive = Annotated[int, Meta(ge=1)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Options that every part of a spec shares."""


class Resources(Part, frozen=True, kw_only=True):
    """Kubernetes quantities of the server's container."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class Gpu(Part, frozen=True, kw_only=True):
    """A share of one card (`cores` in percent of it, with `memoryMiB`), or whole cards (`cards`)."""

    cores: int | None = None
    memory_mib: int | None = field(default=None, name="memoryMiB")
    cards: int | None = None
    core_limit: Annotated[int, Meta(ge=1, le=100)] | None = None
    model: str | None = None


class Probes(Part, frozen=True, kw_only=True):
    """How it is known that the server is up. `startupSeconds` bounds loading; nothing kills the pod before it."""

    kind: Literal["tcp", "http"] | None = None
    path: str | None = None
    startup_seconds: Seconds = 300
    period_seconds: Annotated[int, Meta(ge=1, le=300)] = 5
    timeout_seconds: Annotated[int, Meta(ge=1, le=300)] = 2
    failures: Positive = 3


class SecretKey(Part, frozen=True, kw_only=True):
    """One key of a Secret of the model's namespace; the value itself never appears in a spec."""

    secret: str
    key: str


class Storage(Part, frozen=True, kw_only=True):
    """How `modelUri` is read: the Secret with credentials, the ServiceAccount, the initializer image."""

    secret: str | None = None
    service_account: str | None = None
    initializer_image: str | None = None


class Serving(Part, frozen=True, kw_only=True):
    """A server and what it needs; a model has one, and so has every unit of a graph."""

    framework: Framework = "custom"
    server: str | None = None
    model_uri: str | None = None
    image: str | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    parameters: dict[str, Scalar] = {}
    env: dict[str, str] = {}
    secret_env: dict[str, SecretKey] = {}
    storage: Storage = Storage()
    resources: Resources = Resources()
    gpu: Gpu | None = None
    probes: Probes | None = Probes()
    cpu_features: tuple[str, ...] | UnsetType = UNSET
    mount_secrets: dict[str, str] = {}


class Unit(Serving, frozen=True, kw_only=True):
    """A node of an inference graph. `ownPod` gives it a Deployment of its own."""

    name: Label
    type: UnitType = "model"
    builtin: Builtin | None = None
    own_pod: bool = False
    children: tuple[Unit, ...] = ()


class Shadow(Serving, frozen=True, kw_only=True):
    """A server that gets a copy of the requests and whose answers are thrown away."""

    predictor: Label = "shadow"
    percent: Annotated[int, Meta(ge=1, le=100)] = 100


class Explainer(Part, frozen=True, kw_only=True):
    """An Alibi explainer beside the model (Seldon Core `explainer`)."""

    type: Literal[
        "AnchorTabular", "AnchorImages", "AnchorText", "Counterfactuals", "Contrastive", "KernelShap",
        "IntegratedGradients", "ALE", "TreeShap",
    ]  # fmt: skip
    model_uri: str | None = None
    parameters: dict[str, str] = {}
    storage: Storage = Storage()
    resources: Resources = Resources()
    replicas: Positive | None = None


class Autoscaling(Part, frozen=True, kw_only=True):
    """HPA by utilisation (percent of requests), or KEDA by triggers; then `replicas` is not written."""

    kind: Literal["hpa", "keda"] = "hpa"
    min_replicas: Annotated[int, Meta(ge=0)] = 1
    max_replicas: Positive
    cpu_percent: Positive | None = None
    memory_percent: Positive | None = None
    triggers: tuple[dict[str, Any], ...] = ()


class Disruption(Part, frozen=True, kw_only=True):
    """How many pods an eviction may take; one of the two, a number or a percentage such as `25%`."""

    min_available: int | str | None = None
    max_unavailable: int | str | None = None


class Limits(Part, frozen=True, kw_only=True):
    """Limits at the route, counted by client address and by controller replica. `burst` multiplies the rate."""

    requests_per_second: Positive | None = None
    requests_per_minute: Positive | None = None
    concurrency: Positive | None = None
    burst: Positive | None = None
    allow: tuple[str, ...] = ()


class Timeouts(Part, frozen=True, kw_only=True):
    """Whole seconds: to connect, and for one request through the route and the Seldon orchestrator (null: theirs)."""

    connect_seconds: Seconds | None = 5
    request_seconds: Seconds | None = 60


class Toleration(Part, frozen=True, kw_only=True):
    """A taint that the pods may run beside, as Kubernetes writes it."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None


class RouteSpec(Part, frozen=True, kw_only=True):
    """Where callers reach the model. Without `host` the cluster's domain gives one host per model.

    `name` is the Ingress's or HTTPRoute's, for one that existed before the model was adopted; default: the model's.
    """

    name: Label | None = None
    exposure: Literal["internal", "external", "none"] = "internal"
    host: str | None = None
    path: str = "/"
    strip_path: bool = False
    tls_secret: str | None = None
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    body_size: str | None = None


class RequestLog(Part, frozen=True, kw_only=True):
    """Send requests or responses as CloudEvents to `url` (Seldon Core `logger`)."""

    url: str
    mode: Literal["all", "request", "response"] = "all"


class LogHints(Part, frozen=True, kw_only=True):
    """What Filebeat's autodiscovery is told about this model's pods."""

    enabled: bool = True
    json: bool = False
    multiline_pattern: str | None = None


class Network(Part, frozen=True, kw_only=True):
    """Which namespaces may call the pods directly, beside the ingress controller and the monitoring.

    `policy` false renders no NetworkPolicy: adopted models start so, since who calls them is not known.
    """

    policy: bool = True
    allow_namespaces: tuple[str, ...] = ()


class Override(Part, frozen=True, kw_only=True):
    """A merge patch on the rendered object of this kind (`deploy.objects.patch`); `name` when there are several."""

    kind: str
    patch: dict[str, Any]
    name: str | None = None


class ModelSpec(Serving, frozen=True, kw_only=True):
    """One model: its server, its capacity, its route and everything around it.

    `unit` names the single node of the graph (default: the model's name). `serviceName` pins the predictor's Service
    (default `<name>-<predictor>`); null leaves its name to Seldon, whose rule differs by version. Likewise null for
    `probes`, `graceSeconds`, `drainSeconds` and `logs` leaves the matter to Seldon: adopted models start so.
    """

    api_version: Literal["milepost/v1"] = API_VERSION
    name: Label
    namespace: Annotated[str, Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    version: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", max_length=63)] | None = None
    predictor: Label = "default"
    service_name: Label | UnsetType | None = UNSET
    unit: Label | None = None
    protocol: Protocol | None = None
    transport: Transport = "rest"
    replicas: Annotated[int, Meta(ge=0, le=1000)] = 1
    autoscaling: Autoscaling | None = None
    disruption: Disruption | None = None
    priority: str | None = None
    grace_seconds: Annotated[int, Meta(ge=1, le=3600)] | None = 30
    drain_seconds: Annotated[int, Meta(ge=0, le=3600)] | None = 10
    cpu_check: CpuCheck | None = None
    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    orchestrator: bool = True
    orchestrator_resources: Resources = Resources()
    graph: Unit | None = None
    shadow: Shadow | None = None
    explainer: Explainer | None = None
    request_log: RequestLog | None = None
    route: RouteSpec = RouteSpec()
    logs: LogHints | None = LogHints()
    network: Network = Network()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    overrides: tuple[Override, ...] = ()

    @property
    def key(self) -> str:
        """How the model is addressed everywhere: `namespace/name`."""
        return f"{self.namespace}/{self.name}"
