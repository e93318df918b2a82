"""Environments: QA, pre-release, production, and what may be done in each. Pure: a table of rules over a request.

    environments:
      qa:
        context: qa                       # of the kubeconfig (or kubeconfig: a file of its own)
        limits: {replicasMax: 4, gpuCardsMax: 1, forbiddenExposure: [external]}
      prod:
        after: qa                         # models come here from qa
        context: prod
        namespaces: {nlp: nlp-prod}       # the spec's namespace → the one here; {"*": "*-prod"} for all others
        patch: {replicas: 3}              # what differs here, merged into a spec that is promoted to here
        who: [{operations: ["*"], groups: [nlp-team]}]
        limits: {required: [version, resources.limits.memory], pinnedImages: true}
        approvals: [{operations: [create, apply, rollout, delete], groups: [release-managers], needed: 1}]

Who somebody is, is what the cluster says (`deploy.environments.gate`), never a setting. An operation is the verb that a
change of a model's record leaves in its audit trail. What is not said is not limited: without `who` the cluster's RBAC
decides alone, as it does in any case afterwards.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
import yaml
from msgspec import Meta, Struct

from deploy.errors import Refusal, Refused
from deploy.rules import servings
from deploy.spec import ModelSpec
from deploy.spec.file import to_document
from deploy.spec.gpu import CORES_PER_CARD
from deploy.spec.misread import refusal_of

OPERATIONS = (
    "create", "apply", "adopt", "shadow", "rebuild", "scale", "restart", "rollback", "rollout", "pause", "resume",
    "promote", "abort", "migrate", "delete",
)  # fmt: skip
PROPOSABLE = ("create", "apply", "rollout", "delete")
"""What can wait for approvals; for any other operation a policy says who may do it."""

Part = TypeVar("Part")


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Options that every part of a policy shares."""


class Grant(_Part, frozen=True, kw_only=True):
    """Who may do these operations (`*` = all of them)."""

    operations: tuple[str, ...]
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def covers(self, operation: str) -> bool:
        """Whether this is about the operation. What is said of apply is said of create: a creation is an apply."""
        names = {"*", operation, "apply"} if operation == "create" else {"*", operation}
        return not names.isdisjoint(self.operations)

    def names(self, caller: str, groups: tuple[str, ...]) -> bool:
        """Whether this caller is among those named."""
        return caller in self.users or bool(set(groups) & set(self.groups))

    @property
    def told(self) -> str:
        """Those named, as a message says it."""
        users = [f"user {name}" for name in self.users]
        return " or ".join([*users, *(f"group {name}" for name in self.groups)])


class Approval(Grant, frozen=True, kw_only=True):
    """These operations need `needed` approvals by those named, none of them the author."""

    needed: Annotated[int, Meta(ge=1, le=10)] = 1


class Limits(_Part, frozen=True, kw_only=True):
    """What a spec may ask for. `gpuCardsMax` counts all replicas, a share as its part of a card."""

    replicas_max: Annotated[int, Meta(ge=0)] | None = None
    gpu_cards_max: Annotated[float, Meta(ge=0)] | None = None
    required: tuple[str, ...] = ()
    forbidden_exposure: tuple[str, ...] = ()
    pinned_images: bool = False


class Environment(_Part, frozen=True, kw_only=True):
    """One environment: how it is reached, what differs there, and its policy.

    `policyFrom` (`namespace/name` of a ConfigMap of its cluster, key `environments.yaml`) says where the rules of the
    entry of the same name are read from; those of the file are then not used.
    """

    context: str = ""
    kubeconfig: str = ""
    policy_from: str = ""
    namespaces: dict[str, str] = {}
    after: str = ""
    patch: dict[str, Any] = {}
    who: tuple[Grant, ...] = ()
    limits: Limits = Limits()
    approvals: tuple[Approval, ...] = ()
    name: str = ""

    def place(self, namespace: str) -> str:
        """Return this environment's namespace for that of a spec. Raises Refused when it has none."""
        if not self.namespaces:
            return namespace
        if namespace in self.namespaces:
            return self.namespaces[namespace]
        if "*" in self.namespaces and not self.holds(namespace):
            return self.namespaces["*"].replace("*", namespace)
        if self.holds(namespace):
            return namespace
        known = ", ".join(self.namespaces)
        raise Refused(
            [Refusal("namespace", namespace, f"environment {self.name} has no namespace for it, only {known}")]
        )

    def holds(self, namespace: str) -> bool:
        """Whether a namespace of the cluster belongs to this environment."""
        patterns = self.namespaces.values()
        return not self.namespaces or any(fnmatch.fnmatchcase(namespace, pattern) for pattern in patterns)


class _File(_Part, frozen=True, kw_only=True):
    environments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: an operation on a model, by whom, and the specs that would newly run."""

    operation: str
    namespace: str
    caller: str
    groups: tuple[str, ...] = ()
    specs: tuple[ModelSpec, ...] = ()
    approved: bool = False


def parse(text: str | bytes) -> dict[str, Environment]:
    """Read environments by name. Raises Refused naming the field, the value and the rule."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused([Refusal("environments", "unreadable", f"it must be YAML: {error}")]) from error
    found = _converted(document, _File, "").environments
    environments = {
        name: msgspec.structs.replace(_converted(item, Environment, f"environments.{name}."), name=name)
        for name, item in found.items()
    }
    faults = [fault for item in environments.values() for fault in _faults(item, environments)]
    if faults:
        raise Refused(faults)
    return environments


def _converted(document: Any, kind: type[Part], path: str) -> Part:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        found = refusal_of(str(error), document, kind)
        raise Refused([Refusal(f"{path}{found.field}", found.value, found.rule)]) from error


def operation_of(verb: str, *, deployed: bool) -> str:
    """Return the operation that a verb is: one that brings a model which is not there is a creation."""
    return ("apply" if deployed else "create") if verb in ("create", "apply") else verb


def refusals(environment: Environment, request: Request) -> Iterator[Refusal]:
    """Yield every rule of the environment that the request breaks; none: it may be done."""
    where = environment.name
    if not environment.holds(request.namespace):
        known = ", ".join(environment.namespaces.values())
        yield Refusal("namespace", request.namespace, f"it is none of {where}: {known}")
    grants = [grant for grant in environment.who if grant.covers(request.operation)]
    if environment.who and not any(grant.names(request.caller, request.groups) for grant in grants):
        told = " or ".join(grant.told for grant in grants) or "nobody"
        yield Refusal("caller", request.caller, f"{request.operation} in {where} is for {told} (who)")
    for spec in request.specs:
        yield from _beyond(spec, environment)
    needed = approvals_needed(environment, request.operation)
    if needed and not request.approved:
        told = " or ".join(rule.told for rule in needed)
        count = max(rule.needed for rule in needed)
        rule = f"in {where} it needs {count} approval(s) by {told}: ask for them with `milepost model propose`"
        yield Refusal("operation", request.operation, rule)


def approvals_needed(environment: Environment, operation: str) -> tuple[Approval, ...]:
    """Return the approval rules about an operation."""
    return tuple(rule for rule in environment.approvals if rule.covers(operation) and operation in PROPOSABLE)


def may_approve(environment: Environment, request: Request) -> Iterator[Refusal]:
    """Yield why this caller may not approve (or reject) the operation."""
    rules = approvals_needed(environment, request.operation)
    if rules and not any(rule.names(request.caller, request.groups) for rule in rules):
        told = " or ".join(rule.told for rule in rules)
        rule = f"{request.operation} in {environment.name} is approved by {told} (approvals)"
        yield Refusal("caller", request.caller, rule)


def _beyond(spec: ModelSpec, environment: Environment) -> Iterator[Refusal]:
    limits, where = environment.limits, environment.name
    replicas = spec.autoscaling.max_replicas if spec.autoscaling else spec.replicas
    if limits.replicas_max is not None and replicas > limits.replicas_max:
        field = "autoscaling.maxReplicas" if spec.autoscaling else "replicas"
        yield Refusal(field, replicas, f"{where} allows {limits.replicas_max} (limits.replicasMax)")
    gpus = [serving.gpu for _, serving in servings(spec) if serving.gpu is not None]
    cards = replicas * sum(gpu.cards or (gpu.cores or 0) / CORES_PER_CARD for gpu in gpus)
    if limits.gpu_cards_max is not None and cards > limits.gpu_cards_max:
        rule = f"{replicas} replicas take {cards:g} cards; {where} allows {limits.gpu_cards_max:g} (limits.gpuCardsMax)"
        yield Refusal("gpu", f"{cards:g} cards", rule)
    document = to_document(spec)
    for path in limits.required:
        if _at(document, path) in (None, "", {}, []):
            yield Refusal(path, None, f"{where} wants it written in every spec (limits.required)")
    if spec.route.exposure in limits.forbidden_exposure:
        yield Refusal("route.exposure", spec.route.exposure, f"{where} forbids it (limits.forbiddenExposure)")
    if limits.pinned_images:
        for path, serving in servings(spec):
            if serving.image is not None and not _pinned(serving.image):
                rule = f"{where} wants a digest or a tag other than latest (limits.pinnedImages)"
                yield Refusal(f"{path}image", serving.image, rule)


def _pinned(image: str) -> bool:
    if "@" in image:
        return True
    _, _, tag = image.rsplit("/", 1)[-1].partition(":")
    return tag not in ("", "latest")


def _at(document: Any, path: str) -> Any:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _faults(environment: Environment, known: dict[str, Environment]) -> Iterator[Refusal]:
    at = f"environments.{environment.name}"
    if environment.after and environment.after not in known:
        yield Refusal(f"{at}.after", environment.after, f"there is no such environment, only {', '.join(known)}")
    for field, rules in (("who", environment.who), ("approvals", environment.approvals)):
        for index, rule in enumerate(rules):
            path = f"{at}.{field}[{index}]"
            for operation in rule.operations:
                choices = PROPOSABLE if field == "approvals" else OPERATIONS
                if operation != "*" and operation not in choices:
                    yield Refusal(f"{path}.operations", operation, f"it must be * or one of {', '.join(choices)}")
            if not rule.users and not rule.groups:
                yield Refusal(path, rule.told, "it must name users or groups")
