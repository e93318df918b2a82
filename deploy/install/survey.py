"""Reading what `deploy.install.checks` judges: one look at a cluster, every part on its own.

A part that the caller may not read, or that does not answer, is left out and named in `Survey.refused`; the others are
still read. Only an API server that does not answer at all ends the survey.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from deploy.errors import Unavailable
from deploy.install.checks import Survey
from deploy.objects.pods import NFD_LABEL
from deploy.spec.gpu import CORE
from milepost.kube import KubeClient, KubeError

GROUPS_LOOKED_AT = (
    "machinelearning.seldon.io/v1",
    "gateway.networking.k8s.io/v1",
    "monitoring.coreos.com/v1",
    "keda.sh/v1alpha1",
)
NODES_MAX = 5000
Found = dict[str, Any]


async def survey(client: KubeClient, *, seldon_namespace: str) -> Survey:
    """Read the cluster. Raises Unavailable when the API server does not answer."""
    try:
        version = msgspec.json.decode(await client.request("GET", "/version"))
    except KubeError as error:
        raise Unavailable(str(error)) from error
    parts: dict[str, Callable[[], Awaitable[Found]]] = {
        "groups": lambda: _groups(client),
        "seldon-config": lambda: _seldon_servers(client, seldon_namespace),
        "webhooks": lambda: _webhook(client),
        "ingressclasses": lambda: _ingress_classes(client),
        "gateways": lambda: _gateways(client),
        "nodes": lambda: _nodes(client),
        "gpu-manager": lambda: _gpu_page(client),
    }
    answers = await asyncio.gather(*(_read(part) for part in parts.values()))
    found: Found = {"version": _version(version)}
    refused = {}
    for name, answer in zip(parts, answers, strict=True):
        if isinstance(answer, str):
            refused[name] = answer
        else:
            found |= answer
    return Survey(**found, refused=refused)


async def _read(part: Callable[[], Awaitable[Found]]) -> Found | str:
    """Return what was found; nothing when it does not exist; the reason when it cannot be read."""
    try:
        return await part()
    except KubeError as error:
        return {} if error.status == 404 else str(error)
    except msgspec.DecodeError as error:
        return f"it cannot be read: {error}"


async def _get(client: KubeClient, path: str) -> Any:
    return msgspec.json.decode(await client.request("GET", path))


async def _items(client: KubeClient, path: str) -> list[Found]:
    items: list[Found] = []
    async for page in client.list_pages(path):
        items += msgspec.json.decode(page).get("items") or []
        if len(items) >= NODES_MAX:
            break
    return items


async def _groups(client: KubeClient) -> Found:
    listed = await _get(client, "/apis")
    served = {version["groupVersion"] for group in listed["groups"] for version in group["versions"]}
    wanted = frozenset(served & set(GROUPS_LOOKED_AT))
    return {"groups": wanted, "metrics_api": "metrics.k8s.io/v1beta1" in served}


async def _seldon_servers(client: KubeClient, namespace: str) -> Found:
    config = await _get(client, f"/api/v1/namespaces/{namespace}/configmaps/seldon-config")
    servers = msgspec.json.decode(config.get("data", {}).get("predictor_servers") or "{}")
    return {"seldon_servers": frozenset(servers)}


async def _webhook(client: KubeClient) -> Found:
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    groups = {
        group
        for item in await _items(client, path)
        for hook in item.get("webhooks") or []
        for rule in hook.get("rules") or []
        for group in rule.get("apiGroups") or []
    }
    return {"seldon_webhook": "machinelearning.seldon.io" in groups}


async def _ingress_classes(client: KubeClient) -> Found:
    classes = await _items(client, "/apis/networking.k8s.io/v1/ingressclasses")
    return {"ingress_classes": frozenset(item["metadata"]["name"] for item in classes)}


async def _gateways(client: KubeClient) -> Found:
    gateways = await _items(client, "/apis/gateway.networking.k8s.io/v1/gateways")
    return {"gateways": frozenset(f"{i['metadata']['namespace']}/{i['metadata']['name']}" for i in gateways)}


async def _nodes(client: KubeClient) -> Found:
    nodes = await _items(client, "/api/v1/nodes")
    labels = [item["metadata"].get("labels") or {} for item in nodes]
    return {
        "nodes": len(nodes),
        "nodes_with_nfd": sum(any(name.startswith(NFD_LABEL) for name in own) for own in labels),
        "nodes_with_avx2": sum(own.get(f"{NFD_LABEL}AVX2") == "true" for own in labels),
        "nodes_with_gpu_manager": sum(_offers_gpu(item) for item in nodes),
    }


def _offers_gpu(node: Found) -> bool:
    return str((node.get("status", {}).get("allocatable") or {}).get(CORE, "0")) != "0"


async def _gpu_page(client: KubeClient) -> Found:
    service = await _get(client, "/api/v1/namespaces/kube-system/services/gpu-manager-metric")
    annotations = service["metadata"].get("annotations") or {}
    return {"gpu_page": annotations.get("prometheus.io/path", "/metrics")}


def _version(answer: Found) -> tuple[int, int]:
    # A managed cluster's minor version may have a suffix, `27+`.
    return int(answer["major"]), int("".join(filter(str.isdigit, answer["minor"])))
