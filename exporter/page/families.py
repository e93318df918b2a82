"""Every metric family of the exporter: name, type, help, labels and the mode that serves it. One table.

Rendering, the documentation and the tests of dashboards and rules all read this table, so a renamed family cannot
leave a stale page behind. Names follow Prometheus: base units (seconds, bytes, ratio), counters end in `_total`,
metadata in `_info`, and no label value is an aggregate of the others, so `sum()` over a family is always meaningful.

Three rules keep `sum()` honest where several observers see one thing. A family is served by exactly one mode (the
node's DaemonSet or the cluster's Deployment), except for those about the exporter itself. A figure that can come from
two places whose values overlap has two families (`_cpu_usage_seconds_total` from the kubelet, `_cpu_usage_cores` from
metrics.k8s.io). A request is counted once in each of `milepost_model_*` (at the front of the predictor's pod),
`milepost_unit_*` (at one server of its graph) and `milepost_ingress_*` (at the Ingress): three questions, three names.
"""

from __future__ import annotations

from exporter.page.family import Family, Kind, Mode, Scope, Vantage


def _node(name: str, kind: Kind, text: str, *labels: str, scope: Scope = Scope.CONTAINER) -> Family:
    return Family(f"milepost_{name}", kind, text, scope, Mode.NODE, labels)


def _cluster(name: str, kind: Kind, text: str, *labels: str, scope: Scope = Scope.CONTAINER) -> Family:
    return Family(f"milepost_{name}", kind, text, scope, Mode.CLUSTER, labels)


def _own(name: str, kind: Kind, text: str, *labels: str) -> Family:
    return Family(f"milepost_{name}", kind, text, Scope.EXPORTER, Mode.BOTH, labels)


# Use of CPU and memory, from the kubelet of this node.
CPU_SECONDS = _node("container_cpu_usage_seconds_total", Kind.COUNTER, "CPU time used by the container.")
MEMORY_WORKING_SET = _node(
    "container_memory_working_set_bytes", Kind.GAUGE, "Memory that cannot be reclaimed; the kernel kills on this."
)
MEMORY_RSS = _node("container_memory_rss_bytes", Kind.GAUGE, "Anonymous memory of the container.")
CPU_LIMIT_RATIO = _node(
    "container_cpu_limit_ratio", Kind.GAUGE, "CPU used since the previous collection over the container's CPU limit."
)
MEMORY_LIMIT_RATIO = _node(
    "container_memory_limit_ratio", Kind.GAUGE, "Working set over the container's memory limit; 1 is an OOM kill."
)
CPU_PERIODS = _node("container_cpu_periods_total", Kind.COUNTER, "CFS enforcement periods of the container.")
CPU_THROTTLED_PERIODS = _node(
    "container_cpu_throttled_periods_total", Kind.COUNTER, "CFS periods in which the container was throttled."
)
OOM_EVENTS = _node("container_oom_events_total", Kind.COUNTER, "Out-of-memory events in the container's cgroup.")
POD_CPU_SECONDS = _node("pod_cpu_usage_seconds_total", Kind.COUNTER, "CPU time used by the pod.", scope=Scope.POD)
POD_MEMORY_WORKING_SET = _node(
    "pod_memory_working_set_bytes", Kind.GAUGE, "Memory of the pod that cannot be reclaimed.", scope=Scope.POD
)
NODE_CPU_SECONDS = _node("node_cpu_usage_seconds_total", Kind.COUNTER, "CPU time used on the node.", scope=Scope.NODE)
NODE_MEMORY_WORKING_SET = _node(
    "node_memory_working_set_bytes", Kind.GAUGE, "Memory of the node that cannot be reclaimed.", scope=Scope.NODE
)

# Use of CPU and memory where no node exporter runs, from metrics.k8s.io.
CPU_CORES = _cluster(
    "container_cpu_usage_cores", Kind.GAUGE, "CPU in use as metrics.k8s.io averages it; prefer the node's counter."
)
MEMORY_USAGE = _cluster(
    "container_memory_usage_bytes", Kind.GAUGE, "Working set as metrics.k8s.io reports it; prefer the node's gauge."
)

# GPU use, from NVML, GpuManager and dcgm-exporter of this node; `gpu` is the card's UUID (or a MIG device's).
GPU_UTILISATION = _node(
    "gpu_container_utilization_ratio", Kind.GAUGE, "Share of one card's time in use by the container.", "gpu", "source"
)
GPU_MEMORY_USED = _node(
    "gpu_container_memory_used_bytes", Kind.GAUGE, "Memory of the card held by the container.", "gpu", "source"
)
GPU_SECONDS = _node(
    "gpu_container_seconds_total", Kind.COUNTER, "Card-seconds used by the container; its rate is cards.", "gpu",
    "source",
)  # fmt: skip
GPU_CARD_INFO = _node(
    "gpu_card_info", Kind.GAUGE, "A card of the node (always 1).", "gpu", "index", "product", "pci_bus_id", "mig",
    "driver", scope=Scope.NODE,
)  # fmt: skip
GPU_CARD_UTILISATION = _node(
    "gpu_card_utilization_ratio", Kind.GAUGE, "Share of the card's time in use.", "gpu", "source", scope=Scope.NODE
)
GPU_CARD_MEMORY_USED = _node(
    "gpu_card_memory_used_bytes", Kind.GAUGE, "Memory of the card in use.", "gpu", "source", scope=Scope.NODE
)
GPU_CARD_MEMORY = _node(
    "gpu_card_memory_capacity_bytes", Kind.GAUGE, "Memory of the card.", "gpu", "source", scope=Scope.NODE
)
GPU_CARD_TEMPERATURE = _node(
    "gpu_card_temperature_celsius", Kind.GAUGE, "Temperature of the card.", "gpu", "source", scope=Scope.NODE
)
GPU_CARD_POWER = _node("gpu_card_power_watts", Kind.GAUGE, "Power drawn.", "gpu", "source", scope=Scope.NODE)
GPU_CARD_ENERGY = _node(
    "gpu_card_energy_joules_total", Kind.COUNTER, "Energy drawn by the card.", "gpu", "source", scope=Scope.NODE
)
GPU_UNATTRIBUTED_PROCESSES = _node(
    "gpu_unattributed_processes", Kind.GAUGE, "Processes on the card that belong to no known container.", "gpu",
    scope=Scope.NODE,
)  # fmt: skip
GPU_UNATTRIBUTED_MEMORY = _node(
    "gpu_unattributed_memory_bytes", Kind.GAUGE, "Memory of the card held by no known container.", "gpu",
    scope=Scope.NODE,
)  # fmt: skip
GPU_MANAGER_SILENT_ZERO = _node(
    "gpu_manager_silent_zero", Kind.GAUGE, "1 where GpuManager reports no use of a card that NVML sees in use.", "gpu"
)

# What containers ask for, from the pod's spec and annotations.
CPU_REQUEST = _cluster("container_cpu_request_cores", Kind.GAUGE, "CPU requested.")
CPU_LIMIT = _cluster("container_cpu_limit_cores", Kind.GAUGE, "CPU limit.")
MEMORY_REQUEST = _cluster("container_memory_request_bytes", Kind.GAUGE, "Memory requested.")
MEMORY_LIMIT = _cluster("container_memory_limit_bytes", Kind.GAUGE, "Memory limit.")
GPU_REQUEST = _cluster(
    "gpu_container_request_cards", Kind.GAUGE, "Cards requested: nvidia.com/gpu, or tencent.com/vcuda-core / 100."
)
GPU_LIMIT = _cluster(
    "gpu_container_limit_cards", Kind.GAUGE, "Cards the container may use: its request, or vcuda-core-limit / 100."
)
GPU_MEMORY_REQUEST = _cluster(
    "gpu_container_memory_request_bytes", Kind.GAUGE, "Card memory requested: tencent.com/vcuda-memory x 256 MiB."
)
GPU_MEMORY_LIMIT = _cluster(
    "gpu_container_memory_limit_bytes", Kind.GAUGE, "Card memory the container may use; GpuManager enforces it."
)
GPU_ASSIGNED = _cluster(
    "gpu_container_assigned_info", Kind.GAUGE, "A card of the node predicated for the container (always 1).", "index"
)
NODE_GPU_CAPACITY = _cluster("node_gpu_capacity_cards", Kind.GAUGE, "Cards of the node.", scope=Scope.NODE)
NODE_GPU_REQUESTED = _cluster(
    "node_gpu_requested_cards", Kind.GAUGE, "Cards requested by the node's running pods.", scope=Scope.NODE
)
NODE_GPU_MEMORY_CAPACITY = _cluster(
    "node_gpu_memory_capacity_bytes", Kind.GAUGE, "Card memory that GpuManager shares out.", scope=Scope.NODE
)
NODE_GPU_MEMORY_REQUESTED = _cluster(
    "node_gpu_memory_requested_bytes", Kind.GAUGE, "Card memory requested by the node's running pods.",
    scope=Scope.NODE,
)  # fmt: skip

NODE_GPU_FREE = _cluster(
    "node_gpu_free_cards", Kind.GAUGE, "Cards of the node that no running pod asks for.", scope=Scope.NODE
)
NODE_GPU_MEMORY_FREE = _cluster(
    "node_gpu_memory_free_bytes", Kind.GAUGE, "Card memory that GpuManager shares out and no running pod asks for.",
    scope=Scope.NODE,
)  # fmt: skip
CARD_REQUESTED = _cluster(
    "node_gpu_card_requested_ratio", Kind.GAUGE,
    "Share of one card that the pods predicated for it ask for (GpuManager).", "index", scope=Scope.NODE,
)  # fmt: skip
CARD_FREE = _cluster(
    "node_gpu_card_free_ratio", Kind.GAUGE,
    "Share of one card that no pod is predicated for; the largest share that fits (GpuManager).", "index",
    scope=Scope.NODE,
)  # fmt: skip
CARD_MEMORY_REQUESTED = _cluster(
    "node_gpu_card_memory_requested_bytes", Kind.GAUGE,
    "Memory of one card that the pods predicated for it ask for (GpuManager).", "index", scope=Scope.NODE,
)  # fmt: skip

# State of pods and models, from the Kubernetes API.
POD_INFO = _cluster(
    "pod_info", Kind.GAUGE, "A pod (always 1); joins anything else to its model.", "uid", "pod_ip", "created_by",
    scope=Scope.POD,
)  # fmt: skip
POD_READY = _cluster("pod_ready", Kind.GAUGE, "1 when the pod is ready.", scope=Scope.POD)
POD_NOT_READY = _cluster(
    "pod_not_ready_reason", Kind.GAUGE, "Why the pod is not ready (always 1).", "reason", scope=Scope.POD
)
POD_START = _cluster(
    "pod_start_time_seconds", Kind.GAUGE, "When the kubelet accepted the pod, in Unix time.", scope=Scope.POD
)
CONTAINER_INFO = _cluster("container_info", Kind.GAUGE, "A container (always 1).", "image")
CONTAINER_START = _cluster("container_start_time_seconds", Kind.GAUGE, "When the container started, in Unix time.")
CONTAINER_RESTARTS = _cluster("container_restarts_total", Kind.COUNTER, "Restarts of the container.")
CONTAINER_READY = _cluster("container_ready", Kind.GAUGE, "1 when the container is ready.")
LAST_TERMINATION = _cluster(
    "container_last_termination_info", Kind.GAUGE,
    "How the container last ended (always 1); exit code 132 has the reason IllegalInstruction.", "reason", "exit_code",
)  # fmt: skip
LAST_TERMINATION_TIME = _cluster(
    "container_last_termination_time_seconds", Kind.GAUGE, "When the container last ended, in Unix time."
)
MODEL_STATE = _cluster(
    "model_state", Kind.GAUGE, "1 for the SeldonDeployment's state, 0 for the others.", "state", scope=Scope.MODEL
)
MODEL_REPLICAS_WANTED = _cluster("model_replicas_wanted", Kind.GAUGE, "Replicas asked for.", scope=Scope.PREDICTOR)
MODEL_REPLICAS_AVAILABLE = _cluster(
    "model_replicas_available", Kind.GAUGE, "Pods of the predictor that are ready.", scope=Scope.PREDICTOR
)
MODEL_TRAFFIC_WEIGHT = _cluster(
    "model_traffic_weight_ratio", Kind.GAUGE, "Share of traffic the SeldonDeployment gives the predictor.",
    scope=Scope.PREDICTOR,
)  # fmt: skip
MODEL_INGRESS = _cluster(
    "model_ingress_info", Kind.GAUGE, "An Ingress that leads to the predictor (always 1).", "ingress", "host", "path",
    "canary", scope=Scope.PREDICTOR,
)  # fmt: skip
MODEL_HAS_INGRESS = _cluster(
    "model_ingress_present", Kind.GAUGE, "1 when some Ingress leads to the model.", scope=Scope.MODEL
)


def _vantage(name: str, where: str, *labels: str, scope: Scope = Scope.CONTAINER) -> Vantage:
    return Vantage(
        requests=_cluster(f"{name}_requests_total", Kind.COUNTER, f"Requests {where}.", *labels, "code_class",
                          scope=scope),
        duration=_cluster(f"{name}_request_duration_seconds", Kind.HISTOGRAM,
                          f"Duration of requests {where}, where its source keeps a histogram.", *labels, scope=scope),
        time=_cluster(f"{name}_request_time_seconds", Kind.SUMMARY,
                      f"Duration of requests {where}: sum and count from every source, for means.", *labels,
                      scope=scope),
        in_flight=_cluster(f"{name}_requests_in_flight", Kind.GAUGE, f"Requests {where} not yet answered.", *labels,
                           scope=scope),
    )  # fmt: skip


AT_MODEL = _vantage("model", "at the front of the model's pod, each counted once", "source", "transport")
AT_UNIT = _vantage("unit", "at one server of the model's graph", "source", "unit", "version", "transport")
AT_INGRESS = _vantage("ingress", "at the Ingress", "ingress", "backend", "canary", "controller", scope=Scope.PREDICTOR)

# What a model's author measures, from the Seldon Python wrapper; `metric` is the author's name for it.
UNIT_CUSTOM = _cluster("unit_custom_total", Kind.COUNTER, "A COUNTER of the model's author.", "unit", "metric")
UNIT_CUSTOM_VALUE = _cluster(
    "unit_custom_value", Kind.GAUGE, "A GAUGE of the model's author; the largest of the server's workers.", "unit",
    "metric",
)  # fmt: skip
UNIT_CUSTOM_SECONDS = _cluster(
    "unit_custom_time_seconds", Kind.SUMMARY, "A TIMER of the model's author: sum and count.", "unit", "metric"
)
UNIT_FEEDBACK = _cluster("unit_feedback_total", Kind.COUNTER, "Feedback requests with a reward.", "unit")
UNIT_FEEDBACK_REWARD = _cluster(
    "unit_feedback_reward", Kind.GAUGE, "Sum of the rewards since the server's start; a reward may be negative.", "unit"
)

# The exporter itself.
BUILD_INFO = _own("exporter_build_info", Kind.GAUGE, "The exporter's version and mode (always 1).", "version", "mode")
SERIES = _own("exporter_series", Kind.GAUGE, "Series on this page.")
SERIES_DROPPED = _own(
    "exporter_series_dropped_total", Kind.COUNTER, "Series left out because a bound was reached.", "bound"
)
SCRAPES_SHARED = _own("exporter_scrapes_shared_total", Kind.COUNTER, "Scrapes answered by another's collection.")
SOURCE_UP = _own("source_up", Kind.GAUGE, "1 when the source answered; 0 and no samples of it when not.", "source")
SOURCE_DURATION = _own("source_duration_seconds", Kind.GAUGE, "How long the source took to answer.", "source")
SOURCE_AGE = _own(
    "source_age_seconds", Kind.GAUGE, "How old the source's figures are (a watch: since it last heard).", "source"
)
SOURCE_ERRORS = _own("source_errors_total", Kind.COUNTER, "Failures of the source by reason.", "source", "reason")
SOURCE_TARGETS = _own("source_targets", Kind.GAUGE, "Pages this source reads.", "source")
SOURCE_TARGETS_UP = _own("source_targets_up", Kind.GAUGE, "Pages this source could read.", "source")
TARGET_UP = _cluster("model_page_up", Kind.GAUGE, "1 when the model server's own page could be read.", "port")
WATCH_EVENTS = _own("watch_events_total", Kind.COUNTER, "Events of the Kubernetes API.", "resource", "event")
WATCH_OBJECTS = _own("watch_objects", Kind.GAUGE, "Objects held from the Kubernetes API.", "resource")
WATCH_BAD_OBJECTS = _own("watch_bad_objects_total", Kind.COUNTER, "Kubernetes objects that could not be read.")

FAMILIES: tuple[Family, ...] = tuple(
    family
    for value in list(vars().values())
    for family in (
        (value.requests, value.duration, value.time, value.in_flight) if isinstance(value, Vantage) else (value,)
    )
    if isinstance(family, Family)
)
"""Every family, in the order of the page."""
