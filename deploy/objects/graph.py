"""The inference graph: from units to Seldon's graph nodes and to pods.

A spec without `graph` is a graph of one node, whose server is written on the spec itself. Units share one pod; a unit
with `ownPod` gets a componentSpec of its own, and so a Deployment. Units that the orchestrator performs itself
(`builtin`) have no container.
"""

from __future__ import annotations

from collections.abc import Iterator

from deploy.objects import Body
from deploy.settings import Cluster
from deploy.spec import ModelSpec, RequestLog, Scalar, Serving, Storage, Transport, Unit
from deploy.spec.frameworks import BUILTINS, UNIT_TYPES, implementation_of

HDFS_SCHEMES = ("hdfs://", "webhdfs://", "swebhdfs://")
PARAMETER_TYPES: dict[type, str] = {bool: "BOOL", int: "INT", float: "FLOAT", str: "STRING"}


def root_of(spec: ModelSpec) -> Unit:
    """Return the root unit; that of a spec without a graph carries the spec's own server."""
    return spec.graph or as_unit(spec, spec.unit or spec.name)


def as_unit(serving: Serving, name: str) -> Unit:
    """Return a single-node unit with this server."""
    return Unit(name=name, **{field: getattr(serving, field) for field in Serving.__struct_fields__})


def walk(unit: Unit) -> Iterator[Unit]:
    """Yield the unit and all below it, parents first."""
    yield unit
    for child in unit.children:
        yield from walk(child)


def pods_of(root: Unit) -> list[list[Unit]]:
    """Return the units with a container, grouped by the pod that runs them; the shared pod comes first."""
    with_container = [unit for unit in walk(root) if unit.builtin is None]
    shared = [unit for unit in with_container if not unit.own_pod]
    alone = [[unit] for unit in with_container if unit.own_pod]
    return ([shared] if shared else []) + alone


def node(unit: Unit, *, transport: Transport, cluster: Cluster, log: RequestLog | None) -> Body:
    """Return one node of `predictors[].graph` with its children; requests are logged at the root."""
    rendered: Body = {"name": unit.name}
    if unit.builtin is not None:
        implementation, _ = BUILTINS[unit.builtin]
        rendered["implementation"] = implementation
    else:
        rendered |= _server(unit, transport, cluster)
    if unit.parameters:
        rendered["parameters"] = [_parameter(name, value) for name, value in unit.parameters.items()]
    if log is not None:
        rendered["logger"] = {"url": log.url, "mode": log.mode}
    children = [node(child, transport=transport, cluster=cluster, log=None) for child in unit.children]
    return rendered | {"children": children}


def storage_fields(storage: Storage, model_uri: str | None, cluster: Cluster) -> Body:
    """Return the fields that tell Seldon's storage initializer where the model is and how to read it."""
    image = storage.initializer_image
    if image is None and (model_uri or "").startswith(HDFS_SCHEMES):
        image = cluster.hdfs_initializer_image or None
    fields = {
        "modelUri": model_uri,
        "envSecretRefName": storage.secret,
        "serviceAccountName": storage.service_account,
        "storageInitializerImage": image,
    }
    return {key: value for key, value in fields.items() if value}


def _server(unit: Unit, transport: Transport, cluster: Cluster) -> Body:
    implementation = implementation_of(unit)
    rendered: Body = {"implementation": implementation} if implementation else {}
    if implementation is None or unit.type != "model":
        rendered["type"] = UNIT_TYPES[unit.type]
    if implementation is None:
        rendered["endpoint"] = {"type": "REST" if transport == "rest" else "GRPC"}
    return rendered | storage_fields(unit.storage, unit.model_uri, cluster)


def _parameter(name: str, value: Scalar) -> Body:
    kind = PARAMETER_TYPES[type(value)]
    text = str(value).lower() if kind == "BOOL" else str(value)
    return {"name": name, "value": text, "type": kind}
