from __future__ import annotations

import pytest

from deploy.errors import Refused
from deploy.status.row import Row
from deploy.status.selection import matchers, page, selection

LABELS = {"team": "search", "tier": "gold", "seldon.io/x": ""}
MATCHING = [
    "", "team=search", "team==search", "team!=ads", "team", "!owner", "owner!=ads", "team in (ads, search)",
    "owner notin (ads)", "team=search,tier in (gold,silver),!owner", "seldon.io/x=", "seldon.io/x",
]  # fmt: skip
OTHER = ["team=ads", "owner", "!team", "team!=search", "team in (ads)", "team notin (search,x)", "team=search,owner"]


def row(name: str, state: str = "ready", namespace: str = "models", team: str = "search") -> Row:
    return Row(namespace, name, state, "Available", 1, 1, ("default",), {"team": team})


@pytest.mark.parametrize("selector", MATCHING)
def test_a_selector_matches_as_kubernetes_would(selector: str) -> None:
    assert all(match(LABELS) for match in matchers(selector))


@pytest.mark.parametrize("selector", OTHER)
def test_a_selector_refuses_as_kubernetes_would(selector: str) -> None:
    assert not all(match(LABELS) for match in matchers(selector))


@pytest.mark.parametrize("selector", ["=x", "a=b=c", "a in b", "a,,b", "a in (b", "-a", "x" * 5000])
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(Refused):
        matchers(selector)


def test_rows_are_selected_by_namespace_name_state_and_label() -> None:
    wanted = selection(namespace="models", states=("ready", "failed"), selector="team=search")
    assert wanted.has(row("a"))
    assert not wanted.has(row("a", "paused"))
    assert not wanted.has(row("a", namespace="other"))
    assert not wanted.has(row("a", team="ads"))
    with pytest.raises(Refused, match="a state is one of"):
        selection(states=("great",))


def test_pages_tell_every_row_once_also_when_rows_come_and_go_in_between() -> None:
    rows = [row(f"m{number}") for number in range(7)]
    first = page(rows, selection(), limit=3)
    assert ([item.name for item in first.rows], first.remaining) == (["m0", "m1", "m2"], 4)
    changed = [row("a-new-one"), *rows[:2], *rows[3:], row("z-new-one")]
    second = page(changed, selection(), limit=3, after=first.next)
    third = page(changed, selection(), limit=3, after=second.next)
    assert [item.name for item in (*second.rows, *third.rows)] == ["m3", "m4", "m5", "m6", "z-new-one"]
    assert third.next == ""
    with pytest.raises(Refused, match="no token"):
        page(rows, selection(), limit=3, after="nonsense")
