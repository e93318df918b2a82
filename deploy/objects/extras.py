"""What stands beside a model: who may reach its pods, and how Prometheus finds them."""

from __future__ import annotations

from deploy.objects import INGRESS, MANAGED_BY, Body, KubeObject
from deploy.settings import Cluster
from deploy.spec import ModelSpec

MODEL_LABEL = "seldon-deployment-id"
NAMESPACE_NAME = "kubernetes.io/metadata.name"


def extras(spec: ModelSpec, cluster: Cluster) -> tuple[KubeObject, ...]:
    """Render what the cluster's settings ask for beside the model."""
    rendered = [network_policy(spec, cluster)] if cluster.network_policy and spec.network.policy else []
    if cluster.monitoring == "servicemonitor":
        rendered.append(service_monitor(spec))
    return tuple(rendered)


def network_policy(spec: ModelSpec, cluster: Cluster) -> KubeObject:
    """Admit the ingress controller, Prometheus, the exporter, the model's own pods and the namespaces the spec names.

    Outgoing traffic is left alone: the storage initializer and request logging go where the spec says.
    """
    ours = (cluster.ingress_namespace, cluster.monitoring_namespace, cluster.exporter_namespace)
    namespaces = [name for name in (*ours, *spec.network.allow_namespaces) if name]
    own: Body = {"podSelector": {"matchLabels": {MODEL_LABEL: spec.name}}}
    peers = [{"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: name}}} for name in dict.fromkeys(namespaces)]
    return _beside(
        spec,
        INGRESS,
        "NetworkPolicy",
        {
            "podSelector": {"matchLabels": {MODEL_LABEL: spec.name}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [own, *peers]}],
        },
    )


def service_monitor(spec: ModelSpec) -> KubeObject:
    """Scrape the orchestrators of all predictors: only their Services carry the label `seldon-app`."""
    endpoint = {"port": "http", "path": "/prometheus", "interval": "15s", "scrapeTimeout": "10s"}
    selector = {
        "matchLabels": {MODEL_LABEL: spec.name},
        "matchExpressions": [{"key": "seldon-app", "operator": "Exists"}],
    }
    return _beside(
        spec,
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        {
            "selector": selector,
            "namespaceSelector": {"matchNames": [spec.namespace]},
            "targetLabels": [MODEL_LABEL],
            "endpoints": [endpoint],
        },
    )


def _beside(spec: ModelSpec, api_version: str, kind: str, body: Body) -> KubeObject:
    metadata = {
        "name": spec.name,
        "namespace": spec.namespace,
        "labels": dict(MANAGED_BY) | {MODEL_LABEL: spec.name},
    }
    return KubeObject({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": body})
