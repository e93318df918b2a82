"""A cancel finds the query that is running, or about to, and never the one after it."""

from __future__ import annotations

import threading

import pytest

from logserver.errors import QueryCancelled
from logserver.store import Cancel


def test_a_query_that_the_store_does_not_know_yet_is_looked_for_until_it_does() -> None:
    cancel, looks = Cancel(), iter([False, False, True])
    with pytest.raises(QueryCancelled), cancel.over(lambda: next(looks)):
        cancel.cancel()
    assert next(looks, None) is None


def test_a_query_that_ends_meanwhile_is_looked_for_no_longer() -> None:
    cancel, looked = Cancel(), threading.Event()

    def kill() -> bool:
        looked.set()
        return False

    def cancelled_meanwhile() -> bool:
        canceller.start()
        return looked.wait(10)

    canceller = threading.Thread(target=cancel.cancel)
    with pytest.raises(QueryCancelled), cancel.over(kill):
        assert cancelled_meanwhile()
    canceller.join(10)
    assert not canceller.is_alive()


def test_nothing_is_killed_when_the_query_has_ended() -> None:
    cancel, kills = Cancel(), 0

    def kill() -> bool:
        nonlocal kills
        kills += 1
        return True

    with cancel.over(kill):
        pass
    cancel.cancel()
    assert kills == 0


def test_leaving_waits_for_a_kill_under_way() -> None:
    cancel, begun, let_go = Cancel(), threading.Event(), threading.Event()
    order: list[str] = []

    def kill() -> bool:
        begun.set()
        assert let_go.wait(10)
        order.append("killed")
        return True

    def run() -> None:
        with pytest.raises(QueryCancelled), cancel.over(kill):
            assert begun.wait(10)
        order.append("left")

    query, canceller = threading.Thread(target=run), threading.Thread(target=cancel.cancel)
    query.start()
    canceller.start()
    assert begun.wait(10)
    let_go.set()
    query.join(10)
    canceller.join(10)
    assert order == ["killed", "left"]
