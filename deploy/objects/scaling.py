"""Replicas, autoscaling and disruption budgets as fields of a componentSpec.

They live inside the SeldonDeployment: Seldon makes the HorizontalPodAutoscaler, the ScaledObject and the
PodDisruptionBudget from them, and a second budget beside its own would block every eviction.
"""

from __future__ import annotations

from deploy.objects import Body
from deploy.spec import Autoscaling, Disruption, ModelSpec


def component_fields(spec: ModelSpec) -> Body:
    """Return hpaSpec, kedaSpec and pdbSpec as far as the spec asks for them."""
    rendered: Body = {}
    if spec.autoscaling is not None:
        rendered |= hpa(spec.autoscaling) if spec.autoscaling.kind == "hpa" else keda(spec.autoscaling)
    if spec.disruption is not None:
        rendered["pdbSpec"] = pdb(spec.disruption)
    return rendered


def hpa(scaling: Autoscaling) -> Body:
    """Return `hpaSpec` with autoscaling/v2 metrics (Seldon Core from 1.15 on Kubernetes from 1.23)."""
    targets = (("cpu", scaling.cpu_percent), ("memory", scaling.memory_percent))
    metrics = [
        {
            "type": "Resource",
            "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}},
        }
        for name, percent in targets
        if percent is not None
    ]
    return {
        "hpaSpec": {
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metricsv2": metrics,
        }
    }


def keda(scaling: Autoscaling) -> Body:
    """Return `kedaSpec`; the triggers pass as they are written."""
    return {
        "kedaSpec": {
            "minReplicaCount": scaling.min_replicas,
            "maxReplicaCount": scaling.max_replicas,
            "triggers": list(scaling.triggers),
        }
    }


def pdb(disruption: Disruption) -> Body:
    """Return `pdbSpec`."""
    fields = {"minAvailable": disruption.min_available, "maxUnavailable": disruption.max_unavailable}
    return {key: value for key, value in fields.items() if value is not None}
