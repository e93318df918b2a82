"""What a new Ingress would break beside those already on the cluster.

ingress-nginx attaches a canary to the upstream `<namespace>-<service>-<port>` of the main Ingress, not to a host and
path. Three traps follow, none of which it reports: a canary Service that is a main backend anywhere gets no traffic
(kubernetes/ingress-nginx #7896, #9458, #8004); a stable Service that another Ingress uses too takes that one's requests
into the canary; a second canary for the same host and path is not used (#5848). A host and path in two main Ingresses
is denied by its webhook, or won by the older object where the webhook is not installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deploy.errors import Refusal
from deploy.objects import Body, KubeObject
from deploy.route.nginx import PREFIX, STANDBY


@dataclass(frozen=True, slots=True)
class Served:
    """One path of one Ingress: what it matches and where it leads."""

    ingress: str
    namespace: str
    canary: bool
    match: tuple[str, str]
    backend: tuple[str, str]


def conflicts(rendered: Iterable[KubeObject], existing: Iterable[Body]) -> list[Refusal]:
    """Return what forbids applying these Ingresses beside the existing ones (raw objects of all namespaces).

    An existing object that is about to be replaced by a rendered one of its name does not count.
    """
    new = [served for item in rendered if item.kind == "Ingress" for served in _served(item.body)]
    ours = {(item.namespace, item.ingress) for item in new}
    old = [served for body in existing for served in _served(body) if (served.namespace, served.ingress) not in ours]
    splits = any(item.canary for item in new)
    found: list[Refusal] = []
    for item in new:
        found += _canary(item, new + old) if item.canary else _main(item, old, splits=splits)
    return found


def _canary(item: Served, every: list[Served]) -> Iterator[Refusal]:
    for other in every:
        if other.canary:
            if other is not item and other.match == item.match:
                rule = f"Ingress {_name(other)} is already a canary of this host and path; a second one is ignored"
                yield Refusal("split", "".join(item.match), rule)
        elif (other.namespace, *other.backend) == (item.namespace, *item.backend):
            rule = f"this Service is the main backend of Ingress {_name(other)}; as a canary it would get no requests"
            yield Refusal("split.service", ":".join(item.backend), rule)


def _main(item: Served, old: list[Served], *, splits: bool) -> Iterator[Refusal]:
    for other in old:
        if other.canary:
            continue
        if other.match == item.match:
            yield Refusal("route.host", "".join(item.match), f"already served by Ingress {_name(other)}")
        elif splits and (other.namespace, *other.backend) == (item.namespace, *item.backend):
            rule = f"Ingress {_name(other)} uses this Service too; the split would take its requests as well"
            yield Refusal("split", ":".join(item.backend), rule)


def _served(body: Body) -> Iterator[Served]:
    metadata, spec = body["metadata"], body.get("spec", {})
    canary = (metadata.get("annotations") or {}).get(f"{PREFIX}/canary") == "true"
    for rule in spec.get("rules") or []:
        if str(rule.get("host", "")).startswith(STANDBY):
            continue  # Named only, and `deploy.route.handover` sees to it that no canary is among them.
        for path in (rule.get("http") or {}).get("paths") or []:
            service = path.get("backend", {}).get("service") or {}
            port = service.get("port") or {}
            yield Served(
                ingress=metadata["name"],
                namespace=metadata["namespace"],
                canary=canary,
                match=(rule.get("host") or "*", path.get("path") or "/"),
                backend=(service.get("name", ""), str(port.get("number") or port.get("name") or "")),
            )


def _name(item: Served) -> str:
    return f"{item.namespace}/{item.ingress}"
