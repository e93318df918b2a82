"""Objects as Seldon Core v1 makes them, in their full size, for tests of the exporter."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

ENGINE = "seldon-container-engine"


def seldon_pod(
    name: str,
    *,
    namespace: str = "models",
    model: str = "fraud",
    predictor: str = "default",
    node: str = "",
    image: str = "registry.example.test:5000/team/classifier:1.4.2",
    engine: bool = True,
    metrics_port: int = 6000,
    engine_port: int = 8000,
    resources: Mapping[str, Any] | None = None,
) -> Object:
    """Return the pod of one replica of a predictor: its one unit `classifier`, and the orchestrator."""
    containers = [_unit(model, predictor, image, metrics_port, resources)]
    if engine:
        containers.append(_engine(namespace, model, predictor, engine_port))
    spec: Object = {
        "containers": containers,
        "terminationGracePeriodSeconds": 20,
        "volumes": [
            {"name": "seldon-podinfo", "downwardAPI": {"items": [
                {"path": "annotations", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations"}}]}},
            {"name": "classifier-provision-location", "emptyDir": {}},
        ],
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
             "tolerationSeconds": 300}],
    }  # fmt: skip
    if node:
        spec["nodeName"] = node
    return {"metadata": _pod_metadata(name, namespace, model, predictor), "spec": spec}


def running(pod: Object, address: str, *, started_at: str = "2026-11-24T08:00:00Z") -> Object:
    """Return the pod as the API server has it once it runs and is ready."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    uid = uuid.uuid5(uuid.NAMESPACE_DNS, pod["metadata"]["name"])
    return {
        **pod,
        "metadata": {**pod["metadata"], "uid": str(uid)},
        "status": {
            "phase": "Running",
            "podIP": address,
            "startTime": started_at,
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [
                {
                    "name": name,
                    "ready": True,
                    "restartCount": 0,
                    "containerID": f"containerd://{uuid.uuid5(uid, name).hex * 2}",
                    "state": {"running": {"startedAt": started_at}},
                }
                for name in names
            ],
        },
    }


def seldon_deployment(name: str, *, namespace: str = "models", replicas: int = 5, state: str = "Available") -> Object:
    """Return a SeldonDeployment of one predictor."""
    container = {"name": "classifier", "image": "registry.example.test:5000/team/classifier:1.4.2"}
    return {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": "SeldonDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "protocol": "seldon",
            "predictors": [
                {
                    "name": "default",
                    "replicas": replicas,
                    "graph": {"name": "classifier", "type": "MODEL"},
                    "componentSpecs": [{"spec": {"containers": [container]}}],
                }
            ],
        },
        "status": {"state": state},
    }


def service(name: str, *, model: str, predictor: str = "default", namespace: str = "models") -> Object:
    """Return the Service of a predictor."""
    labels = {"seldon-app": f"{model}-{predictor}", "seldon-deployment-id": model}
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"selector": {"seldon-app": f"{model}-{predictor}"}, "ports": [{"name": "http", "port": 8000}]},
    }


def ingress(name: str, backend: str, *, namespace: str = "models", host: str = "models.example.test") -> Object:
    """Return an Ingress of one path."""
    target = {"service": {"name": backend, "port": {"number": 8000}}}
    path = {"path": f"/seldon/{namespace}/{name}", "pathType": "Prefix", "backend": target}
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ingressClassName": "nginx", "rules": [{"host": host, "http": {"paths": [path]}}]},
    }


def _pod_metadata(name: str, namespace: str, model: str, predictor: str) -> Object:
    app = f"{model}-{predictor}"
    return {
        "name": name,
        "namespace": namespace,
        "labels": {
            "app": f"{app}-0-classifier",
            "app.kubernetes.io/managed-by": "seldon-core",
            "fluentd": "true",
            "pod-template-hash": "7d9c6b5f4d",
            "seldon-app": app,
            "seldon-app-svc-classifier": f"{app}-classifier",
            "seldon-deployment-id": model,
            "seldon.io/model": "true",
            "version": predictor,
        },
        "annotations": {"prometheus.io/path": "/prometheus", "prometheus.io/scrape": "true"},
    }


def _unit(model: str, predictor: str, image: str, port: int, resources: Mapping[str, Any] | None) -> Object:
    names = {
        "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": "9000", "PREDICTIVE_UNIT_GRPC_SERVICE_PORT": "9500",
        "PREDICTIVE_UNIT_METRICS_SERVICE_PORT": str(port), "PREDICTIVE_UNIT_METRICS_ENDPOINT": "/prometheus",
        "PREDICTIVE_UNIT_PARAMETERS": "[]", "PREDICTIVE_UNIT_IMAGE": image, "PREDICTIVE_UNIT_ID": "classifier",
        "PREDICTOR_ID": predictor, "PREDICTOR_LABELS": f'{{"version":"{predictor}"}}', "SELDON_DEPLOYMENT_ID": model,
        "SELDON_EXECUTOR_ENABLED": "true",
    }  # fmt: skip
    return {
        "name": "classifier",
        "image": image,
        "env": [{"name": name, "value": value} for name, value in names.items()],
        "ports": [
            {"name": "metrics", "containerPort": port},
            {"name": "http", "containerPort": 9000},
            {"name": "grpc", "containerPort": 9500},
        ],
        "resources": dict(resources or {"requests": {"cpu": "500m", "memory": "1Gi"},
                                        "limits": {"cpu": "2", "memory": "2Gi"}}),
        "livenessProbe": {"tcpSocket": {"port": "http"}, "initialDelaySeconds": 60, "periodSeconds": 5},
        "readinessProbe": {"tcpSocket": {"port": "http"}, "initialDelaySeconds": 20, "periodSeconds": 5},
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", "/bin/sleep 10"]}}},
        "volumeMounts": [
            {"name": "seldon-podinfo", "mountPath": "/etc/podinfo"},
            {"name": "classifier-provision-location", "mountPath": "/mnt/models", "readOnly": True},
        ],
    }  # fmt: skip


def _engine(namespace: str, model: str, predictor: str, port: int) -> Object:
    return {
        "name": ENGINE,
        "image": "docker.io/seldonio/seldon-core-executor:1.17.1",
        "args": [
            "--sdep", model, "--namespace", namespace, "--predictor", predictor, "--http_port", str(port),
            "--grpc_port", "5001", "--protocol", "seldon", "--transport", "rest", "--prometheus_path", "/prometheus",
        ],
        "env": [{"name": "ENGINE_PREDICTOR", "value": "eyJuYW1lIjoiZGVmYXVsdCIsImdyYXBoIjp7fX0=" * 20},
                {"name": "REQUEST_LOGGER_DEFAULT_ENDPOINT", "value": "http://default-broker"}],
        "ports": [{"name": "http", "containerPort": port}, {"name": "metrics", "containerPort": port},
                  {"name": "grpc", "containerPort": 5001}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": port}, "initialDelaySeconds": 20, "periodSeconds": 5},
        "livenessProbe": {"httpGet": {"path": "/live", "port": port}, "initialDelaySeconds": 20, "periodSeconds": 5},
    }  # fmt: skip
