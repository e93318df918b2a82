"""Every verb, as a pure change of the record.

A verb never touches the cluster: it says what is wanted, `deploy.cluster.store` writes that down by compare-and-swap,
and `deploy.operate.converge` makes it so. That is why a verb answers at once, why two of them cannot interleave, and
why promote, abort and rollback are one write each: the routes follow from which track is stable.

    rollout:  preparing ─ready▶ progressing ─steps▶ promote: stable = candidate, the old stable track is leaving
                  │                  ├─pause▶ paused ─resume▶ progressing
                  └──────abort───────┴─abort: the candidate is leaving

Verbs that do not fit the state are refused with the state and with what can be done instead.
"""

from __future__ import annotations

from msgspec.structs import replace

from deploy.errors import Refusal, Refused
from deploy.record import Migration, Record, Rollout, RolloutPlan, Track, digest
from deploy.record.journal import (
    Deed,
    audited,
    begun,
    comparable,
    leaving_with,
    marked,
    refuse_during_rollout,
    rollout_of,
    stable_of,
    with_revision,
)
from deploy.spec import ModelSpec, Shadow
from deploy.spec.file import from_document, to_document
from deploy.spec.release import External, Split


def spec_of(record: Record, track: Track) -> ModelSpec:
    """Return the spec that a track runs, under the track's own predictor name."""
    spec = from_document(record.revision(track.revision).spec)
    return replace(spec, predictor=track.predictor)


def apply(record: Record, spec: ModelSpec, deed: Deed, *, verb: str = "apply") -> Record:
    """Run this spec on the stable track, in place; a new model gets its first track."""
    refuse_during_rollout(record, verb)
    before = record.stable
    record, number = with_revision(record, spec, deed)
    predictor = before.predictor if before else spec.predictor
    record = begun(replace(record, stable=Track(predictor, number), deleting=False), deed, verb, f"revision {number}")
    return record if record.operation is None else replace(record, operation=replace(record.operation, before=before))


def adopt(record: Record, spec: ModelSpec, deed: Deed) -> Record:
    """Take over a model that runs already as this spec. Refused for one that is managed."""
    if record.stable is not None:
        raise Refused([Refusal("name", record.key, "it is managed already: `milepost model apply` changes it")])
    record, number = with_revision(record, spec, deed, adopted=True)
    return begun(replace(record, stable=Track(spec.predictor, number), deleting=False), deed, "adopt", "")


def shadow(record: Record, wanted: Shadow | None, deed: Deed) -> Record:
    """Copy the stable track's requests to another server, or to none any more."""
    spec = spec_of(record, stable_of(record, "shadow"))
    if wanted is None and spec.shadow is None:
        raise Refused([Refusal("shadow", None, f"{record.key} has no shadow to remove")])
    return apply(record, replace(spec, shadow=wanted), deed, verb="shadow")


def scale(record: Record, replicas: int, deed: Deed) -> Record:
    """Run the stable spec with another number of replicas. Refused under autoscaling, which would undo it."""
    spec = spec_of(record, stable_of(record, "scale"))
    if spec.autoscaling is not None:
        low, high = spec.autoscaling.min_replicas, spec.autoscaling.max_replicas
        rule = f"{record.key} is scaled by {spec.autoscaling.kind} between {low} and {high}; change autoscaling instead"
        raise Refused([Refusal("replicas", replicas, rule)])
    return apply(record, replace(spec, replicas=replicas), deed, verb="scale")


def restart(record: Record, deed: Deed) -> Record:
    """Replace every pod of the model, one after another, with the same spec."""
    stable_of(record, "restart")
    refuse_during_rollout(record, "restart")
    return begun(replace(record, restarted_at=deed.at), deed, "restart", "")


def rollback(record: Record, to: int | None, deed: Deed) -> Record:
    """Go back to a revision (None: the one before the current), whatever is going on, in one step.

    During a rollout this aborts it. Where the wanted revision still runs on a leaving track, only the route changes.
    Otherwise the stable track gets a new revision with the old spec.
    """
    stable = stable_of(record, "rollback")
    if record.rollout is not None:
        record = abort(record, deed)
        if to is None or to == stable.revision:
            return record
    number = _previous(record, stable) if to is None else to
    wanted = record.revision(number)
    for track in record.leaving:
        if record.revision(track.revision).digest == wanted.digest:
            others = tuple(other for other in record.leaving if other != track)
            record = replace(record, stable=track, leaving=leaving_with(others, stable), drain_until=0.0, keep_s=0.0)
            return begun(record, deed, "rollback", f"to revision {number}, which still runs as {track.predictor}")
    spec = replace(from_document(wanted.spec), predictor=stable.predictor)
    reason = deed.reason or f"rollback to {number}"
    told = Deed(deed.author, deed.at, reason, deed.id, deed.atomic)
    return apply(record, spec, told, verb="rollback")


def start_rollout(record: Record, spec: ModelSpec, plan: RolloutPlan, deed: Deed) -> Record:
    """Bring a candidate track up beside the stable one. Its predictor is named by its revision, `r<number>`."""
    stable = stable_of(record, "rollout")
    refuse_during_rollout(record, "rollout")
    if record.migration is not None:
        rule = f"{record.key} is being migrated, and a route carries one split: finish or cancel the migration first"
        raise Refused([Refusal("migration.split", str(record.migration.split), rule)])
    if digest(comparable(to_document(spec))) == record.revision(stable.revision).digest:
        rule = f"it is what the stable track runs already (revision {stable.revision})"
        raise Refused([Refusal("spec", f"revision {stable.revision}", rule)])
    record, number = with_revision(record, spec, deed)
    rollout = Rollout(candidate=Track(f"r{number}", number), plan=plan)
    return begun(replace(record, rollout=rollout), deed, "rollout", f"revision {number} as predictor r{number}")


def pause(record: Record, deed: Deed, *, note: str = "") -> Record:
    """Hold a rollout where it is."""
    rollout = rollout_of(record, "pause")
    told = note or f"paused by {deed.author}"
    record = replace(record, rollout=replace(rollout, phase="paused", note=told))
    return audited(marked(record, "paused", told), deed, "pause", told)


def resume(record: Record, deed: Deed) -> Record:
    """Let a paused rollout go on: the step it is at is held and judged anew."""
    rollout = rollout_of(record, "resume")
    phase = "progressing" if rollout.ready else "preparing"
    record = replace(record, rollout=replace(rollout, phase=phase, note="", held_from=0.0))
    return audited(marked(record, "running", ""), deed, "resume", f"at step {rollout.step + 1}")


def promote(record: Record, deed: Deed) -> Record:
    """Make the candidate the stable track; the old one leaves. Refused before the candidate has become ready."""
    rollout, stable = rollout_of(record, "promote"), stable_of(record, "promote")
    if not rollout.ready:
        rule = "the candidate is not ready yet: wait for the first step, or see `milepost model why`"
        raise Refused([Refusal("rollout.phase", rollout.phase, rule)])
    leaving = leaving_with(record.leaving, stable)
    record = replace(record, stable=rollout.candidate, rollout=None, leaving=leaving)
    record = replace(record, drain_until=0.0, keep_s=rollout.plan.keep_s)
    detail = f"revision {rollout.candidate.revision} as predictor {rollout.candidate.predictor}"
    return audited(marked(record, "running", f"promoted {detail}"), deed, "promote", detail)


def abort(record: Record, deed: Deed, *, why: str = "") -> Record:
    """Send everything back to the stable track and remove the candidate; a rebuild's Job is removed."""
    if record.rebuild is not None and record.rollout is None:
        return audited(_without_rebuild(record, deed), deed, "abort", f"rebuild {record.rebuild.id}")
    rollout = rollout_of(record, "abort")
    leaving = leaving_with(record.leaving, rollout.candidate)
    detail = why or f"aborted by {deed.author}"
    record = replace(record, rollout=None, leaving=leaving, drain_until=0.0, keep_s=0.0)
    return audited(marked(record, "running", f"rollout aborted: {detail}"), deed, "abort", detail)


def migrate(record: Record, old: External | None, split: Split, deed: Deed) -> Record:
    """Share the model's traffic between its old address and the stable track; `old` None keeps the address.

    A split of 0 % is the switch back, in one step, from wherever it stands.
    """
    stable_of(record, "migrate")
    refuse_during_rollout(record, "migrate")
    address = old if old is not None or record.migration is None else record.migration.old
    if address is None:
        rule = "the first call of a migration names the address that serves the model now"
        raise Refused([Refusal("old", None, rule)])
    record = replace(record, migration=Migration(address, split))
    return begun(record, deed, "migrate", f"{split.percent} % to the model")


def finish_migration(record: Record, deed: Deed) -> Record:
    """End a migration: the main route is the model's alone. Refused below 100 %, where it would be a jump."""
    if record.migration is None:
        raise Refused([Refusal("migration", None, f"{record.key} is not being migrated")])
    if record.migration.split.percent < 100:
        rule = "a migration is finished at 100 %, once nothing is served by the old address any more"
        raise Refused([Refusal("migration.split.percent", record.migration.split.percent, rule)])
    return begun(replace(record, migration=None), deed, "migrate", "finished")


def delete(record: Record, deed: Deed) -> Record:
    """Take the model away: route, drain, SeldonDeployment. Its history stays."""
    leaving, record = record.leaving, _without_rebuild(record, deed)
    if record.rollout is not None:
        leaving = leaving_with(leaving, record.rollout.candidate)
    record = replace(record, deleting=True, rollout=None, migration=None, leaving=leaving, drain_until=0.0)
    return begun(record, deed, "delete", "")


def _without_rebuild(record: Record, deed: Deed) -> Record:
    """Give a rebuild up; whoever converges the model removes its Job."""
    wanted = record.rebuild
    return record if wanted is None else replace(record, rebuild=replace(wanted, cancelled=f"aborted by {deed.author}"))


def reverted(record: Record, *, now: float, why: str) -> Record:
    """Undo an operation that failed: its candidate leaves, or the stable track is again what it was before."""
    operation = record.operation
    if operation is None:
        return record
    if record.rollout is not None:
        return abort(record, Deed(operation.author, now), why=why)
    if operation.before is None or operation.before == record.stable:
        return ended(record, now=now, failed=why)
    record = replace(record, stable=operation.before)
    undone = Deed(operation.author, now, f"{operation.verb} failed: {why}", operation.id)
    return begun(record, undone, "revert", f"back to revision {operation.before.revision}: {why}")


def draining(record: Record, *, until: float) -> Record:
    """Note until when what leaves still serves."""
    return replace(record, drain_until=until)


def forgotten(record: Record) -> Record:
    """Take the leaving tracks out, after their drain."""
    return replace(record, leaving=(), drain_until=0.0, keep_s=0.0)


def ended(record: Record, *, now: float, failed: str = "") -> Record:
    """Close the operation; a deleted model keeps only its history."""
    operation = record.operation
    if operation is None:
        return record
    state = "failed" if failed else "done"
    closed = replace(operation, state=state, message=failed or operation.message, ended=now)
    record = replace(record, operation=closed)
    if record.deleting and not failed:
        record = replace(record, stable=None, leaving=(), deleting=False, drain_until=0.0)
    return audited(record, Deed(operation.author, now), operation.verb, f"{state} {failed}".rstrip())


def _previous(record: Record, stable: Track) -> int:
    current = record.revision(stable.revision).digest
    for revision in reversed(record.revisions):
        if revision.number < stable.revision and revision.digest != current:
            return revision.number
    raise Refused([Refusal("revision", stable.revision, f"{record.key} has no revision before it in its history")])
