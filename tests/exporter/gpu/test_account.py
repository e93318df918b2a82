"""Card-seconds: a counter that is right however seldom the card is read, and a share that is right however often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.gpu.account import KEEP_S, OWNERS_MAX, CardSeconds

S = 1_000_000


def test_seconds_are_share_times_time_and_stay_when_the_process_is_gone() -> None:
    account = CardSeconds()
    account.add("g", {"a": 0.5, "b": 0.25}, 0, 10 * S, now=["a", "b"])
    account.add("g", {"b": 1.0}, 10 * S, 14 * S, now=["b"])
    assert (account.seconds("g", "a"), account.seconds("g", "b")) == (5.0, 6.5)
    account.add("g", {"a": 1.0}, 14 * S, 15 * S, now=["a"])  # another process of the same container
    assert account.seconds("g", "a") == 6.0


def test_the_ratio_covers_the_last_window_whoever_asks_in_between() -> None:
    account = CardSeconds()
    for second in range(30):
        busy = 1.0 if second >= 25 else 0.0
        account.add("g", {"a": busy} if busy else {}, second * S, (second + 1) * S, now=["a"])
        account.add("g", {}, (second + 1) * S, (second + 1) * S, now=["a"])  # a second scraper, at once
    assert account.ratio("g", "a") == 0.5  # 5 of the last 10 seconds


def test_after_a_long_gap_the_ratio_covers_the_gap() -> None:
    account = CardSeconds()
    account.add("g", {}, 0, S, now=["a"])
    account.add("g", {"a": 0.25}, S, 61 * S, now=["a"])
    assert 0.24 < account.ratio("g", "a") <= 0.25


def test_a_card_never_read_has_nothing() -> None:
    account = CardSeconds()
    assert (account.seconds("g", "a"), account.ratio("g", "a"), account.owners("g")) == (0.0, 0.0, [])


def test_a_container_not_seen_for_long_is_forgotten() -> None:
    account = CardSeconds()
    account.add("g", {"a": 1.0}, 0, S, now=["a"])
    later = int((KEEP_S + 2) * S)
    account.add("g", {"b": 1.0}, S, later, now=["b"])
    assert account.owners("g") == ["b"]


def test_the_number_of_containers_is_bounded() -> None:
    account = CardSeconds()
    for number in range(OWNERS_MAX + 50):
        account.add("g", {str(number): 1.0}, number, number + 1, now=())
    assert len(account.owners("g")) == OWNERS_MAX
    assert account.owners("g")[0] == "50"


stretches = st.lists(st.tuples(st.integers(0, 5 * S), st.floats(0, 1), st.floats(0, 1)), max_size=30)


@given(stretches)
def test_counters_never_go_back_and_ratios_stay_between_0_and_1(steps: list[tuple[int, float, float]]) -> None:
    account, at, before = CardSeconds(), 0, 0.0
    for length, a, b in steps:
        account.add("g", {"a": a, "b": b}, at, at + length, now=["a", "b"])
        at += length
        assert account.seconds("g", "a") >= before
        before = account.seconds("g", "a")
        assert 0.0 <= account.ratio("g", "a") <= 1.0
    assert abs(before - sum(length * a for length, a, _ in steps) / S) < 1e-6
