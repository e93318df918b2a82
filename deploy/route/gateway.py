"""Routes as HTTPRoute or GRPCRoute of the Gateway API (v1).

A split is weights on one rule; a header or cookie split is a rule of its own before it, since a rule with more header
matches wins over one with fewer (https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule). The API has no request
limits and no body size, so a spec that asks for them is refused for this router (`deploy.rules`).
"""

from __future__ import annotations

import re

from deploy.objects import GATEWAY, MANAGED_BY, Body, KubeObject
from deploy.route.plan import Backend, Route
from deploy.settings import Cluster
from deploy.spec.release import Split


def render(route: Route, cluster: Cluster) -> tuple[KubeObject, ...]:
    """Render the one route object of a model."""
    grpc = route.transport == "grpc"
    parent = cluster.external_gateway if route.spec.exposure == "external" else cluster.gateway
    namespace, _, name = parent.rpartition("/")
    body: Body = {
        "apiVersion": GATEWAY,
        "kind": "GRPCRoute" if grpc else "HTTPRoute",
        "metadata": {
            "name": route.name,
            "namespace": route.namespace,
            "labels": dict(MANAGED_BY) | {"seldon-deployment-id": route.model},
        },
        "spec": {
            "parentRefs": [{"name": name} | ({"namespace": namespace} if namespace else {})],
            "hostnames": [route.host],
            "rules": rules(route),
        },
    }
    return (KubeObject(body),)


def rules(route: Route) -> list[Body]:
    """Return the rules: those of header and cookie first, then the weighted one."""
    if route.candidate is None or route.split is None:
        return [_rule(route, None, [(route.stable, None)])]
    split = route.split
    rendered = [_rule(route, match, [(backend, None)]) for match, backend in _pinned(route, split, route.candidate)]
    weighted: list[tuple[Backend, int | None]] = [
        (route.stable, 100 - split.percent),
        (route.candidate, split.percent),
    ]
    return [*rendered, _rule(route, None, weighted)]


def _pinned(route: Route, split: Split, candidate: Backend) -> list[tuple[Body, Backend]]:
    """Return the header matches that fix the backend: header before cookie, as nginx ranks them."""
    pinned: list[tuple[Body, Backend]] = []
    if split.header and split.header_value is not None:
        pinned.append((_exact(split.header, split.header_value), candidate))
    elif split.header:
        pinned += [(_exact(split.header, "always"), candidate), (_exact(split.header, "never"), route.stable)]
    if split.cookie:
        pinned += [(_cookie(split.cookie, "always"), candidate), (_cookie(split.cookie, "never"), route.stable)]
    return pinned


def _exact(name: str, value: str) -> Body:
    return {"type": "Exact", "name": name, "value": value}


def _cookie(name: str, value: str) -> Body:
    pattern = rf"(.*;\s*)?{re.escape(name)}={value}(;.*)?"
    return {"type": "RegularExpression", "name": "Cookie", "value": pattern}


def _rule(route: Route, header: Body | None, backends: list[tuple[Backend, int | None]]) -> Body:
    match: Body = {"headers": [header]} if header else {}
    rule: Body = {}
    if route.transport == "rest":
        match = {"path": {"type": "PathPrefix", "value": route.spec.path}} | match
        if route.spec.timeouts.request_seconds is not None:
            rule["timeouts"] = {"request": f"{route.spec.timeouts.request_seconds}s"}
    if match:
        rule = {"matches": [match]} | rule
    filters = _filters(route)
    if filters:
        rule["filters"] = filters
    rule["backendRefs"] = [
        {"name": backend.service, "port": backend.port} | ({} if weight is None else {"weight": weight})
        for backend, weight in backends
    ]
    return rule


def _filters(route: Route) -> list[Body]:
    filters: list[Body] = []
    if route.spec.strip_path and route.spec.path != "/":
        rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
        filters.append({"type": "URLRewrite", "urlRewrite": rewrite})
    if route.mirror is not None:
        mirror: Body = {"backendRef": {"name": route.mirror.service, "port": route.mirror.port}}
        if route.mirror_percent < 100:
            mirror["percent"] = route.mirror_percent
        filters.append({"type": "RequestMirror", "requestMirror": mirror})
    return filters
