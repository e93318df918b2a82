"""What a process that died left undone goes on by itself: one leader among the platform's replicas looks after it.

    leader by Lease ─▶ list the worklist ─▶ not ours, and left alone for a round ─▶ carried out as its caller
                            ▲                        │ busy or unavailable: later, ever later (backoff)
                            └──── every `every_s` ───┘ ended: taken out of the worklist

A job is *left alone* when it was there a round ago already: one that its own process has just noted down is begun by
that. A process that lives holds the model's lock, so a job of it is Busy here, and is asked for again later; it is
never done twice at a time. At most `at_once` jobs go on at a time, the rest wait for a place.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.cluster import Cluster
from deploy.cluster.lock import Lock, LockSettings, locked
from deploy.cluster.worklist import Entry, Worklist
from deploy.errors import Busy, PlatformError

LEADER = "resume"

log = logging.getLogger(__name__)

GoOn = Callable[[Entry], asyncio.Task[bool] | None]
"""Begins an entry, and returns its task, or None when this process is at it already. The task says whether it ended."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast: seconds between two rounds, jobs at a time, and the longest wait before a job is tried again."""

    every_s: float
    at_once: int
    backoff_max_s: float


@dataclass(slots=True)
class _Known:
    """An entry that was seen before, and when it may be tried."""

    not_before: float
    tries: int = 0
    task: asyncio.Task[bool] | None = field(default=None)


class Schedule:
    """Which entries are begun in a round. Knows no cluster and no clock but the one it is given."""

    def __init__(self, go_on: GoOn, pace: Pace, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._go_on = go_on
        self._pace = pace
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}

    def take(self, entries: list[Entry]) -> None:
        """Begin what is due among these entries, as far as there is room; what is not among them is forgotten."""
        now = self._monotonic()
        self._known = {entry.id: self._known.get(entry.id) or _Known(now + self._pace.every_s) for entry in entries}
        for entry in entries:
            known = self._known[entry.id]
            if known.task is not None and known.task.done():
                self._ended(entry, known, now)
            if known.task is None and now >= known.not_before and self._room():
                known.task = self._go_on(entry)
                if known.task is not None:
                    log.info("%s of %s/%s goes on for %s", entry.verb, entry.namespace, entry.name, entry.caller.name)

    def _ended(self, entry: Entry, known: _Known, now: float) -> None:
        ended = known.task is not None and not known.task.cancelled() and known.task.result()
        known.task = None
        if ended:
            return
        known.tries += 1
        wait_s = min(self._pace.every_s * 2**known.tries, self._pace.backoff_max_s)
        known.not_before = now + wait_s
        log.info("%s of %s/%s is tried again in %.0f s", entry.verb, entry.namespace, entry.name, wait_s)

    def _room(self) -> bool:
        running = sum(1 for known in self._known.values() if known.task is not None and not known.task.done())
        return running < self._pace.at_once


class Resumer:
    """Caller: a root task runs `run`. Affects: the models of the entries, through `go_on`."""

    def __init__(self, cluster: Cluster, worklist: Worklist, go_on: GoOn, *, pace: Pace, lock: LockSettings) -> None:
        self._cluster = cluster
        self._worklist = worklist
        self._schedule = Schedule(go_on, pace)
        self._pace = pace
        self._lock = lock

    async def run(self) -> None:
        """Lead whenever nobody else does, for ever."""
        holder = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
        while True:
            try:
                async with locked(
                    self._cluster, self._worklist.namespace, LEADER, holder=holder, settings=self._lock, of="platform"
                ) as lock:
                    log.info("this process looks after interrupted operations")
                    await self._lead(lock)
            except Busy:
                continue
            except PlatformError as error:
                log.warning("interrupted operations cannot be looked after: %s", error)
                await asyncio.sleep(self._pace.every_s)

    async def _lead(self, lock: Lock) -> None:
        while lock.held:
            try:
                self._schedule.take(await self._worklist.entries())
            except PlatformError as error:
                log.warning("the worklist cannot be read: %s", error)
            await asyncio.sleep(self._pace.every_s)
