"""Making it so: the one loop that acts. Look, plan, carry out the first step, look again.

    lock ─▶ record ─▶ look ─▶ plan ──a step──▶ carry it out ──┐
              ▲                 └─nothing left──▶ advance the rollout, or end the operation
              └───────────────────────────────────────────────┘

All decisions are made elsewhere and purely (`deploy.plan.steps`, `deploy.rollout`, `deploy.record.edits`); this file
waits, sends and gives up. The record is read anew each time round, so a pause, an abort or another apply that arrives
meanwhile takes effect at the next step. Killed at any point, the next `run` of anybody goes on from what it sees.

Giving up: a wait for the same thing longer than `ready_timeout` fails the operation. A rollout is then aborted, an
atomic apply reverted, and so is one that the API server refuses, since nothing of it had reached the cluster. Any
other apply stays as it is, so that `why` can tell what is wrong with it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from deploy import rollout
from deploy.cluster import Cluster
from deploy.cluster.lock import Lock, LockSettings, locked
from deploy.cluster.store import Store
from deploy.errors import Busy, PlatformError, Refused, Unavailable
from deploy.operate.building import Builder
from deploy.operate.judging import Figures, verdict_now
from deploy.plan.steps import Apply, Await, Forget, Remove, StartDrain, Step, Wait, Wanted, plan, spelled
from deploy.record import Rebuild, Record, edits
from deploy.seen import Address, Seen
from milepost.settings import setting
from milepost.units import Seconds


@dataclass(frozen=True, slots=True)
class Operations:
    """How operations run."""

    poll: Seconds = setting(Seconds(1), "Time between two looks at a model that is being waited for")
    ready_timeout: Seconds = setting(Seconds(900), "Longest wait for the same thing before an operation fails")
    route_settle: Seconds = setting(Seconds(5), "How long the ingress controller may take to follow a changed route")
    judge_every: Seconds = setting(Seconds(15), "Time between two automatic judgements of a rollout")
    outage_max: Seconds = setting(Seconds(120), "Longest time without an answer of the API server before giving up")


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of progress: what is being done, and the record it is done for."""

    at: float
    record: Record
    message: str


class Renderer(Protocol):
    """What the loop needs of the renderer: everything that a record asks for, given what is seen. May raise Refused."""

    def wanted(self, record: Record, seen: Seen, *, now: float | None) -> Wanted:
        """Return the workload, the predictors to wait for and the routes: at their stage `now`, or as in the end."""
        ...


class Converger:
    """Carries operations out. One instance may run for many models; each run holds that model's lock."""

    def __init__(
        self,
        cluster: Cluster,
        renderer: Renderer,
        figures: Figures | None,
        builder: Builder,
        *,
        settings: Operations,
        lock: LockSettings,
        progress: Callable[[Progress], None] = lambda _: None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.cluster = cluster
        self.store = Store(cluster)
        self.renderer = renderer
        self.figures = figures
        self.builder = builder
        self.settings = settings
        self.lock = lock
        self.progress = progress
        self.now = now
        self.sleep = sleep

    async def run(self, namespace: str, name: str) -> Record:
        """Work until the operation has ended or is paused, and return the record. Raises PlatformError.

        Busy: somebody else is at it. Unavailable: the API server is away for longer than `outage_max`; nothing is
        lost, a later run goes on.
        """
        holder = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
        async with locked(self.cluster, namespace, name, holder=holder, settings=self.lock) as lock:
            return await _Run(self, lock, namespace, name).to_the_end()


@dataclass(slots=True)
class _Run:
    """One run for one model. `applied` holds the digests this run itself applied: only those are trusted, so that a
    run begins by applying everything once and so undoes what others changed of ours."""

    owner: Converger
    lock: Lock
    namespace: str
    name: str
    applied: dict[Address, str] | None = None
    last_judged: float = 0.0
    waiting: tuple[str, float] = ("", 0.0)
    told: str = ""

    async def to_the_end(self) -> Record:
        answered = self.owner.now()
        while True:
            if not self.lock.held:
                raise Busy(f"the lock of {self.namespace}/{self.name} was lost: {self.lock.lost or 'not renewed'}")
            try:
                record = await self._round()
                answered = self.owner.now()
            except Unavailable as error:
                if self.owner.now() - answered > self.owner.settings.outage_max:
                    raise
                self._say(None, f"waiting for the API server: {error}")
                await self.owner.sleep(self.owner.settings.poll)
                continue
            if record is not None:
                return record

    async def _round(self) -> Record | None:
        """Do one step; return the record when there is nothing left to do."""
        record = (await self.owner.store.load(self.namespace, self.name)).record
        if record.rebuild is not None:
            await self._build(record, record.rebuild)
            return None
        if record.stable is None and not record.deleting:
            return record
        try:
            seen = await self.owner.cluster.look(self.namespace, self.name)
            now = self.owner.now()
            wanted = self.owner.renderer.wanted(record, seen, now=now)
            steps = plan(record, wanted, replace(seen, digests=self._trusted(seen)), now=now)
            if steps:
                self._say(record, spelled(steps[0]))
                await self._carry_out(record, steps[0], dict(wanted.digests))
                return None
        except Refused as error:
            return await self._give_up(record, str(error), revert=True)
        return await self._settled(record)

    async def _build(self, record: Record, wanted: Rebuild) -> None:
        build = await self.owner.builder.step(record, wanted)
        self._say(record, build.told)
        if build.state == "failed":
            raise OperationFailed(build.message)
        if build.state == "running":
            await self.owner.sleep(self.owner.settings.poll)

    async def _settled(self, record: Record) -> Record | None:
        now = self.owner.now()
        operation = record.operation
        if record.rollout is None:
            return await self._change(lambda found: edits.ended(found, now=now) if found.active else found)
        if record.rollout.phase == "paused" or operation is None or operation.state != "running":
            return record
        due = rollout.due(record, now=now, every_s=self.owner.settings.judge_every, last_judged=self.last_judged)
        verdict = None
        if due.judge:
            verdict = await verdict_now(self.owner.figures, record)
            self.last_judged = now
            self._say(record, f"judged {verdict.result}: {verdict.reason}")
        moved = rollout.advance(record, now=now, verdict=verdict)
        if moved != record:
            # The edit is done on the record as it is then; a pause that came in between wins.
            changed = await self._change(lambda found: rollout.advance(found, now=now, verdict=verdict))
            if line := rollout.told(record, changed):
                self._say(changed, line)
            return None
        await self.owner.sleep(min(max(due.at - now, 0.05), self.owner.settings.poll))
        return None

    async def _carry_out(self, record: Record, step: Step, digests: Mapping[Address, str]) -> None:
        if not isinstance(step, Await):
            self.waiting = ("", 0.0)
        match step:
            case Apply(objects):
                await self.owner.cluster.refuse_conflicts(objects)
                for item in objects:
                    await self.owner.cluster.apply([item])
                    self._applied()[item.address] = digests[item.address]
            case Remove(addresses):
                await self.owner.cluster.remove(addresses)
            case StartDrain(seconds):
                until = self.owner.now() + seconds
                await self._change(lambda found: edits.draining(found, until=until))
            case Forget():
                await self._change(lambda found: edits.forgotten(found) if found.leaving == record.leaving else found)
            case Wait(until):
                await self.owner.sleep(min(max(until - self.owner.now(), 0.0), self.owner.settings.poll))
            case Await(what):
                await self._wait_for(record, what)

    async def _wait_for(self, record: Record, what: str) -> None:
        """Sleep, or give up when the same operation has waited too long without any other step."""
        now = self.owner.now()
        operation, progress = record.operation, record.rollout
        key = f"{operation and operation.id} {record.stable} {progress and progress.step} {record.leaving}"
        if self.waiting[0] != key:
            self.waiting = (key, now)
        if now - self.waiting[1] > self.owner.settings.ready_timeout:
            limit = f"waited {self.owner.settings.ready_timeout:g} s (operations.ready_timeout) for {what}"
            self.waiting = ("", 0.0)
            await self._fail(record, limit)
        await self.owner.sleep(self.owner.settings.poll)

    async def _fail(self, record: Record, why: str) -> None:
        now = self.owner.now()
        undo = record.rollout is not None or (record.operation is not None and record.operation.atomic)
        self._say(record, why)
        if undo:
            await self._change(lambda found: edits.reverted(found, now=now, why=why))
            return
        await self._change(lambda found: edits.ended(found, now=now, failed=why))
        raise OperationFailed(why)

    async def _give_up(self, record: Record, why: str, *, revert: bool) -> Record | None:
        now = self.owner.now()
        self._say(record, why)
        failed = record.operation is not None and record.operation.verb == "revert"
        if revert and not failed and record.active:
            changed = await self._change(lambda found: edits.reverted(found, now=now, why=why))
            if changed.active:
                return None
        else:
            await self._change(lambda found: edits.ended(found, now=now, failed=why))
        raise OperationFailed(why)

    async def _change(self, edit: Callable[[Record], Record]) -> Record:
        return (await self.owner.store.change(self.namespace, self.name, edit)).record

    def _applied(self) -> dict[Address, str]:
        if self.applied is None:
            self.applied = {}
        return self.applied

    def _trusted(self, seen: Seen) -> dict[Address, str]:
        mine = self._applied()
        return {address: mine[address] for address in seen.objects if address in mine}

    def _say(self, record: Record | None, message: str) -> None:
        if message == self.told:
            return
        self.told = message
        empty = Record(self.namespace, self.name)
        self.owner.progress(Progress(self.owner.now(), record or empty, message))


class OperationFailed(PlatformError):  # noqa: N818 - what happened; the root says that it is an error
    """The operation ended without reaching its goal; the message says what was waited for or refused."""
