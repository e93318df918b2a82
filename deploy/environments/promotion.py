"""From what serves in one environment to the same spec in the next one. Pure.

Only what is proven is promoted: the spec that the stable track runs now, ready and with nothing going on. It is changed
by nothing but the namespace and the target environment's `patch`; both are told before anything is done. Environments
name the one before them (`after`), and a model comes to them only from there. That its spec served there is asked of
the source cluster by whoever promotes; the target cluster keeps it as the proposal's origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deploy.environments import Environment
from deploy.environments.proposals import Wish
from deploy.errors import Refusal, Refused
from deploy.objects.diff import Change, differences
from deploy.objects.patch import PatchError, merge
from deploy.plan.steps import Look
from deploy.record import Record, RolloutPlan, edits
from deploy.record.journal import Deed
from deploy.spec import ModelSpec
from deploy.spec.file import from_document, to_document
from deploy.status import status_of


@dataclass(frozen=True, slots=True)
class Promotion:
    """What comes to the target: the spec there, how it differs from the source's, and as what it is wished."""

    spec: ModelSpec
    wish: Wish
    differences: tuple[Change, ...]

    def applied(self, record: Record, deed: Deed) -> Record:
        """Return the target's record with it."""
        if self.wish.plan is not None:
            return edits.start_rollout(record, self.spec, self.wish.plan, deed)
        return edits.apply(record, self.spec, deed)


def promotion(
    serving: Look, source: Environment | None, target: Environment, *, namespace: str, plan: RolloutPlan | None
) -> Promotion:
    """Return what comes to `target`; `namespace` is the model's as specs and commands write it. Raises Refused."""
    record = serving.record
    whence = source.name if source else ""
    if target.after and target.after != whence:
        rule = f"models come to {target.name} from {target.after} (environments.{target.name}.after)"
        raise Refused([Refusal("env", whence or None, rule)])
    status = status_of(serving)
    if record.stable is None or status.state != "ready":
        unready = "; ".join(item.unready for item in status.tracks if item.unready)
        rule = f"only what is ready is promoted{f': {unready}' if unready else ''}"
        raise Refused([Refusal("state", status.state, f"{record.key} in {whence or 'the source'}: {rule}")])
    document = to_document(from_document(record.revision(record.stable.revision).spec))
    wanted = _patched(document | {"namespace": target.place(namespace)}, target)
    spec = from_document(wanted)
    verb = "apply" if plan is None else "rollout"
    origin = f"{whence or record.namespace} revision {record.stable.revision}"
    changes = tuple(differences(document, to_document(spec)))
    return Promotion(spec, Wish(verb, spec, plan, origin), changes)


def _patched(document: dict[str, Any], target: Environment) -> dict[str, Any]:
    at = f"environments.{target.name}.patch"
    for key in ("name", "namespace"):
        if key in target.patch:
            raise Refused([Refusal(f"{at}.{key}", target.patch[key], "a patch cannot make it another model")])
    try:
        merged: dict[str, Any] = merge(document, target.patch)
    except PatchError as error:
        raise Refused([Refusal(at, target.patch, str(error))]) from error
    return merged
