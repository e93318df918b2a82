"""A small stand-in for the Seldon operator: Deployments, Services and status by its naming rules, and nothing else.

From `operator/controllers/seldondeployment_controller.go` and `.../v1/seldondeployment_types.go` of Seldon Core 1.18:
a predictor's annotations go onto its Deployments, pods and Service; the Service is `<name>-<predictor>` or the
annotation `seldon.io/svc-name`; what no predictor asks for any more is deleted, Deployments before Services.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from milepost.kube import ContentType, KubeClient, KubeError, resource_path

GROUP = "machinelearning.seldon.io"
EVERY_S = 0.15

Object = dict[str, Any]


@contextlib.asynccontextmanager
async def seldon_controller(client: KubeClient, namespace: str, *, port: int = 8000) -> AsyncIterator[None]:
    """Reconcile the SeldonDeployments of one namespace until the block ends; pods listen on `port`."""
    stopping = asyncio.Event()
    task = asyncio.create_task(_reconcile_until(stopping, client, namespace, port))
    try:
        yield
    finally:
        # Not cancelled: a request cut in the middle leaves a connection whose TLS goodbye outlives the event loop.
        stopping.set()
        await task


async def _reconcile_until(stopping: asyncio.Event, client: KubeClient, namespace: str, port: int) -> None:
    path = resource_path(GROUP, "v1", "seldondeployments", namespace=namespace)
    while not stopping.is_set():
        # A conflict, an object just deleted, an answer that came too late on a slow machine: the next round sees it.
        with contextlib.suppress(KubeError):
            for item in await _items(client, path):
                if "deletionTimestamp" not in item["metadata"]:
                    with contextlib.suppress(KubeError):
                        await reconcile(client, item, port)
        await asyncio.sleep(EVERY_S)


async def reconcile(client: KubeClient, item: Object, port: int = 8000) -> None:
    """Bring the Deployments, Services and status of one SeldonDeployment up to date."""
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    deployments, services = {}, {}
    for predictor in item["spec"]["predictors"]:
        service = predictor.get("annotations", {}).get("seldon.io/svc-name", f"{name}-{predictor['name']}")
        services[service] = _service(item, predictor, service, port)
        body = _deployment(item, predictor, service)
        deployments[body["metadata"]["name"]] = body
    for kind, wanted in (("deployments", deployments), ("services", services)):
        group = "apps" if kind == "deployments" else ""
        for object_name, body in wanted.items():
            await _apply(client, resource_path(group, "v1", kind, namespace=namespace, name=object_name), body)
        selector = {"labelSelector": f"seldon-deployment-id={name}"}
        for found in await _items(client, resource_path(group, "v1", kind, namespace=namespace), selector):
            if found["metadata"]["name"] not in wanted and found["metadata"].get("ownerReferences"):
                path = resource_path(group, "v1", kind, namespace=namespace, name=found["metadata"]["name"])
                await client.request("DELETE", path)
    await _report(client, item, deployments, services)


async def _report(client: KubeClient, item: Object, deployments: Object, services: Object) -> None:
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    selector = {"labelSelector": f"seldon-deployment-id={name}"}
    found = await _items(client, resource_path("apps", "v1", "deployments", namespace=namespace), selector)
    statuses = {one["metadata"]["name"]: one.get("status", {}).get("availableReplicas", 0) for one in found}
    ready = all(statuses.get(one, 0) >= body["spec"]["replicas"] for one, body in deployments.items())
    status = {
        "state": "Available" if ready else "Creating",
        "replicas": sum(statuses.values()),
        "serviceStatus": {service: {"svcName": service} for service in services},
    }
    path = resource_path(GROUP, "v1", "seldondeployments", namespace=namespace, name=name, subresource="status")
    body = msgspec.json.encode({"status": status})
    await client.request("PATCH", path, body=body, content_type=ContentType.MERGE)


def _deployment(item: Object, predictor: Object, service: str) -> Object:
    name = item["metadata"]["name"]
    components = predictor.get("componentSpecs") or [{}]
    pod = components[0].get("spec", {})
    containers = [
        {"name": one["name"], "image": one.get("image", "seldonio/server:1")}
        for one in components[0].get("spec", {}).get("containers", [{"name": predictor["graph"]["name"]}])
    ]
    deployment = f"{name}-{predictor['name']}-0-{'-'.join(one['name'] for one in containers)}"
    labels = {"seldon-deployment-id": name, "app": deployment, "version": predictor["name"], "seldon-app": service}
    annotations = predictor.get("annotations", {})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(item, deployment, labels, annotations),
        "spec": {
            "replicas": predictor.get("replicas", 1),
            "selector": {"matchLabels": {"app": deployment}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"containers": containers, "nodeSelector": pod.get("nodeSelector", {})},
            },
        },
    }


def _service(item: Object, predictor: Object, service: str, port: int) -> Object:
    labels = {"seldon-deployment-id": item["metadata"]["name"], "seldon-app": service}
    ports = [{"name": "http", "port": 8000, "targetPort": port}, {"name": "grpc", "port": 5001, "targetPort": 5001}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(item, service, labels, predictor.get("annotations", {})),
        "spec": {"selector": {"seldon-app": service}, "ports": ports},
    }


def _metadata(item: Object, name: str, labels: Object, annotations: Object) -> Object:
    owner = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "SeldonDeployment",
        "name": item["metadata"]["name"],
        "uid": item["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {"name": name, "labels": labels, "annotations": annotations, "ownerReferences": [owner]}


async def _apply(client: KubeClient, path: str, body: Object) -> None:
    params: dict[str, str | int | bool] = {"fieldManager": "seldon", "force": True}
    await client.request("PATCH", path, params=params, body=msgspec.json.encode(body), content_type=ContentType.APPLY)


async def _items(client: KubeClient, path: str, params: dict[str, str] | None = None) -> list[Object]:
    found: list[Object] = []
    async for page in client.list_pages(path, params or {}):
        found += msgspec.json.decode(page)["items"]
    return found
