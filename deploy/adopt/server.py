"""Reading one server back: a graph node and its container to `Serving`, the inverse of `deploy.objects.pods`.

Only what comes back the same is read; the rest stays for the caller's difference. A container's GPU resources are read
as `gpu` when they follow GpuManager's rules, and probes are left out (null: as they are) since they go into the
difference whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from deploy.objects import Body
from deploy.spec import gpu
from deploy.spec.frameworks import BUILTINS, SERVERS, TFSERVING_CONTAINER, UNIT_TYPES

FRAMEWORKS: Mapping[str, str] = MappingProxyType(
    {server.implementation: name for name, server in reversed(tuple(SERVERS.items())) if server.implementation}
)
BUILTIN_NAMES = {implementation: name for name, (implementation, _) in BUILTINS.items()}
TYPE_NAMES = {wire: name for name, wire in UNIT_TYPES.items()}
STORAGE = {
    "secret": "envSecretRefName",
    "serviceAccount": "serviceAccountName",
    "initializerImage": "storageInitializerImage",
}


def unit_of(node: Body, components: list[Body], protocol: str) -> Body:
    """Return a node and its children as a `Unit` document."""
    unit: Body = {"name": node.get("name")}
    builtin = BUILTIN_NAMES.get(node.get("implementation", ""))
    if builtin is not None:
        unit |= {"builtin": builtin, "parameters": _parameters(node)}
    else:
        unit |= serving_of(node, components, protocol)
        unit["type"] = TYPE_NAMES.get(node.get("type", "MODEL"), "model")
        unit["ownPod"] = _component_of(node.get("name"), components) not in (None, 0)
    return unit | {"children": [unit_of(child, components, protocol) for child in node.get("children") or []]}


def serving_of(node: Body, components: list[Body], protocol: str) -> Body:
    """Return the server of a node as a `Serving` document."""
    implementation = node.get("implementation") or "UNKNOWN_IMPLEMENTATION"
    fields: Body = {"modelUri": node.get("modelUri"), "parameters": _parameters(node), "probes": None}
    if implementation in FRAMEWORKS:
        fields["framework"] = FRAMEWORKS[implementation]
    elif implementation != "UNKNOWN_IMPLEMENTATION":
        fields["server"] = implementation
    storage = {ours: node[theirs] for ours, theirs in STORAGE.items() if node.get(theirs)}
    if storage:
        fields["storage"] = storage
    proxied = implementation == "TENSORFLOW_SERVER" and protocol == "seldon"
    name = TFSERVING_CONTAINER if proxied else node.get("name")
    index = _component_of(name, components)
    if index is None:
        return fields
    pod = components[index]["spec"]
    container = next(item for item in pod["containers"] if item.get("name") == name)
    metadata = components[index].get("metadata") or {}
    return fields | _container_fields(container) | _gpu(container, pod, metadata)


def _component_of(container: str | None, components: list[Body]) -> int | None:
    for index, component in enumerate(components):
        containers = (component.get("spec") or {}).get("containers") or []
        if any(item.get("name") == container for item in containers):
            return index
    return None


def _container_fields(container: Body) -> Body:
    fields: Body = {
        "image": container.get("image"),
        "command": container.get("command") or [],
        "args": container.get("args") or [],
    }
    plain, secret = {}, {}
    for item in container.get("env") or []:
        reference = (item.get("valueFrom") or {}).get("secretKeyRef") or {}
        if "valueFrom" not in item:
            plain[item["name"]] = str(item.get("value", ""))
        elif set(reference) == {"name", "key"}:
            secret[item["name"]] = {"secret": reference["name"], "key": reference["key"]}
    block = container.get("resources") or {}
    resources = {half: _plain(block.get(half) or {}) for half in ("requests", "limits")}
    return fields | {"env": plain, "secretEnv": secret, "resources": resources}


def _plain(quantities: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in quantities.items() if name not in (gpu.CORE, gpu.MEMORY)}


def _gpu(container: Body, pod: Body, metadata: Body) -> Body:
    limits = (container.get("resources") or {}).get("limits") or {}
    core, memory = str(limits.get(gpu.CORE, "")), str(limits.get(gpu.MEMORY, ""))
    if not core.isdigit():
        return {}
    cores = int(core)
    fields: Body = {"model": (pod.get("nodeSelector") or {}).get(gpu.MODEL_LABEL)}
    limit = (metadata.get("annotations") or {}).get(gpu.CORE_LIMIT, "")
    if cores >= gpu.CORES_PER_CARD and cores % gpu.CORES_PER_CARD == 0:
        return {"gpu": fields | {"cards": cores // gpu.CORES_PER_CARD}}
    if limit.isdigit():
        fields["coreLimit"] = int(limit)
    if memory.isdigit():
        fields["memoryMiB"] = int(memory) * gpu.MIB_PER_BLOCK
    return {"gpu": fields | {"cores": cores}}


def _parameters(node: Body) -> Body:
    """Return the parameters whose text comes back the same; the rest is the caller's difference."""
    read: Body = {}
    for item in node.get("parameters") or []:
        text, kind = str(item.get("value", "")), item.get("type")
        if kind == "STRING":
            read[item["name"]] = text
        elif kind == "BOOL" and text in ("true", "false"):
            read[item["name"]] = text == "true"
        elif kind == "INT" and text.lstrip("-").isdigit():
            read[item["name"]] = int(text)
        elif kind in ("FLOAT", "DOUBLE"):
            read[item["name"]] = _float(text)
    return read


def _float(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
