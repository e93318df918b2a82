"""The control plane of the tests is a whole one: what is asked for comes to run, and what is deleted goes."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from milepost.kube import KubeClient, KubeError, resource_path
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, create_namespace, create_nodes, create_pods, node, pod, wait_for

pytestmark = pytest.mark.cluster


@pytest.fixture
async def namespace(cluster: ControlPlane) -> str:
    async with cluster.client() as client:
        return await create_namespace(client)


async def test_a_deployment_comes_to_run_and_goes_with_its_namespace(cluster: ControlPlane, namespace: str) -> None:
    labels = {"app": "web"}
    deployment = {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "example.test/web:1"}]},
            },
        },
    }
    async with cluster.client() as client:
        await create_nodes(client, [node(f"{namespace}-node")])
        deployments = resource_path("apps", "v1", "deployments", namespace=namespace)
        await create(client, deployments, deployment)
        await wait_for(client, f"{deployments}/web", lambda found: found["status"].get("readyReplicas") == 3)
        pods = msgspec.json.decode(await client.request("GET", resource_path("", "v1", "pods", namespace=namespace)))
        address = pods["items"][0]["status"]["podIP"]
        with socket.create_server((address, 0)) as served:
            socket.create_connection(served.getsockname(), timeout=5).close()
        path = resource_path("", "v1", "namespaces", name=namespace)
        await client.request("DELETE", path)
        await _gone(client, path)


async def test_hundreds_of_pods_are_made_and_run_in_seconds(cluster: ControlPlane, namespace: str) -> None:
    async with cluster.client() as client:
        nodes = [f"{namespace}-{number}" for number in range(4)]
        await create_nodes(client, [node(name) for name in nodes])
        await create_pods(client, namespace, [pod(f"p-{n}", node_name=nodes[n % 4]) for n in range(200)])
        path = resource_path("", "v1", "pods", namespace=namespace)
        found = await wait_for(
            client, path, lambda pods: all(pod["status"]["phase"] == "Running" for pod in pods["items"])
        )
        assert len({pod["status"]["podIP"] for pod in found["items"]}) == 200


async def _gone(client: KubeClient, path: str) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await client.request("GET", path)
            except KubeError as error:
                if error.status == 404:
                    return
                raise
            await asyncio.sleep(0.2)
