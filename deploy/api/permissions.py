"""What a caller may do with a model, and what can be done with it now: two questions, told apart.

*Allowed* is the cluster's to say: the rights that a verb needs are a table, and each is asked as the caller, by
SelfSubjectAccessReview (https://kubernetes.io/docs/reference/access-authn-authz/authorization/). It is a forecast: the
API server decides again when the verb is carried out. *Possible* is the model's state: the verb's own edit is tried on
the record, which changes nothing, since edits are pure, and shown to the environment's gate; what they refuse is the
reason told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from deploy.cluster import Cluster
from deploy.environments.gate import Gate
from deploy.errors import Refusal, Refused
from deploy.operate import Platform
from deploy.rebuild import Ask, rebuild
from deploy.record import Record, RolloutPlan, edits
from deploy.record.journal import Deed
from deploy.rules import servings
from deploy.settings import Cluster as ClusterSettings
from deploy.spec import ModelSpec, Shadow, Unit
from deploy.spec.file import from_document
from deploy.spec.release import External, Split

Right = tuple[str, str, str]
"""(verb, API group, resource)."""

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
ROUTES: Mapping[str, tuple[str, str]] = {
    "nginx": ("networking.k8s.io", "ingresses"),
    "gateway": ("gateway.networking.k8s.io", "httproutes"),
}

_SELDON = ("machinelearning.seldon.io", "seldondeployments")
_LOOK: tuple[Right, ...] = (
    ("get", "", "configmaps"),
    ("get", *_SELDON),
    ("list", "apps", "deployments"),
    ("list", "discovery.k8s.io", "endpointslices"),
)
_WHY: tuple[Right, ...] = (*_LOOK, ("list", "", "pods"), ("list", "", "events"))
_WRITE: tuple[Right, ...] = (
    *_LOOK,
    ("update", "", "configmaps"),
    ("update", "coordination.k8s.io", "leases"),
    ("patch", *_SELDON),
)

_BESIDE: Mapping[str, tuple[Right, ...]] = {
    "delete": (("delete", *_SELDON),),
    "adopt": (("create", "", "configmaps"),),
    "rebuild": (("create", "batch", "jobs"), ("get", "batch", "jobs")),
}

READS = ("status", "history", "why", "events", "logs")
CHANGES = (
    "apply", "adopt", "shadow", "rebuild", "scale", "restart", "rollback", "delete", "rollout", "pause", "resume",
    "promote", "abort", "migrate", "converge",
)  # fmt: skip


class Verb(msgspec.Struct, frozen=True):
    """One verb. `why` says what is missing or in the way; empty when the verb is both allowed and possible."""

    allowed: bool
    possible: bool
    why: str = ""


class Permissions(msgspec.Struct, frozen=True):
    """A caller's verbs for one model."""

    caller: str
    namespace: str
    name: str
    verbs: dict[str, Verb]


def needs(verb: str, settings: ClusterSettings) -> tuple[Right, ...]:
    """Return the rights that a verb needs in the model's namespace."""
    route = ROUTES[settings.router]
    if verb in ("status", "history"):
        return _LOOK
    if verb in ("why", "events"):
        return _WHY
    if verb == "logs":
        return (("get", "", "pods/log"),)
    rights = (*_WRITE, ("patch", *route), ("delete", *route))
    if verb == "apply":
        return (*rights, ("create", "", "configmaps"), ("create", *_SELDON), ("create", *route))
    return (*rights, *_BESIDE.get(verb, ()))


def impossible(record: Record, verb: str, gate: Gate | None = None) -> str:
    """Return why a verb cannot be done with the model as its record says, or "" when it can.

    With a `gate` the policy of the environment is asked as well: who may, and what needs approvals.
    """
    try:
        after = _TRIED[verb](record, Deed("", 0.0))
        if gate is not None:
            gate.admit(record, after)
    except Refused as refused:
        return "; ".join(item.rule for item in refused.refusals)
    return ""


async def permissions(platform: Platform, record: Record, *, caller: str, exists: bool) -> Permissions:
    """Return the verbs of whoever `platform` acts as. Raises PlatformError when the cluster does not answer."""
    cluster, settings = platform.cluster, platform.settings
    by_verb = {verb: needs(verb, settings) for verb in (*READS, *CHANGES)}
    rights = sorted({right for found in by_verb.values() for right in found})
    answers = await asyncio.gather(*(_allowed(cluster, right, record.namespace) for right in rights))
    granted = dict(zip(rights, answers, strict=True))
    verbs = {}
    for verb, needed in by_verb.items():
        missing = [right for right in needed if not granted[right]]
        reason = (
            impossible(record, verb, platform.gate)
            if verb in CHANGES
            else ""
            if exists
            else f"there is no model {record.key}"
        )
        told = f"{caller} may not {_spelled(missing[0])} in namespace {record.namespace}" if missing else reason
        verbs[verb] = Verb(not missing, not reason, told)
    return Permissions(caller, record.namespace, record.name, verbs)


async def _allowed(cluster: Cluster, right: Right, namespace: str) -> bool:
    verb, group, resource = right
    resource, _, subresource = resource.partition("/")
    attributes = {
        "verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace,
    }  # fmt: skip
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    raw = await cluster.request("POST", REVIEWS, body=msgspec.json.encode(review))
    return msgspec.json.decode(raw, type=_Review).status.allowed


class _Status(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True):
    status: _Status


def _spelled(right: Right) -> str:
    verb, group, resource = right
    return f"{verb} {resource}.{group}" if group else f"{verb} {resource}"


def _current(record: Record, *, different: bool = False) -> ModelSpec:
    """Return the spec that runs, or one that differs from it; a model that does not run gets any spec."""
    if record.stable is None:
        return ModelSpec(name=record.name, namespace=record.namespace, image="image")
    spec = from_document(record.revision(record.stable.revision).spec)
    return msgspec.structs.replace(spec, version="1" if spec.version != "1" else "2") if different else spec


def _rebuild(record: Record, deed: Deed) -> Record:
    # The image and the template are the request's to give; only whether there is one to build is asked for here.
    units = (one.name for _, one in servings(_current(record)) if isinstance(one, Unit) and one.image is not None)
    return rebuild(record, Ask("image", RolloutPlan(), unit=next(units, "")), {}, deed)


def _scale(record: Record, deed: Deed) -> Record:
    return edits.scale(record, 1, deed)


def _migrate(record: Record, deed: Deed) -> Record:
    # The address is the request's to give; only the state of the model is asked for here.
    return edits.migrate(record, External(port=80, service="old"), Split(percent=1), deed)


def _hold(record: Record, deed: Deed) -> Record:
    if record.rollout is not None and record.rollout.phase == "paused":
        raise Refused([Refusal("rollout.phase", "paused", "it is paused already")])
    return edits.pause(record, deed)


def _resume(record: Record, deed: Deed) -> Record:
    if record.rollout is not None and record.rollout.phase != "paused":
        raise Refused([Refusal("rollout.phase", record.rollout.phase, "it is not paused")])
    return edits.resume(record, deed)


def _delete(record: Record, deed: Deed) -> Record:
    if record.stable is None and not record.deleting:
        raise Refused([Refusal("model", record.key, "it is not deployed")])
    return edits.delete(record, deed)


_TRIED: Mapping[str, Callable[[Record, Deed], Record]] = {
    "apply": lambda record, deed: edits.apply(record, _current(record), deed),
    "adopt": lambda record, deed: edits.adopt(record, _current(record), deed),
    "shadow": lambda record, deed: edits.shadow(record, Shadow(image="image"), deed),
    "rebuild": _rebuild,
    "scale": _scale,
    "restart": edits.restart,
    "rollback": lambda record, deed: edits.rollback(record, None, deed),
    "delete": _delete,
    "rollout": lambda record, deed: edits.start_rollout(record, _current(record, different=True), RolloutPlan(), deed),
    "pause": _hold,
    "resume": _resume,
    "promote": edits.promote,
    "abort": edits.abort,
    "migrate": _migrate,
    "converge": lambda record, _: record,
}
