"""From the Ingress that leads to a model's Service to the spec's `route`, so that an adopted model keeps its address.

Only an Ingress with one host and one path can be the route of one model. Annotations without a field, the class and the
path type stay as an override on the Ingress. The request timeout is not read: it would also change the model's own
(`seldon.io/rest-timeout`) and so restart it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from deploy.errors import Refusal, Refused
from deploy.objects import INGRESS, Body
from deploy.objects.patch import difference
from deploy.route import nginx
from deploy.route.plan import Backend, port_of, route_of
from deploy.settings import Cluster
from deploy.spec import ModelSpec, Override, RouteSpec
from deploy.spec.release import Release

LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "limit-rps": "requestsPerSecond",
        "limit-rpm": "requestsPerMinute",
        "limit-connections": "concurrency",
        "limit-burst-multiplier": "burst",
    }
)
SIZES: Mapping[str, str] = MappingProxyType({"k": "KiB", "m": "MiB", "g": "GiB"})
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def adopt_route(spec: ModelSpec, service: str, ingresses: Iterable[Body], cluster: Cluster) -> ModelSpec:
    """Return the spec with the route of the Ingress that leads to `service`; as it is when none does.

    `ingresses` are raw objects of the model's namespace. Raises Refused when several lead there, or one that serves
    more than one path, or has no host.
    """
    leading = [body for body in ingresses if service in _services(body) and not _canary(body)]
    if not leading:
        return spec
    names = [body["metadata"]["name"] for body in leading]
    if len(leading) > 1:
        raise Refused([Refusal("route", names, "one Ingress can be the model's; delete the others or split them off")])
    body = leading[0]
    if len(list(_paths(body))) != 1 or not body["spec"]["rules"][0].get("host"):
        raise Refused([Refusal("route", names[0], "it must serve one path of one host to belong to one model")])
    routed = msgspec.structs.replace(spec, route=_route(body, spec, cluster))
    plan = route_of(Release(stable=routed), cluster, {spec.predictor: service})
    if plan is None:
        return spec
    rendered = nginx.render(plan, cluster)[0].body
    rest = difference(rendered, normal_ingress(body, rendered, plan.stable, spec, cluster))
    if not rest:
        return routed
    override = Override(kind="Ingress", name=names[0], patch=rest)
    return msgspec.structs.replace(routed, overrides=(*spec.overrides, override))


def normal_ingress(body: Body, rendered: Body, backend: Backend, spec: ModelSpec, cluster: Cluster) -> Body:
    """Return an Ingress without status and foreign bookkeeping, with our labels and its port as a number."""
    metadata = body["metadata"]
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != APPLIED}
    kept: Body = {
        "name": metadata["name"],
        "namespace": metadata.get("namespace") or "default",
        "labels": dict(metadata.get("labels") or {}) | rendered["metadata"]["labels"],
        "annotations": annotations,
    }
    normal: Body = msgspec.json.decode(msgspec.json.encode(body["spec"]))
    port = next(_paths({"spec": normal}))["backend"]["service"]["port"]
    wanted = {"http", "grpc", backend.port}
    if (port.get("number") or port.get("name")) in wanted and backend.port == port_of(spec, cluster):
        port.clear()
        port["number"] = backend.port
    return {"apiVersion": INGRESS, "kind": "Ingress", "metadata": kept, "spec": normal}


def _route(body: Body, spec: ModelSpec, cluster: Cluster) -> RouteSpec:
    annotations = {
        name.removeprefix(f"{nginx.PREFIX}/"): value
        for name, value in (body["metadata"].get("annotations") or {}).items()
    }
    name = body["metadata"]["name"]
    outside = body["spec"].get("ingressClassName") == cluster.external_ingress_class
    tls = body["spec"].get("tls") or []
    connect = annotations.get("proxy-connect-timeout", "")
    limits: dict[str, Any] = {
        field: int(annotations[key]) for key, field in LIMITS.items() if annotations.get(key, "").isdigit()
    }
    if annotations.get("limit-allowlist"):
        limits["allow"] = annotations["limit-allowlist"].split(",")
    document: Body = {
        "exposure": "external" if outside else "internal",
        "host": body["spec"]["rules"][0]["host"],
        "path": next(_paths(body)).get("path") or "/",
        "limits": limits,
        "timeouts": {
            "connectSeconds": int(connect) if connect.isdigit() else None,
            "requestSeconds": spec.route.timeouts.request_seconds,
        },
        "bodySize": _size(annotations.get("proxy-body-size", "")),
        "tlsSecret": tls[0].get("secretName") if len(tls) == 1 else None,
    }
    if name != spec.name:
        document["name"] = name
    return msgspec.convert(document, RouteSpec)


def _size(text: str) -> str | None:
    number, unit = text[:-1], text[-1:].lower()
    if unit in SIZES and number.isdigit() and int(number) > 0:
        return f"{int(number)}{SIZES[unit]}"
    return None


def _paths(body: Body) -> Iterator[Body]:
    for rule in body.get("spec", {}).get("rules") or []:
        yield from (rule.get("http") or {}).get("paths") or []


def _services(body: Body) -> set[str]:
    return {(path.get("backend", {}).get("service") or {}).get("name", "") for path in _paths(body)}


def _canary(body: Body) -> bool:
    return (body["metadata"].get("annotations") or {}).get(f"{nginx.PREFIX}/canary") == "true"
