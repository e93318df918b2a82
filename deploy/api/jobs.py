"""Changes as jobs: carried out in this process, followed as server-sent events."""

# FastAPI reads the annotations of a route, and `who` is known only inside the function: they must not become text.
import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Response
from fastapi.responses import StreamingResponse

from deploy.api.answers import answer, sent
from deploy.api.openapi import answers, streamed
from deploy.api.shapes import JobShown
from deploy.api.streams import Streams
from deploy.cluster.worklist import Entry, Worklist
from deploy.errors import Absent, Busy, PlatformError, Unavailable
from deploy.metrics import Metrics
from deploy.operate import Platform
from milepost.auth import Caller

LINES_KEPT = 200

State = Literal["running", "paused", "done", "failed"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Job:
    """One change being carried out. `changed` is set and replaced at every line; `epoch` names this run of it."""

    id: str
    namespace: str
    name: str
    verb: str
    state: State = "running"
    error: str = ""
    owner: str = ""
    lines: list[str] = field(default_factory=list)
    dropped: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    epoch: str = field(default_factory=lambda: secrets.token_hex(4))

    def mark(self, told: int) -> str:
        """Return the id of the event of the `told`-th line."""
        return f"{self.epoch}-{told}"

    def told(self, mark: str) -> int:
        """Return how many lines a follower with this mark has had; 0 for a mark of another run of the job."""
        epoch, _, number = mark.rpartition("-")
        known = epoch == self.epoch and number.isdecimal()
        return min(int(number), self.dropped + len(self.lines)) if known else 0

    def tell(self, line: str) -> None:
        """Add a line, the oldest beyond `LINES_KEPT` out."""
        self.lines.append(line)
        if len(self.lines) > LINES_KEPT:
            del self.lines[0]
            self.dropped += 1
        self.changed.set()
        self.changed = asyncio.Event()

    def shown(self) -> JobShown:
        """Return what callers see."""
        model = f"{self.namespace}/{self.name}"
        return JobShown(self.id, model, self.verb, self.state, self.error, self.lines, self.dropped)


class Jobs:
    """The jobs of this process, at most `most`, finished ones out first; those not ended are in the `worklist` too."""

    def __init__(self, most: int = 500, worklist: Worklist | None = None, metrics: Metrics | None = None) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: set[asyncio.Task[bool]] = set()
        self._most = most
        self._worklist = worklist
        self._metrics = metrics or Metrics()
        self._metrics.gauge("jobs_running").set_function(lambda: len(self._tasks))

    async def promise(self, job: Job, caller: Caller) -> None:
        """Note a job down before anything of it is done, so that it goes on when this process dies."""
        if self._worklist is not None:
            await self._worklist.add(Entry(job.id, job.namespace, job.name, job.verb, caller))

    async def withdraw(self, job: Job) -> None:
        """Take a job out of the worklist. One that cannot be taken out ends at the next look: nothing is left to do."""
        if self._worklist is not None:
            try:
                await self._worklist.remove(job.id)
            except PlatformError as error:
                log.warning("job %s is done but stays in the worklist: %s", job.id, error)

    def make_room(self, job_id: str) -> None:
        """Drop a finished job for this one where there are too many. Raises Busy when all of them run."""
        if len(self._jobs) < self._most or job_id in self._jobs:
            return
        done = next((item.id for item in self._jobs.values() if item.state != "running"), "")
        if not done:
            raise Busy(f"{self._most} jobs are running (platform.jobs_max); wait until one has ended")
        del self._jobs[done]

    def running(self, job_id: str) -> bool:
        """Whether this process is at this job."""
        job = self._jobs.get(job_id)
        return job is not None and job.state == "running"

    def start(self, job: Job, platform: Platform) -> asyncio.Task[bool]:
        """Carry out what the model's record says; the task's result is whether the job has ended."""
        self.make_room(job.id)
        self._jobs[job.id] = job
        task = asyncio.create_task(self._run(job, platform))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def get(self, job_id: str, caller: Caller) -> Job:
        """Return a caller's own job. Raises Absent."""
        job = self._jobs.get(job_id)
        if job is None or job.owner != caller.name:
            raise Absent(f"there is no job {job_id} of {caller.name} in this process")
        return job

    async def stop(self) -> None:
        """Cancel what runs: each ends at a step's border, and the next process goes on with it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, job: Job, platform: Platform) -> bool:
        state, error, again = await self._outcome(job, platform)
        self._metrics.counter("jobs_total", job.verb, "again" if again else state).inc()
        if not again:
            await self.withdraw(job)
        job.state, job.error = state, error
        job.tell(f"{state} {error}".strip())
        return not again

    async def _outcome(self, job: Job, platform: Platform) -> tuple[State, str, bool]:
        """Carry a job out; return its state, its error, and whether it is tried again later."""
        try:
            record = await platform.converge(job.namespace, job.name)
        except PlatformError as error:
            again = self._worklist is not None and isinstance(error, Busy | Unavailable)
            return "failed", f"{error}; it is tried again later" if again else str(error), again
        except Exception:
            # Ended like any other: a job that fails on a bug may neither run for ever nor take the process down.
            log.exception("job %s (%s of %s/%s) met something unexpected", job.id, job.verb, job.namespace, job.name)
            return "failed", f"something unexpected happened; the platform's log tells it under job {job.id}", False
        return record.operation.state if record.operation else "done", "", False


def add_jobs(app: FastAPI, who: Any, jobs: Jobs, streams: Streams) -> None:
    """Add the routes of jobs."""

    @app.get("/api/v1/jobs/{job_id}", responses=answers(JobShown))
    async def job(caller: who, job_id: str) -> Response:
        """Return one of the caller's own jobs."""
        return answer(jobs.get(job_id, caller).shown())

    @app.get(
        "/api/v1/jobs/{job_id}/events",
        response_class=StreamingResponse,
        responses=streamed("The job's progress, and at last its end."),
    )
    async def events(
        caller: who, job_id: str, *, after: str = "", last_event_id: Annotated[str, Header()] = ""
    ) -> Response:
        """Follow a job: `progress` events with one line each, then one `end` event with the whole job.

        Coming back with the id of the last event seen gives what came after it; `missed` counts lines not kept so long.
        """
        found = jobs.get(job_id, caller)
        return streams.answer(job_events(found, streams, found.told(last_event_id or after)))


async def job_events(job: Job, streams: Streams, told: int) -> AsyncIterator[str]:
    """Yield the events of a job for a follower who has had its first `told` lines."""
    while True:
        changed = job.changed
        if told < job.dropped:
            yield sent("missed", {"lines": job.dropped - told})
            told = job.dropped
        for line in job.lines[told - job.dropped :]:
            told += 1
            yield sent("progress", line, id_=job.mark(told))
        if told < job.dropped + len(job.lines):
            continue
        if job.state != "running":
            yield sent("end", job.shown())
            return
        if streams.closing:
            return
        if not await streams.woken(changed):
            yield ": still running\n\n"
