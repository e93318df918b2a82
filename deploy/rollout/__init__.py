"""A rollout's next state, from the record, the clock and a verdict: pure, so its times are tested without waiting.

`advance` is called each time the cluster shows what the record wants (*settled*): candidate ready, routes as the
step says. Until then a step has not begun, so a slow start never eats the time a step is held.

    preparing    settled                                      → first step; without steps: promoted, or paused
    progressing  settled, step not begun                      → the hold begins
    progressing  verdict fail                                 → aborted at once, also during the hold
    progressing  hold over, verdict pass (or not judged)      → next step; after the last: promoted, or paused
    progressing  hold over, verdict unknown                   → wait `unknown_s_max`, then as the plan's `unknown` says
    paused                                                    → nothing, until somebody resumes, promotes or aborts
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from deploy.errors import Refusal, Refused
from deploy.record import VERDICTS_KEPT, JudgedStep, Record, Rollout, RolloutPlan, RolloutStep, edits
from deploy.record.journal import Deed, audited
from deploy.rollout.judge import Verdict
from deploy.spec.release import Split

STEPS_MAX = 20
JUDGE = "milepost (automatic judgement)"
CLOCK = "milepost (by time, not judged)"
PASSED = "all steps passed; waits for `rollout promote`"
"""The note of a rollout that pauses because its plan says so, not because something stopped it."""


@dataclass(frozen=True, slots=True)
class Due:
    """What a rollout waits for: `judge` now, or nothing before `at` (Unix seconds)."""

    judge: bool
    at: float


def canary(percents: tuple[int, ...], hold_s: float, *, split: Split | None = None, **options: object) -> RolloutPlan:
    """Return a plan of rising percentages, each held for `hold_s`. `split` adds its header and cookie to each step.

    Refuses percentages that do not rise, lie outside 0..100, or are more than `STEPS_MAX`.
    """
    base = split or Split()
    if not percents or len(percents) > STEPS_MAX:
        raise Refused([Refusal("steps", percents, f"a canary has 1 to {STEPS_MAX} steps")])
    if list(percents) != sorted(set(percents)) or percents[0] < 0 or percents[-1] > 100:
        raise Refused([Refusal("steps", percents, "percentages rise from step to step and lie in 0..100")])
    steps = tuple(RolloutStep(replace(base, percent=percent), hold_s) for percent in percents)
    return replace(RolloutPlan(steps=steps), **options)


def due(record: Record, *, now: float, every_s: float, last_judged: float) -> Due:
    """Say whether a judgement is due and otherwise when to look again; `every_s` is the time between judgements."""
    rollout = record.rollout
    if rollout is None or rollout.phase != "progressing" or not rollout.held_from:
        return Due(False, now)
    over = rollout.held_from + _hold_s(rollout)
    if not rollout.plan.judged:
        return Due(False, over)
    next_judgement = max(last_judged, rollout.held_from) + every_s
    if now >= next_judgement or (now >= over and last_judged < over):
        return Due(True, now)
    return Due(False, min(next_judgement, over) if now < over else next_judgement)


def advance(record: Record, *, now: float, verdict: Verdict | None = None) -> Record:
    """Return the record after one look at a settled model; the same record when there is nothing to do yet."""
    rollout = record.rollout
    if rollout is None or rollout.phase == "paused":
        return record
    if rollout.phase == "preparing":
        return _next_step(replace(record, rollout=replace(rollout, ready=True, phase="progressing")), now)
    if not rollout.held_from:
        return replace(record, rollout=replace(rollout, held_from=now))
    if verdict is None:
        over = not rollout.plan.judged and now >= rollout.held_from + _hold_s(rollout)
        return _next_step(record, now) if over else record
    return _judged(_noted(record, rollout, verdict, now), rollout, verdict, now)


def told(before: Record, after: Record) -> str:
    """Return what an `advance` from one to the other did, as one line."""
    lines = [f"{entry.verb}: {entry.detail}" for entry in after.audit[len(before.audit) :]]
    progress = after.rollout
    if not lines and progress is not None and progress.step >= 0 and progress.held_from:
        lines = [f"step {progress.step + 1} of {len(progress.plan.steps)}: held for {_hold_s(progress):g} s"]
    return "; ".join(lines)


def _judged(record: Record, rollout: Rollout, verdict: Verdict, now: float) -> Record:
    over = rollout.held_from + _hold_s(rollout)
    if verdict.result == "fail":
        return edits.abort(record, Deed(JUDGE, now), why=verdict.reason)
    if verdict.result == "pass" and now >= over:
        return _next_step(record, now)
    if verdict.result == "unknown" and now >= over + rollout.plan.unknown_s_max:
        return _undecided(record, rollout, verdict, now)
    return record


def _undecided(record: Record, rollout: Rollout, verdict: Verdict, now: float) -> Record:
    deed = Deed(JUDGE, now)
    if rollout.plan.unknown == "abort":
        return edits.abort(record, deed, why=verdict.reason)
    if rollout.plan.unknown == "pause":
        return edits.pause(record, deed, note=f"cannot be judged: {verdict.reason}")
    return _next_step(record, now)


def _next_step(record: Record, now: float) -> Record:
    rollout = record.rollout
    if rollout is None:
        return record
    deed = Deed(JUDGE if rollout.plan.judged else CLOCK, now)
    if rollout.step + 1 < len(rollout.plan.steps):
        step = rollout.step + 1
        detail = f"{step + 1} of {len(rollout.plan.steps)} at {rollout.plan.steps[step].split.percent} %"
        record = audited(record, deed, "step", detail)
        return replace(record, rollout=replace(rollout, step=step, held_from=0.0))
    if rollout.plan.auto_promote:
        return edits.promote(record, deed)
    return edits.pause(record, deed, note=PASSED)


def _hold_s(rollout: Rollout) -> float:
    return rollout.plan.steps[rollout.step].hold_s if 0 <= rollout.step < len(rollout.plan.steps) else 0.0


def _noted(record: Record, rollout: Rollout, verdict: Verdict, now: float) -> Record:
    judged = (*rollout.judged, JudgedStep(now, rollout.step, verdict.result, verdict.reason))
    return replace(record, rollout=replace(rollout, judged=judged[-VERDICTS_KEPT:]))
