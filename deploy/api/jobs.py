"""Changes as jobs: carried out in this process, followed as server-sent events."""

# FastAPI reads the annotations of a route, and `who` is known only inside the function: they must not become text.
import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse

from deploy.api.answers import answer, sent
from deploy.api.streams import Streams
from deploy.errors import Absent, Busy, PlatformError
from deploy.operate import Platform
from milepost.auth import Caller

LINES_KEPT = 200


@dataclass(slots=True)
class Job:
    """One change being carried out. `changed` is set and replaced at every line."""

    id: str
    key: str
    verb: str
    state: str = "running"
    error: str = ""
    owner: str = ""
    lines: list[str] = field(default_factory=list)
    dropped: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, line: str) -> None:
        """Add a line, the oldest beyond `LINES_KEPT` out."""
        self.lines.append(line)
        if len(self.lines) > LINES_KEPT:
            del self.lines[0]
            self.dropped += 1
        self.changed.set()
        self.changed = asyncio.Event()

    def public(self) -> dict[str, Any]:
        """Return what callers see."""
        return {
            "id": self.id, "model": self.key, "verb": self.verb, "state": self.state, "error": self.error,
            "progress": self.lines, "dropped": self.dropped,
        }  # fmt: skip


class Jobs:
    """The jobs of this process, at most `most`, finished ones out first."""

    def __init__(self, most: int = 500) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._most = most

    def start(self, job: Job, platform: Platform, namespace: str, name: str) -> Job:
        """Carry out what the model's record says."""
        if len(self._jobs) >= self._most:
            done = next((item.id for item in self._jobs.values() if item.state != "running"), "")
            if not done:
                raise Busy(f"{self._most} jobs are running (platform.jobs_max); wait until one has ended")
            del self._jobs[done]
        self._jobs[job.id] = job
        task = asyncio.create_task(self._run(job, platform, namespace, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def get(self, job_id: str, caller: Caller) -> Job:
        """Return a caller's own job. Raises Absent."""
        job = self._jobs.get(job_id)
        if job is None or job.owner != caller.name:
            raise Absent(f"there is no job {job_id} of {caller.name} in this process")
        return job

    async def stop(self) -> None:
        """Cancel what runs: each ends at a step's border, and its record says how to go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, job: Job, platform: Platform, namespace: str, name: str) -> None:
        try:
            record = await platform.converge(namespace, name)
            job.state = record.operation.state if record.operation else "done"
        except PlatformError as error:
            job.state, job.error = "failed", str(error)
        job.tell(f"{job.state} {job.error}".strip())


def add_jobs(app: FastAPI, who: Any, jobs: Jobs, streams: Streams) -> None:
    """Add the routes of jobs."""

    @app.get("/api/v1/jobs/{job_id}")
    async def job(caller: who, job_id: str) -> Response:
        """Return one of the caller's own jobs."""
        return answer(jobs.get(job_id, caller).public())

    @app.get("/api/v1/jobs/{job_id}/events")
    async def events(caller: who, job_id: str) -> Response:
        """Follow a job: `progress` events with one line each, then one `end` event with the whole job."""
        found = jobs.get(job_id, caller)
        return StreamingResponse(streams.counted(_events(found, streams)), media_type="text/event-stream")


async def _events(job: Job, streams: Streams) -> AsyncIterator[str]:
    told = 0
    while True:
        changed = job.changed
        for line in job.lines[max(0, told - job.dropped) :]:
            yield sent("progress", line)
        told = job.dropped + len(job.lines)
        if job.state != "running":
            yield sent("end", job.public())
            return
        if streams.closing:
            return
        if not await streams.woken(changed):
            yield ": still running\n\n"
