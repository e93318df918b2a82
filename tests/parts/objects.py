"""Objects for tests of the Kubernetes API: a namespace of one's own, rights, and nodes and pods by the hundred."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from milepost.kube import ContentType, KubeClient, resource_path

AT_ONCE = 32
RBAC = "rbac.authorization.k8s.io"

Object = dict[str, Any]


async def create(client: KubeClient, path: str, item: Mapping[str, Any]) -> Object:
    """Create one object and return it as the server has it."""
    answer: Object = msgspec.json.decode(await client.request("POST", path, body=msgspec.json.encode(item)))
    return answer


async def create_namespace(client: KubeClient, prefix: str = "t") -> str:
    """Create a namespace with a name of its own and return that."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    await create(client, resource_path("", "v1", "namespaces"), {"metadata": {"name": name}})
    return name


async def grant(
    client: KubeClient, user: str, rules: Sequence[Mapping[str, Any]], *, namespace: str = "", group: bool = False
) -> None:
    """Let a user (or a group) do what the RBAC `rules` say, in one namespace or in all of them."""
    name = f"grant-{uuid.uuid4().hex[:8]}"
    scope = "" if namespace else "Cluster"
    roles, bindings = f"{scope.lower()}roles", f"{scope.lower()}rolebindings"
    role = {"metadata": {"name": name}, "rules": list(rules)}
    subject = {"kind": "Group" if group else "User", "name": user, "apiGroup": RBAC}
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": f"{scope}Role", "name": name},
        "subjects": [subject],
    }
    await create(client, resource_path(RBAC, "v1", roles, namespace=namespace), role)
    await create(client, resource_path(RBAC, "v1", bindings, namespace=namespace), binding)


def node(name: str, *, labels: Mapping[str, str] | None = None, capacity: Mapping[str, str] | None = None) -> Object:
    """Return a node that kwok makes Ready."""
    resources = {"cpu": "64", "memory": "256Gi", "pods": "1000", **(capacity or {})}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "status": {"capacity": resources, "allocatable": resources},
    }


def pod(name: str, *, node_name: str = "", labels: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """Return a pod of one container; with `node_name` no scheduler is needed."""
    content = {"containers": [{"name": "main", "image": "example.test/main:1"}], **spec}
    if node_name:
        content["nodeName"] = node_name
    return {"metadata": {"name": name, "labels": dict(labels or {})}, "spec": content}


async def create_nodes(client: KubeClient, nodes: Iterable[Mapping[str, Any]]) -> list[Object]:
    """Create these nodes, many at once."""
    path = resource_path("", "v1", "nodes")
    return await _at_once(create(client, path, item) for item in nodes)


async def create_pods(client: KubeClient, namespace: str, pods: Iterable[Mapping[str, Any]]) -> list[Object]:
    """Create these pods, many at once."""
    path = resource_path("", "v1", "pods", namespace=namespace)
    return await _at_once(create(client, path, item) for item in pods)


async def set_status(client: KubeClient, path: str, status: Mapping[str, Any]) -> Object:
    """Merge this into the status of the object at `path`, as its controller or kubelet would; return the object."""
    body = msgspec.json.encode({"status": status})
    answer = await client.request("PATCH", f"{path}/status", body=body, content_type=ContentType.MERGE)
    found: Object = msgspec.json.decode(answer)
    return found


async def wait_for(client: KubeClient, path: str, ready: Callable[[Object], bool], timeout_s: float = 30) -> Object:
    """Read the object or list at `path` until `ready(it)`; return it. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            found: Object = msgspec.json.decode(await client.request("GET", path))
            if ready(found):
                return found
            await asyncio.sleep(0.1)


async def _at_once(calls: Iterable[Awaitable[Object]]) -> list[Object]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(call: Awaitable[Object]) -> Object:
        async with slots:
            return await call

    return list(await asyncio.gather(*(one(call) for call in calls)))
