"""Taking over a model that somebody else made: read from the cluster as a spec that renders to what is there.

    SeldonDeployment, its Service, its Ingress ─▶ spec ─▶ dry-run: nothing of its spec changes ─▶ our record, our fields

Server-side apply takes the fields over, so the first apply writes our labels and annotations beside what is there and
changes nothing else. The predictors of an adopted revision go without our own annotations, since Seldon copies those
into the pods and would replace them; the first change of what the pods run brings them. No NetworkPolicy comes with an
adoption (`network.policy` is false): who calls the pods today is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from deploy.adopt import adopt
from deploy.cluster import Cluster
from deploy.errors import Absent, Refusal, Refused
from deploy.objects import INGRESS, SELDON, Body, collection_path
from deploy.objects.diff import Change, ObjectDiff
from deploy.route.adopt import adopt_route
from deploy.settings import Cluster as ClusterSettings
from deploy.spec import ModelSpec, Network

SAME: frozenset[tuple[str, Any, Any]] = frozenset(
    {
        ("protocol", None, "seldon"), ("protocol", "", "seldon"), ("protocol", "kfserving", "v2"),
        ("transport", None, "rest"), ("transport", "", "rest"),
        ("traffic", 100, None), ("traffic", 0, None), ("replicas", None, 1),
    }
)  # fmt: skip
"""Changes of a field's last name that say the same: the normal form of `deploy.adopt`, as Seldon reads it."""


async def adoptable(cluster: Cluster, settings: ClusterSettings, namespace: str, name: str) -> ModelSpec:
    """Return the spec of a SeldonDeployment that runs. Raises Absent, and Refused when it has no form as one track."""
    path = f"{collection_path(SELDON, 'seldondeployments', namespace)}/{name}"
    try:
        body: Body = msgspec.json.decode(await cluster.request("GET", path))
    except Absent as error:
        raise Absent(f"there is no SeldonDeployment {namespace}/{name} to adopt") from error
    found = adopt(body, settings)
    if found.release.candidate is not None:
        names = [found.release.stable.predictor, found.release.candidate.predictor]
        rule = "what is adopted has one predictor beside its shadow: promote or remove the other one first"
        raise Refused([Refusal("spec.predictors", names, rule)])
    spec = found.release.stable
    seen = (await cluster.look(namespace, name)).predictors.get(spec.predictor)
    if seen is None or not seen.service:
        rule = "its Service is not known: status.serviceStatus names none; wait until it is Available"
        raise Refused([Refusal("status.serviceStatus", None, rule)])
    if settings.router == "nginx":
        ingresses = await cluster.items(collection_path(INGRESS, "ingresses", namespace), "", dict)
        spec = adopt_route(spec, seen.service, ingresses, settings)
    return msgspec.structs.replace(spec, network=Network(policy=False))


def refuse_changes(diffs: Iterable[ObjectDiff]) -> None:
    """Raise Refused where an adoption would change more than labels and annotations, or make or remove an object."""
    faults = []
    for item in diffs:
        at = f"{item.kind} {item.name}"
        if item.verb == "remove" or (item.verb == "create" and item.kind != "ServiceMonitor"):
            faults.append(Refusal(at, item.verb, "an adoption makes and removes nothing"))
        faults += [
            Refusal(f"{at}: {change.path}", change.before, f"an adoption would change it to {change.after!r}")
            for change in item.changes
            if item.verb == "change" and not _harmless(change)
        ]
    if faults:
        raise Refused(faults)


def _harmless(change: Change) -> bool:
    if change.path.startswith(("metadata.labels", "metadata.annotations")):
        return True
    field = change.path.rpartition(".")[2]
    if field == "children":
        return not change.before and not change.after
    return not isinstance(change.before, (dict, list)) and (field, change.before, change.after) in SAME
