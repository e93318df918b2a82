"""What the renderer knows of the cluster. One group, `cluster`; the operations have their own groups elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from milepost.settings import setting


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster, as far as rendering depends on it."""

    router: str = setting("nginx", "What routes requests to models.", choices=("nginx", "gateway"))
    ingress_class: str = setting("nginx", "Ingress class of models exposed inside the company.")
    external_ingress_class: str = setting("nginx-external", "Ingress class of models exposed outside.")
    gateway: str = setting("infra/models", "`namespace/name` of the Gateway of internal models.")
    external_gateway: str = setting("infra/models-external", "`namespace/name` of the Gateway of external models.")
    domain: str = setting("models.internal", "Domain of hosts that a spec does not name: <name>-<namespace>.<domain>.")
    service_http_port: int = setting(8000, "HTTP port of predictor Services (the operator's ENGINE_SERVER_PORT).")
    service_grpc_port: int = setting(5001, "gRPC port of predictor Services (ENGINE_SERVER_GRPC_PORT).")
    ingress_namespace: str = setting(
        "ingress-nginx", "Namespace of the ingress controller or Gateway pods; empty: not admitted."
    )
    monitoring_namespace: str = setting("monitoring", "Namespace of Prometheus; empty: not admitted.")
    exporter_namespace: str = setting(
        "milepost-prod", "Namespace of Milepost's exporter, which reads models' metrics; empty: not admitted."
    )
    monitoring: str = setting(
        "annotations",
        "How Prometheus finds a model: Seldon's pod annotations or a ServiceMonitor.",
        choices=("annotations", "servicemonitor"),
    )
    network_policy: bool = setting(True, "Render a NetworkPolicy for every model.")
    cpu_check: str = setting(
        "affinity",
        "How CPU features are ensured: node-feature-discovery labels, a preflight container, both or none.",
        choices=("affinity", "preflight", "both", "none"),
    )
    preflight_image: str = setting("ghcr.io/milepost/milepost-lean:0.1.0", "Image of the CPU preflight container.")
    hdfs_initializer_image: str = setting(
        "ghcr.io/milepost/milepost-hdfs:0.1.0",
        "Storage initializer for hdfs://, webhdfs:// and swebhdfs:// models; empty: Seldon's own.",
    )
    gpu_memory_mib: int = setting(81_920, "Memory of the largest GPU card, in MiB; no share may ask for more.")
    gpu_cards: tuple[str, ...] = setting((), "Cards by model, `model=MiB`, as in label gaia.tencent.com/gpu-model.")
    servers: tuple[str, ...] = setting((), "Own servers of seldon-config that a spec may name, `LIGHTGBM_SERVER`.")
    request_seconds_max: int = setting(600, "Longest request timeout a spec may ask for, in seconds.")
    replicas_max: int = setting(100, "Most replicas a model may have.")


GROUPS: dict[str, type] = {"cluster": Cluster}
