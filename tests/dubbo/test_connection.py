"""What bounds a connection, decided without one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.dubbo.connection import Admission, Tick, tick


@pytest.mark.parametrize(
    ("read_at", "wrote_at", "due"),
    [
        (100, 0, Tick.NOTHING),
        (41, 0, Tick.NOTHING),
        (0, 41, Tick.NOTHING),
        (40, 40, Tick.HEARTBEAT),
        (-79, 40, Tick.HEARTBEAT),
        (-79, 100, Tick.NOTHING),
        (-80, 100, Tick.CLOSE),
    ],
)
def test_silence_asks_for_a_sign_of_life_and_then_ends(read_at: float, wrote_at: float, due: Tick) -> None:
    assert tick(100, read_at, wrote_at, 60) is due


@given(st.lists(st.integers(0, 120), max_size=60))
def test_no_more_is_ever_under_way_than_is_allowed(sizes: list[int]) -> None:
    admission = Admission(requests_max=10, bytes_max=300)
    inside: list[int] = []
    for number, size in enumerate(sizes):
        if number % 3 == 2 and inside:
            admission.leave(inside.pop())
        reason = admission.enter(size)
        if reason:
            assert len(inside) == 10 or sum(inside) + size > 300
        else:
            inside.append(size)
        assert (admission.requests, admission.bytes) == (len(inside), sum(inside))
        assert len(inside) <= 10
        assert sum(inside) <= 300
