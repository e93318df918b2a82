"""What all routes share: how a value becomes an answer, an error a problem, and who may list models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from fastapi import Response

from deploy.errors import (
    Absent,
    Broken,
    Busy,
    Conflict,
    Denied,
    PlatformError,
    Refusal,
    Refused,
    Unavailable,
)
from deploy.operate import Platform
from deploy.operate.converge import OperationFailed, Progress
from deploy.spec import ModelSpec
from deploy.spec.misread import refusal_of
from milepost.auth import Authorizer, Caller
from milepost.problem import Problem

SELDON_GROUP, SELDON_RESOURCE = "machinelearning.seldon.io", "seldondeployments"

STATUSES: dict[type[PlatformError], int] = {
    Refused: 422, Denied: 403, Absent: 404, Conflict: 409, Busy: 409, Unavailable: 503, Broken: 500,
    OperationFailed: 500,
}  # fmt: skip

Given = TypeVar("Given")

PlatformOf = Callable[[Caller, Callable[[Progress], None]], Platform]
"""Makes the platform that acts as a caller and tells its progress."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Who may see the models of a namespace: whoever may list its SeldonDeployments."""

    authorizer: Authorizer

    async def check(self, caller: Caller, namespace: str) -> None:
        """Raise Denied for a caller who may not list the models of this namespace ("" = all)."""
        if not await self.authorizer.allowed(
            caller, verb="list", group=SELDON_GROUP, resource=SELDON_RESOURCE, namespace=namespace
        ):
            where = f"namespace {namespace}" if namespace else "all namespaces: name one with ?namespace="
            raise Denied(f"{caller.name} may not list SeldonDeployments in {where}")


def silent(platform_of: PlatformOf, caller: Caller) -> Platform:
    """Return the caller's platform for a read, which has no progress to tell."""
    return platform_of(caller, lambda _: None)


def problem_of(error: PlatformError) -> Problem:
    """Return an error of the platform as a problem; every refused field is one of its `faults`."""
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 500)
    faults = [plain(item) for item in error.refusals] if isinstance(error, Refused) else []
    return Problem(status, str(error), slug=type(error).__name__.lower(), faults=faults)


def given(document: Any, kind: type[Given]) -> Given:
    """Return what a caller sent, as this type. Raises Refused naming the field, the value and the rule."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise Refused([refusal_of(str(error), document, kind)]) from error


def addressed(spec: ModelSpec, namespace: str, name: str) -> ModelSpec:
    """Return a spec that was sent to this model's address. Raises Refused when it is another one's."""
    if (spec.namespace, spec.name) != (namespace, name):
        raise Refused([Refusal("name", spec.key, f"the path says {namespace}/{name}")])
    return spec


def plain(item: Any) -> Any:
    """Return a struct or dataclass as what JSON can say."""
    return msgspec.to_builtins(item, enc_hook=str)


def answer(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a value as a JSON answer."""
    body = msgspec.json.encode(value, enc_hook=str)
    return Response(body, status, headers=headers, media_type="application/json")


def sent(event: str, data: Any, *, id_: str = "") -> str:
    """Return one server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    marked = f"id: {id_}\n" if id_ else ""
    return f"event: {event}\n{marked}data: {msgspec.json.encode(data, enc_hook=str).decode()}\n\n"
