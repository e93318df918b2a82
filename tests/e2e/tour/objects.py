"""What the tour has in its cluster: the model `fraud` with a canary on a node with a card, and what surrounds it."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from milepost.kube import KubeClient, KubeError, resource_path
from tests.e2e.tour.replica import UNIT
from tests.exporter.live import SELDON_GROUP
from tests.exporter.workload import ingress, seldon_deployment, seldon_pod, service
from tests.parts.crds import apply_definitions
from tests.parts.objects import Object, create, create_nodes, create_pods, node, set_status, wait_for

SELDON_CRD = Path(__file__).parents[2] / "parts" / "seldon_crd.yaml"
MODEL, STABLE, CANARY = "fraud", "default", "canary"
CONTROLLER, GPU_MANAGER, NODE_EXPORTER = "ingress-nginx-controller-0", "gpu-manager-x7k2p", "exporter-node-q8m4d"
SHARE = {"tencent.com/vcuda-core": "30", "tencent.com/vcuda-memory": "16", "cpu": "2", "memory": "4Gi"}
RUNNING_S = 60.0


@dataclass(frozen=True, slots=True)
class Placed:
    """The running pods: the replicas of `fraud`, then the others; all on one node."""

    node: str
    replicas: tuple[Object, ...]
    others: tuple[Object, ...]

    @property
    def pods(self) -> tuple[Object, ...]:
        """All of them."""
        return self.replicas + self.others

    def address(self, name: str) -> str:
        """Return the address of a pod."""
        return next(str(pod["status"]["podIP"]) for pod in self.pods if pod["metadata"]["name"] == name)


async def create_objects(client: KubeClient, namespace: str, *, exporter_port: int) -> Placed:
    """Create everything in this namespace, which may exist, and wait until it runs."""
    await apply_definitions(client, [yaml.safe_load(SELDON_CRD.read_text())])
    try:
        await create(client, resource_path("", "v1", "namespaces"), {"metadata": {"name": namespace}})
    except KubeError as error:
        if error.status != 409:
            raise
    place = f"{namespace}-gpu-1"
    capacity = {"tencent.com/vcuda-core": "100", "tencent.com/vcuda-memory": "60"}
    await create_nodes(client, [node(place, capacity=capacity)])
    await _create_models(client, namespace)
    replicas = [_replica(namespace, STABLE, place), _replica(namespace, CANARY, place)]
    helpers = _helpers(place, exporter_port)
    await create_pods(client, namespace, [*replicas, *helpers, _unschedulable(namespace)])
    names = [each["metadata"]["name"] for each in (*replicas, *helpers)]
    running = [await _running(client, namespace, name) for name in names]
    started = [await _started(client, namespace, pod) for pod in running[: len(replicas)]]
    return Placed(place, tuple(started), tuple(running[len(replicas) :]))


async def _create_models(client: KubeClient, namespace: str) -> None:
    model = seldon_deployment(MODEL, namespace=namespace, replicas=1)
    (stable,) = model["spec"]["predictors"]
    model["spec"]["predictors"] = [
        {**stable, "replicas": 2, "traffic": 80},
        {**stable, "name": CANARY, "traffic": 20},
    ]
    models = resource_path(SELDON_GROUP, "v1", "seldondeployments", namespace=namespace)
    for each in (model, seldon_deployment("churn", namespace=namespace, replicas=1, state="Creating")):
        await create(client, models, each)
        # The operator's part; what is created has no status.
        await set_status(client, f"{models}/{each['metadata']['name']}", each["status"])
    for predictor in (STABLE, CANARY):
        body = service(f"{MODEL}-{predictor}", model=MODEL, predictor=predictor, namespace=namespace)
        await create(client, resource_path("", "v1", "services", namespace=namespace), body)
    route = ingress(MODEL, f"{MODEL}-{STABLE}", namespace=namespace)
    await create(client, resource_path("networking.k8s.io", "v1", "ingresses", namespace=namespace), route)


def _replica(namespace: str, predictor: str, place: str) -> Object:
    name = f"{MODEL}-{predictor}-0-classifier-7d9c6b5f4d-{'x2m7k' if predictor == STABLE else 'p4w9c'}"
    pod = seldon_pod(
        name, namespace=namespace, model=MODEL, predictor=predictor, node=place,
        resources={"limits": SHARE, "requests": SHARE},
    )  # fmt: skip
    pod["metadata"]["annotations"] = {**pod["metadata"]["annotations"], "tencent.com/predicate-gpu-idx-0": "0"}
    return pod


def _unschedulable(namespace: str) -> Object:
    """A second replica, for which the real scheduler finds no node."""
    wanted = {"requests": {"cpu": "1000"}, "limits": {"cpu": "1000"}}
    name = f"{MODEL}-{STABLE}-0-classifier-7d9c6b5f4d-tq6zn"
    return seldon_pod(name, namespace=namespace, model=MODEL, resources=wanted)


def _helpers(place: str, exporter_port: int) -> list[Object]:
    """The pods whose pages the exporter finds by their images, and those of Milepost itself."""
    part_of = {"app.kubernetes.io/part-of": "milepost"}
    exporter = {**part_of, "app.kubernetes.io/name": "exporter", "app.kubernetes.io/component": "node-gpu"}
    return [
        _pod(CONTROLLER, place, "registry.k8s.io/ingress-nginx/controller:v1.11.2", {}),
        _pod(GPU_MANAGER, place, "docker.io/tkestack/gpu-manager:v1.1.5", {}),
        _pod("filebeat-v5r8t", place, "docker.elastic.co/beats/filebeat-wolfi:9.5.2", part_of),
        _pod(NODE_EXPORTER, place, "milepost", exporter, {"name": "metrics", "containerPort": exporter_port}),
    ]


def _pod(name: str, place: str, image: str, labels: dict[str, str], *ports: dict[str, Any]) -> Object:
    container = {"name": "main", "image": image, "ports": list(ports)}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"nodeName": place, "containers": [container]}}


async def _running(client: KubeClient, namespace: str, name: str) -> Object:
    path = f"{resource_path('', 'v1', 'pods', namespace=namespace)}/{name}"
    return await wait_for(client, path, lambda pod: bool(pod["status"].get("podIP")), RUNNING_S)


async def _started(client: KubeClient, namespace: str, pod: Object) -> Object:
    """Give the pod's containers what kwok leaves out of their status: runtime ids, and one earlier end of the unit."""
    statuses = pod["status"]["containerStatuses"]
    for each in statuses:
        each["containerID"] = f"containerd://{uuid.uuid4().hex}{uuid.uuid4().hex}"
        if each["name"] == UNIT:
            ended = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=3)
            at = f"{ended:%Y-%m-%dT%H:%M:%SZ}"
            each["restartCount"] = 1
            each["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": at, "finishedAt": at}}
    path = f"{resource_path('', 'v1', 'pods', namespace=namespace)}/{pod['metadata']['name']}"
    return await set_status(client, path, {"containerStatuses": statuses})
