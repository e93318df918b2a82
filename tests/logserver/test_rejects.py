"""Too many bad documents stop consumption, and starting again does not let more of them through."""

from __future__ import annotations

import pytest

from logserver.errors import TooManyRejects
from logserver.ingest.rejects import RejectBrake


def brake() -> RejectBrake:
    return RejectBrake(ratio_max=0.5, window=100)


def test_bad_documents_pass_until_the_window_is_full() -> None:
    made = brake()
    made.check(99, 99)
    with pytest.raises(TooManyRejects, match=r"100 of the last 100 .* ingest\.reject_ratio=0\.5"):
        made.check(1, 1)


def test_the_ratio_itself_is_allowed() -> None:
    brake().check(200, 100)
    with pytest.raises(TooManyRejects):
        brake().check(200, 101)


def test_old_batches_leave_the_window() -> None:
    made = brake()
    made.check(50, 50)
    made.check(150, 0)
    made.check(99, 60)


def test_after_a_restart_the_first_bad_batch_stops() -> None:
    made = brake()
    made.restart(100, 90)
    with pytest.raises(TooManyRejects):
        made.check(10, 9)


def test_good_documents_pass_though_bad_ones_came_before_them() -> None:
    made = brake()
    made.restart(100, 100)
    made.check(10, 5)
    made.check(100, 0)
    made.check(10, 10)


def test_a_ratio_of_one_never_stops() -> None:
    RejectBrake(ratio_max=1, window=1).check(1000, 1000)
