"""The loop of a watch against a scripted source: what a consumer is told over lists, breaks and expiries."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from milepost.kube_error import KubeError
from milepost.watch import Kind, Params, WatchBounds, WatchEvent, watch

OVER = "the script is over"
BOUNDS = WatchBounds(server_timeout_s=300, backoff_max_s=30, event_max_bytes=2000)


def pod(name: str, uid: str, version: int = 1) -> dict[str, Any]:
    return {"metadata": {"namespace": "n", "name": name, "uid": uid, "resourceVersion": str(version)}}


def page(version: int, *items: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"metadata": {"resourceVersion": str(version)}, "items": items})


def change(kind: str, item: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": kind, "object": item}) + b"\n"


class Scripted:
    """Plays lists and streams in order; a KubeError in a script is raised, and after the last stream it ends."""

    def __init__(self, lists: list[list[bytes | KubeError]], streams: list[list[bytes | KubeError]]) -> None:
        self.lists, self.streams = lists, streams
        self.asked: list[Params] = []

    async def list_pages(self, path: str, params: Params | None = None) -> AsyncGenerator[bytes, None]:
        for step in self.lists.pop(0):
            if isinstance(step, KubeError):
                raise step
            yield step

    async def stream(self, path: str, params: Params | None = None) -> AsyncGenerator[bytes, None]:
        self.asked.append(params or {})
        if not self.streams:
            raise KubeError(404, "NotFound", OVER)
        for step in self.streams.pop(0):
            if isinstance(step, KubeError):
                raise step
            yield step


async def play(
    source: Scripted, ending: str = OVER, seconds_per_look: float = 0
) -> tuple[list[WatchEvent], list[float]]:
    """Return the events until the error `ending` (the script's end), and the waits."""
    events: list[WatchEvent] = []
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    ticks = itertools.count(0, seconds_per_look)
    followed = watch(source, "/pods", {}, BOUNDS, sleep=sleep, uniform=lambda _, high: high, clock=lambda: next(ticks))
    with pytest.raises(KubeError, match=ending):
        await drain(followed, events)
    return events, waits


async def drain(followed: AsyncGenerator[WatchEvent, None], events: list[WatchEvent]) -> None:
    async with aclosing(followed):
        async for event in followed:
            events.append(event)  # noqa: PERF401 - what came before an error must be kept


def told(events: list[WatchEvent]) -> list[str]:
    """Write each event as `KIND name/uid`."""
    lines = []
    for event in events:
        meta = msgspec.json.decode(event.object)["metadata"] if event.object else {}
        lines.append(f"{event.kind} {meta['name']}/{meta['uid']}" if "name" in meta else str(event.kind))
    return lines


async def test_a_list_of_two_pages_is_told_whole_before_it_is_called_listed() -> None:
    source = Scripted([[page(7, pod("a", "1")), page(7, pod("b", "2"))]], [])
    events, _ = await play(source)
    assert told(events) == ["ADDED a/1", "ADDED b/2", "LISTED"]
    assert source.asked[0]["resourceVersion"] == "7"
    assert source.asked[0]["allowWatchBookmarks"] is True


async def test_changes_arrive_in_order_however_the_bytes_are_cut() -> None:
    text = (
        change("ADDED", pod("a", "1", 8)) + change("MODIFIED", pod("a", "1", 9)) + change("DELETED", pod("a", "1", 10))
    )
    for size in (1, 7, len(text)):
        pieces: list[bytes | KubeError] = [text[at : at + size] for at in range(0, len(text), size)]
        events, _ = await play(Scripted([[page(7)]], [pieces]))
        assert told(events) == ["LISTED", "ADDED a/1", "MODIFIED a/1", "DELETED a/1"]


async def test_a_broken_watch_goes_on_from_the_last_version_and_says_so() -> None:
    broken = KubeError(0, "Unreachable", "cut")
    source = Scripted([[page(7)]], [[change("ADDED", pod("a", "1", 8)), broken], [change("BOOKMARK", pod("", "", 12))]])
    events, waits = await play(source)
    assert told(events) == ["LISTED", "ADDED a/1", "INTERRUPTED", "BOOKMARK /"]
    assert events[2].error is broken
    assert [asked["resourceVersion"] for asked in source.asked] == ["7", "8", "12"]
    assert len(waits) == 1


async def test_a_watch_may_end_after_an_event_or_a_quiet_while_but_not_at_once() -> None:
    event = change("ADDED", pod("a", "1", 8))
    events, waits = await play(Scripted([[page(7)]], [[event], []]))
    assert told(events) == ["LISTED", "ADDED a/1", "INTERRUPTED"]
    assert len(waits) == 1
    quiet, waits = await play(Scripted([[page(7)]], [[], [], []]), seconds_per_look=5)
    assert told(quiet) == ["LISTED"]
    assert waits == []


@pytest.mark.parametrize("in_stream", [True, False])
async def test_an_expired_version_lists_again_and_tells_what_vanished(in_stream: bool) -> None:
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    expiry: bytes | KubeError = change("ERROR", status) if in_stream else KubeError(410, "Expired", "too old")
    before, after = page(7, pod("a", "1"), pod("b", "2"), pod("c", "3")), page(20, pod("b", "2"), pod("c", "4"))
    source = Scripted([[before], [after]], [[expiry]])
    events, _ = await play(source)
    assert told(events)[4:] == ["INTERRUPTED", "ADDED b/2", "DELETED c/3", "ADDED c/4", "DELETED a/1", "LISTED"]
    assert source.asked[-1]["resourceVersion"] == "20"


async def test_a_list_that_expires_between_two_pages_starts_over() -> None:
    gone = KubeError(410, "Expired", "the continue token is too old")
    source = Scripted([[page(7, pod("a", "1")), gone], [page(9, pod("b", "2"))]], [])
    events, _ = await play(source)
    assert told(events) == ["ADDED a/1", "INTERRUPTED", "ADDED b/2", "DELETED a/1", "LISTED"]


async def test_waits_double_up_to_their_bound_while_nothing_comes() -> None:
    down: list[bytes | KubeError] = [KubeError(0, "Unreachable", "refused")]
    _, waits = await play(Scripted([[page(7)]], [down for _ in range(8)]))
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


async def test_an_object_above_the_bound_is_an_error_that_names_the_setting() -> None:
    source = Scripted([[page(7)]], [[b"x" * 3000]])
    events, _ = await play(source, ending=r"kube\.body_max")
    assert told(events) == ["LISTED"]


async def test_a_refused_list_is_raised_and_not_tried_for_ever() -> None:
    source = Scripted([[KubeError(403, "Forbidden", "pods is forbidden")]], [])
    events, _ = await play(source, ending="pods is forbidden")
    assert events == []


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_after_the_first_list_is_an_interruption(status: int) -> None:
    refused = KubeError(status, "Forbidden", "the rules are not read yet")
    source = Scripted([[page(7)]], [[refused], [change("ADDED", pod("a", "1", 8))]])
    events, _ = await play(source)
    assert told(events) == ["LISTED", "INTERRUPTED", "ADDED a/1"]
    assert events[1].error is refused


async def test_an_answer_that_is_no_kubernetes_object_counts_as_a_bad_gateway() -> None:
    events, _ = await play(Scripted([[page(7)]], [[b"<html>502</html>\n"]]))
    assert events[1].kind is Kind.INTERRUPTED
    assert events[1].error is not None
    assert events[1].error.reason == "NotKubernetes"
