"""How a model stands, as one flat value for tables, JSON and the API: pure, from one look."""

from __future__ import annotations

import msgspec

from deploy.plan.steps import Look, spelled, unsettled
from deploy.record import Record
from deploy.seen import SeenPredictor


class TrackStatus(msgspec.Struct, frozen=True):
    """One track: its predictor, revision and pods, and why it is not ready (empty: it is)."""

    role: str
    predictor: str
    revision: int
    wanted: int
    available: int
    endpoints: int
    service: str
    unready: str


class Status(msgspec.Struct, frozen=True):
    """A model as people ask for it. `state` is one of `STATES`."""

    namespace: str
    name: str
    state: str
    seldon: str
    tracks: tuple[TrackStatus, ...]
    rollout: str
    migration: str
    operation: str
    left: tuple[str, ...]


STATES = ("absent", "deleting", "progressing", "paused", "failed", "ready", "unready")


def status_of(look: Look) -> Status:
    """Return the status of a model."""
    record, seen = look.record, look.seen
    by_name = {want.name: unsettled(want, seen.predictors.get(want.name)) for want in look.wanted.predictors}
    roles = _roles(record)
    tracks = tuple(
        _track(roles[track.predictor], track.revision, seen.predictors.get(track.predictor), track.predictor, by_name)
        for track in record.tracks
    )
    operation = record.operation
    return Status(
        record.namespace,
        record.name,
        _state(look, unready=any(item.unready for item in tracks)),
        f"{seen.state} {seen.description}".strip(),
        tracks,
        rollout_line(record),
        f"{record.migration.split.percent} % to the model" if record.migration else "",
        f"{operation.verb} by {operation.author}: {operation.state} {operation.message}".strip() if operation else "",
        tuple(spelled(step) for step in look.steps) if record.active else (),
    )


def rollout_line(record: Record) -> str:
    """Return where a rollout, or the build before it, is in one line; empty without one."""
    progress = record.rollout
    if progress is None:
        return f"building {record.rebuild.target} ({record.rebuild.id})" if record.rebuild else ""
    at = f"step {progress.step + 1} of {len(progress.plan.steps)}"
    share = f" at {progress.split.percent} %" if progress.split else ""
    note = f" ({progress.note})" if progress.note else ""
    return f"revision {progress.candidate.revision}: {progress.phase}, {at}{share}{note}"


def _state(look: Look, *, unready: bool) -> str:
    record, operation = look.record, look.record.operation
    if record.deleting:
        return "deleting"
    if record.stable is None:
        return "absent"
    if operation is not None and operation.state == "failed":
        return "failed"
    if operation is not None and operation.state == "paused":
        return "paused"
    if record.active:
        return "progressing"
    return "unready" if unready else "ready"


def _roles(record: Record) -> dict[str, str]:
    roles = {track.predictor: "leaving" for track in record.leaving}
    if record.rollout:
        roles[record.rollout.candidate.predictor] = "candidate"
    if record.stable:
        roles[record.stable.predictor] = "stable"
    return roles


def _track(
    role: str, revision: int, seen: SeenPredictor | None, predictor: str, unready: dict[str, str]
) -> TrackStatus:
    if seen is None:
        return TrackStatus(role, predictor, revision, 0, 0, 0, "", unready.get(predictor, "it does not exist"))
    return TrackStatus(
        role,
        predictor,
        revision,
        seen.wanted,
        seen.available,
        seen.endpoints,
        seen.service,
        unready.get(predictor, ""),
    )
