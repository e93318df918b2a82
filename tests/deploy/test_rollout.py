from __future__ import annotations

from typing import Any

import pytest

from deploy import rollout
from deploy.errors import Refused
from deploy.record import Record, Thresholds, edits
from deploy.record.journal import Deed
from deploy.rollout.judge import Sample, Verdict, judge
from deploy.spec import ModelSpec

LIMITS = Thresholds(error_ratio_max=0.05, error_ratio_worse=0.01, p99_max_s=1.0, p99_worse=1.5, requests_min=50)
DEED = Deed("ada", 0.0)
GOOD = Sample(1000, 1, 0.1)


@pytest.mark.parametrize(
    ("candidate", "result", "said"),
    [
        (None, "unknown", "no figures"),
        (Sample(49, 0, 0.1), "unknown", "requests_min 50"),
        (Sample(1000, 2, 0.1), "pass", "error ratio 0.0020"),
        (Sample(1000, 60, 0.1), "fail", "error_ratio_max 0.05"),
        (Sample(1000, 20, 0.1), "fail", "error_ratio_worse 0.01"),
        (Sample(1000, 0, 1.1), "fail", "p99_max_s 1000 ms"),
        (Sample(1000, 0, 0.2), "fail", "p99_worse 1.5 times the stable 100 ms"),
        (Sample(1000, 0, None), "pass", "p99 unknown"),
    ],
)
def test_a_candidate_is_judged_by_each_limit(candidate: Sample | None, result: str, said: str) -> None:
    verdict = judge(LIMITS, stable=GOOD, candidate=candidate)
    assert verdict.result == result
    assert said in verdict.reason


def test_without_a_stable_sample_only_the_absolute_limits_hold_and_that_is_said() -> None:
    verdict = judge(LIMITS, stable=None, candidate=Sample(1000, 20, 0.2))
    assert verdict.result == "pass"
    assert "too few requests to compare" in verdict.reason


def begun(**options: Any) -> Record:
    first, second = (ModelSpec(name="m", namespace="n", image=f"r/m:{tag}") for tag in "12")
    record = edits.ended(edits.apply(Record("n", "m"), first, DEED), now=1)
    record = edits.start_rollout(record, second, rollout.canary((10, 100), 60, **options), DEED)
    record = rollout.advance(record, now=100)
    return rollout.advance(record, now=100)


def at(record: Record) -> int:
    assert record.rollout is not None
    return record.rollout.step


def test_a_step_is_held_for_its_time_however_good_it_is() -> None:
    record, good = begun(), Verdict("pass", "fine")
    assert at(rollout.advance(record, now=159, verdict=good)) == 0
    assert at(rollout.advance(record, now=160, verdict=good)) == 1


def test_a_bad_verdict_aborts_during_the_hold() -> None:
    record = rollout.advance(begun(), now=101, verdict=Verdict("fail", "slow"))
    assert record.rollout is None
    assert [track.predictor for track in record.leaving] == ["r2"]


@pytest.mark.parametrize(("unknown", "phase"), [("pause", "paused"), ("abort", None), ("go-on", "progressing")])
def test_what_cannot_be_judged_ends_as_the_plan_says(unknown: str, phase: str | None) -> None:
    record, verdict = begun(unknown=unknown, unknown_s_max=30.0), Verdict("unknown", "no requests")
    assert at(rollout.advance(record, now=189, verdict=verdict)) == 0
    after = rollout.advance(record, now=190, verdict=verdict)
    assert (after.rollout.phase if after.rollout else None) == phase


def test_a_paused_rollout_moves_only_when_somebody_resumes_it() -> None:
    record = edits.pause(begun(), DEED)
    assert rollout.advance(record, now=9999, verdict=Verdict("pass", "")) == record
    assert edits.resume(record, DEED).rollout.held_from == 0.0  # type: ignore[union-attr]


def test_percentages_that_do_not_rise_are_refused() -> None:
    with pytest.raises(Refused, match="rise"):
        rollout.canary((50, 10), 60)


@pytest.mark.parametrize(("judged", "author"), [(True, rollout.JUDGE), (False, rollout.CLOCK)])
def test_a_step_says_whether_it_was_judged(judged: bool, author: str) -> None:
    moved = rollout.advance(begun(judged=judged), now=161, verdict=Verdict("pass", "fine") if judged else None)
    assert [(entry.verb, entry.author) for entry in moved.audit[-1:]] == [("step", author)]


def test_each_advance_is_told_in_one_line() -> None:
    record = begun(judged=False)
    lines = []
    for now in (161, 162, 222):
        moved = rollout.advance(record, now=now)
        lines.append(rollout.told(record, moved))
        record = moved
    assert lines == ["step: 2 of 2 at 100 %", "step 2 of 2: held for 60 s", "promote: revision 2 as predictor r2"]
    failed = rollout.advance(begun(), now=101, verdict=Verdict("fail", "12 % of its requests fail"))
    assert rollout.told(begun(), failed) == "abort: 12 % of its requests fail"
    assert rollout.told(record, record) == ""
