"""What happened to a model, in one list by time: verbs, steps of a rollout and judgements from its record, restarts of
its containers and starts of its pods from the pods, and warnings from the cluster's events.

Pure. Each source keeps only so much (the record its last 100 entries, the cluster its events for an hour, a pod its
last end of each container), so the timeline is as long as its sources, not complete for ever: the log `milepost.audit`
has every verb, the log-server every line of a container that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

import msgspec

from deploy.record import Record
from deploy.seen import VERSION_LABEL
from deploy.seen.podkinds import Container, Event, Pod

Kind = Literal["operation", "step", "judgement", "pod", "restart", "warning"]
Severity = Literal["info", "warning", "error"]

_STEP_VERB = "step"
_JUDGED: dict[str, Severity] = {"pass": "info", "unknown": "warning", "fail": "error"}


class Happening(msgspec.Struct, frozen=True):
    """One thing that happened at `at` (Unix seconds). `what` is a word or two, `detail` a sentence.

    `revision` is set where a verb made one; `pod`, `container` and `predictor` where it is about one.
    """

    at: float
    kind: Kind
    what: str
    detail: str
    severity: Severity = "info"
    author: str = ""
    revision: int = 0
    predictor: str = ""
    pod: str = ""
    container: str = ""


class Timeline(msgspec.Struct, frozen=True):
    """The happenings from `since`, oldest first; `left_out` says how many older ones were too many."""

    since: float
    events: tuple[Happening, ...]
    left_out: int = 0


def timeline(
    record: Record, pods: Iterable[Pod], events: Iterable[Event], *, since: float = 0.0, most: int = 1000
) -> Timeline:
    """Return what happened at or after `since` (Unix seconds), the latest `most` of it."""
    everything = [*_remembered(record), *_of_pods(pods), *_of_events(events)]
    found = sorted((item for item in everything if item.at >= since), key=lambda item: item.at)
    left_out = max(0, len(found) - most)
    return Timeline(since, tuple(found[left_out:]), left_out)


def unix(text: str | None) -> float:
    """Return an RFC 3339 time in Unix seconds; 0 for none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _remembered(record: Record) -> Iterator[Happening]:
    revisions = {(item.at, item.author): item.number for item in record.revisions}
    for entry in record.audit:
        failed = entry.detail.startswith("failed")
        yield Happening(
            entry.at,
            "step" if entry.verb == _STEP_VERB else "operation",
            entry.verb,
            entry.detail,
            "error" if failed else "warning" if entry.verb in ("abort", "revert") else "info",
            entry.author,
            revision=revisions.get((entry.at, entry.author), 0),
        )
    for judged in record.rollout.judged if record.rollout else ():
        detail = f"step {judged.step + 1}: {judged.reason}"
        yield Happening(judged.at, "judgement", judged.verdict, detail, _JUDGED.get(judged.verdict, "info"))


def _of_pods(pods: Iterable[Pod]) -> Iterator[Happening]:
    for pod in pods:
        name, predictor = pod.metadata.name, pod.metadata.labels.get(VERSION_LABEL, "")
        if started := unix(pod.status.start_time):
            yield Happening(started, "pod", "started", f"pod {name} started", predictor=predictor, pod=name)
        for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
            yield from _ends(container, name, predictor)


def _ends(container: Container, pod: str, predictor: str) -> Iterator[Happening]:
    for ended in (container.last_state.terminated, container.state.terminated):
        if ended is None or not ended.finished_at:
            continue
        # An initializer that came to its end in order is no restart.
        if ended.exit_code == 0 and container.restart_count == 0:
            continue
        detail = f"exit code {ended.exit_code} {ended.reason} {ended.message}".strip()
        yield Happening(
            unix(ended.finished_at),
            "restart",
            f"restart {container.restart_count}",
            detail,
            "error" if ended.exit_code else "warning",
            predictor=predictor,
            pod=pod,
            container=container.name,
        )


def _of_events(events: Iterable[Event]) -> Iterator[Happening]:
    for event in events:
        at = unix(event.last_timestamp or event.event_time)
        if event.type == "Normal" or not at:
            continue
        times = f" ({event.count} times)" if (event.count or 1) > 1 else ""
        about = event.involved_object
        detail = f"{about.kind} {about.name}: {event.message}{times}"
        pod = about.name if about.kind == "Pod" else ""
        yield Happening(at, "warning", event.reason, detail, "warning", pod=pod)
