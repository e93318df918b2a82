"""How a verb is written into a record: who did it, its revision, its operation, its line of the audit trail.

The verbs themselves are in `deploy.record.edits`; these are the words they share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from deploy.errors import Refusal, Refused
from deploy.record import AuditEntry, Operation, Record, Revision, Rollout, Track, digest
from deploy.spec import ModelSpec
from deploy.spec.file import to_document

LEAVING_MAX = 3


@dataclass(frozen=True, slots=True)
class Deed:
    """Who wants something, when (Unix seconds), why, and under which id; `atomic` rolls a failed apply back."""

    author: str
    at: float
    reason: str = ""
    id: str = ""
    atomic: bool = False


def with_revision(record: Record, spec: ModelSpec, deed: Deed, *, adopted: bool = False) -> tuple[Record, int]:
    """Add a revision, unless the newest one is the same spec.

    It counts as adopted like the one before as long as its pods are the same, which then need not be replaced.
    """
    document = to_document(spec)
    print_ = digest(comparable(document))
    before = record.revision(record.stable.revision) if record.stable else None
    if before is not None and before.digest == print_:
        return record, before.number
    number = record.next_revision
    same_pods = before is not None and before.adopted and _pods(before.spec) == _pods(document)
    revision = Revision(number, document, deed.author, deed.at, deed.reason, print_, adopted or same_pods)
    return replace(record, next_revision=number + 1, revisions=(*record.revisions, revision)), number


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the track decides."""
    return {key: value for key, value in document.items() if key != "predictor"}


def _pods(document: dict[str, Any]) -> str:
    beside = ("predictor", "replicas", "route", "network")
    return digest({key: value for key, value in document.items() if key not in beside})


def begun(record: Record, deed: Deed, verb: str, detail: str) -> Record:
    """Make this deed the record's operation. A revert keeps what the operation before had started from."""
    before = record.operation.before if verb == "revert" and record.operation else None
    operation = Operation(
        deed.id, verb, deed.author, deed.at, deed.reason, message=detail, atomic=deed.atomic, before=before
    )
    return audited(replace(record, operation=operation), deed, verb, detail)


def marked(record: Record, state: Any, message: str) -> Record:
    """Say how far the operation is."""
    if record.operation is None:
        return record
    return replace(record, operation=replace(record.operation, state=state, message=message))


def audited(record: Record, deed: Deed, verb: str, detail: str) -> Record:
    """Add a line to the audit trail."""
    told = f"{detail} ({deed.reason})" if deed.reason and deed.reason not in detail else detail
    return replace(record, audit=(*record.audit, AuditEntry(deed.at, deed.author, verb, told)))


def leaving_with(tracks: tuple[Track, ...], track: Track) -> tuple[Track, ...]:
    """Add a track to those that are drained. Refused beyond `LEAVING_MAX`."""
    kept = (*(item for item in tracks if item.predictor != track.predictor), track)
    if len(kept) > LEAVING_MAX:
        rule = f"at most {LEAVING_MAX} replaced tracks are drained at once: wait until they are gone"
        raise Refused([Refusal("leaving", len(kept), rule)])
    return kept


def stable_of(record: Record, verb: str) -> Track:
    """Return the stable track. Refused when the model is not deployed."""
    if record.stable is None or record.deleting:
        state = "being deleted" if record.deleting else "not deployed"
        raise Refused([Refusal("model", record.key, f"it is {state}: {verb} needs a deployed model")])
    return record.stable


def rollout_of(record: Record, verb: str) -> Rollout:
    """Return the rollout in progress. Refused without one."""
    if record.rollout is None:
        raise Refused([Refusal("rollout", None, f"{record.key} has no rollout in progress to {verb}")])
    return record.rollout


def refuse_during_rollout(record: Record, verb: str) -> None:
    """Refuse a verb that a rollout or rebuild in progress excludes, and say where that is."""
    if record.rebuild is not None:
        rule = f"an image of {record.key} is being built: wait for it, or abort it with `rollout abort`, before {verb}"
        raise Refused([Refusal("rebuild", record.rebuild.target, rule)])
    if record.rollout is not None:
        at = f"step {record.rollout.step + 1} of {len(record.rollout.plan.steps)}, {record.rollout.phase}"
        rule = f"a rollout of {record.key} is in progress: promote or abort it before {verb}"
        raise Refused([Refusal("rollout", at, rule)])
