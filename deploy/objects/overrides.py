"""The owner's patches over rendered objects: the way out for what a spec has no field for.

A patch may not move an object (apiVersion, kind, name, namespace) nor drop the labels by which the platform finds it
again. What it produces is checked by the same rules as what a spec produces. The kind `Predictor` stands for the part
of the SeldonDeployment that belongs to one track: such a patch follows its spec from candidate to stable.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from deploy.errors import Refusal, Refused
from deploy.objects import MANAGED_BY, Body, KubeObject
from deploy.objects.patch import PatchError, merge
from deploy.spec import Override

FIXED = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"))
ROUTES = ("Ingress", "HTTPRoute", "GRPCRoute")
PREDICTOR = "Predictor"
PREDICTOR_FIXED = (("name",), ("traffic",), ("shadow",), ("annotations", "seldon.io/svc-name"))


def apply_to_predictor(body: Body, overrides: Iterable[Override]) -> Body:
    """Return a rendered predictor with the patches of kind `Predictor` applied. Raises Refused."""
    for number, override in enumerate(overrides):
        if override.kind == PREDICTOR:
            field = f"overrides[{number}].patch"
            _refuse_fixed(
                override.patch, PREDICTOR_FIXED, field, "the platform decides it; the spec has a field for it"
            )
            body = _merged(body, override, field)
    return body


def apply_overrides(objects: Iterable[KubeObject], overrides: Iterable[Override]) -> tuple[KubeObject, ...]:
    """Return the objects with every patch applied in order. Raises Refused with all that is wrong."""
    patched = list(objects)
    refusals: list[Refusal] = []
    for number, override in enumerate(overrides):
        if override.kind == PREDICTOR:
            continue
        targets = [
            index for index, item in enumerate(patched)
            if item.kind == override.kind and override.name in (None, item.name)
        ]  # fmt: skip
        if not targets:
            kinds = ", ".join(sorted({f"{item.kind}/{item.name}" for item in patched}))
            wanted = override.kind if override.name is None else f"{override.kind}/{override.name}"
            refusals.append(
                Refusal(f"overrides[{number}]", wanted, f"nothing of this kind is rendered; there is {kinds}")
            )
        for index in targets:
            try:
                patched[index] = _patch(patched[index], override, f"overrides[{number}].patch")
            except Refused as error:
                refusals += error.refusals
    if refusals:
        raise Refused(refusals)
    return tuple(patched)


def _patch(item: KubeObject, override: Override, field: str) -> KubeObject:
    _refuse_fixed(override.patch, FIXED, field, "a patch cannot move an object")
    body = _merged(item.body, override, field)
    metadata = body.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if not isinstance(labels, dict) or any(labels.get(key) != value for key, value in MANAGED_BY.items()):
        rule = f"the labels {MANAGED_BY} must stay: the platform finds its objects by them"
        raise Refused([Refusal(f"{field}.metadata.labels", labels, rule)])
    if item.kind in ROUTES and list(_backends(body)) != list(_backends(item.body)):
        rule = "a patch cannot change where requests go: a rollout would be undone without a word"
        raise Refused([Refusal(f"{field}.spec.rules", list(_backends(body)), rule)])
    return KubeObject(body)


def _backends(value: Any) -> Iterator[Any]:
    """Yield what stands under `backend` and `backendRefs`, in the order of the object."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("backend", "backendRefs"):
                yield inner
            else:
                yield from _backends(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _backends(inner)


def _refuse_fixed(patch: Body, fixed: Iterable[tuple[str, ...]], field: str, rule: str) -> None:
    refusals: list[Refusal] = []
    for path in fixed:
        parent: Any = patch
        for key in path[:-1]:
            parent = parent.get(key) if isinstance(parent, dict) else None
        if isinstance(parent, dict) and path[-1] in parent:
            refusals.append(Refusal(f"{field}.{'.'.join(path)}", parent[path[-1]], rule))
    if refusals:
        raise Refused(refusals)


def _merged(body: Body, override: Override, field: str) -> Body:
    try:
        merged: Body = merge(copy.deepcopy(body), override.patch)
    except PatchError as error:
        raise Refused([Refusal(field, override.kind, str(error))]) from error
    return merged
