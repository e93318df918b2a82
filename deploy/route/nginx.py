"""Routes as Ingresses of ingress-nginx.

A split is a second Ingress, `<model>-canary`, with the same host, path and path type and a canary Service of its own.
What the controller does, and so what is refused or arranged here (kubernetes/ingress-nginx
`docs/user-guide/nginx-configuration/annotations.md`, `internal/ingress/controller/controller.go`):

- on the canary Ingress every annotation but the canary ones, `load-balance`, `upstream-hash-by` and session affinity is
  ignored: limits, timeouts and the body size of the main one hold for both;
- a Service that is the backend of a main Ingress cannot be a canary (`conflicts`), and a second canary is not used;
- limits count client addresses in each controller replica and answer 503 unless the controller's ConfigMap says
  otherwise; timeouts are whole seconds without a unit;
- a rewrite would turn all paths of the host into regular expressions, so `stripPath` is refused (`deploy.rules`).
"""

from __future__ import annotations

import msgspec

from deploy.objects import INGRESS, MANAGED_BY, Body, KubeObject
from deploy.objects import PREFIX as OURS
from deploy.route.plan import Backend, Route
from deploy.settings import Cluster
from deploy.spec.release import Split
from milepost.units import parse_size

PREFIX = "nginx.ingress.kubernetes.io"
MIRROR = f"{PREFIX}/mirror-target"
HANDOVER = f"{OURS}/handover"
STANDBY = "milepost-standby."
"""What the host begins with under which Services are only named (`deploy.route.handover`)."""


def render(route: Route, cluster: Cluster) -> tuple[KubeObject, ...]:
    """Render the main Ingress and, with a split, the canary Ingress."""
    main = _ingress(route, cluster, name=route.name, backend=route.stable, annotations=main_annotations(route))
    if route.standby:
        main.body["spec"]["rules"].append(_standby(route))
    if route.handover is not None:
        main.body["metadata"]["annotations"][HANDOVER] = msgspec.json.encode(route.handover).decode()
    if route.candidate is None or route.split is None:
        return (main,)
    canary = canary_annotations(route.split)
    return main, _ingress(
        route, cluster, name=canary_name(route.name), backend=route.candidate, annotations=canary | _protocol(route)
    )


def canary_name(model: str) -> str:
    """Return the name of a model's canary Ingress."""
    return f"{model}-canary"


def standby_host(host: str) -> str:
    """Return the host under which a route with this host names the Services that stand by."""
    return STANDBY + host.removeprefix("*.")


def main_annotations(route: Route) -> dict[str, str]:
    """Return the annotations of the main Ingress."""
    limits, timeouts = route.spec.limits, route.spec.timeouts
    size = route.spec.body_size
    values = {
        "proxy-connect-timeout": timeouts.connect_seconds,
        "proxy-read-timeout": timeouts.request_seconds,
        "proxy-send-timeout": timeouts.request_seconds,
        "proxy-body-size": nginx_size(parse_size(size)) if size else None,
        "limit-rps": limits.requests_per_second,
        "limit-rpm": limits.requests_per_minute,
        "limit-connections": limits.concurrency,
        "limit-burst-multiplier": limits.burst,
        "limit-allowlist": ",".join(limits.allow) or None,
    }
    rendered = {f"{PREFIX}/{name}": str(value) for name, value in values.items() if value is not None}
    rendered |= _protocol(route)
    if route.mirror is not None:
        address = f"{route.mirror.service}.{route.namespace}.svc.cluster.local:{route.mirror.port}"
        rendered[MIRROR] = f"http://{address}$request_uri"
    return rendered


def canary_annotations(split: Split) -> dict[str, str]:
    """Return the annotations of the canary Ingress. The weight is always written: an absent one is 0 by accident."""
    values = {
        "canary": "true",
        "canary-by-header": split.header,
        "canary-by-header-value": split.header_value,
        "canary-by-cookie": split.cookie,
        "canary-weight": str(split.percent),
    }
    return {f"{PREFIX}/{name}": value for name, value in values.items() if value is not None}


def nginx_size(size: int) -> str:
    """Return a size as nginx writes it: `8m`, `512k` or bytes."""
    for unit, factor in (("g", 2**30), ("m", 2**20), ("k", 2**10)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _protocol(route: Route) -> dict[str, str]:
    return {f"{PREFIX}/backend-protocol": "GRPC"} if route.transport == "grpc" else {}


def _service(backend: Backend) -> Body:
    return {"service": {"name": backend.service, "port": {"number": backend.port}}}


def _standby(route: Route) -> Body:
    paths = [
        {"path": f"/{backend.service}", "pathType": "Exact", "backend": _service(backend)} for backend in route.standby
    ]
    return {"host": standby_host(route.host), "http": {"paths": paths}}


def _ingress(route: Route, cluster: Cluster, *, name: str, backend: Backend, annotations: dict[str, str]) -> KubeObject:
    external = route.spec.exposure == "external"
    path = {"path": route.spec.path, "pathType": "Prefix", "backend": _service(backend)}
    body: Body = {
        "apiVersion": INGRESS,
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "namespace": route.namespace,
            "labels": dict(MANAGED_BY) | {"seldon-deployment-id": route.model},
            "annotations": annotations,
        },
        "spec": {
            "ingressClassName": cluster.external_ingress_class if external else cluster.ingress_class,
            "rules": [{"host": route.host, "http": {"paths": [path]}}],
        },
    }
    if route.spec.tls_secret:
        body["spec"]["tls"] = [{"hosts": [route.host], "secretName": route.spec.tls_secret}]
    return KubeObject(body)
