"""The model platform's HTTP API.

Reads are answered from the watch cache or by one look; who may see a namespace is the cluster's to say (may the caller
list its SeldonDeployments?). Every change is made *as the caller*, by impersonation: the API server itself refuses what
the caller has no right to, and its audit log names the caller. Changes answer 202 with a job; a job is carried out in
this process and can be followed as server-sent events. A job whose process dies is not lost: what was wanted is in the
model's record, and the next converge of anybody goes on with it.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from fastapi import Body, Depends, FastAPI, Header, Response
from fastapi.responses import StreamingResponse

from deploy import edits
from deploy.cache import ModelCache
from deploy.converge import OperationFailed, Progress
from deploy.diff import told
from deploy.errors import (
    Absent,
    Broken,
    Busy,
    Conflict,
    Denied,
    PlatformError,
    Refusal,
    Refused,
    Unavailable,
)
from deploy.evidence import gather
from deploy.journal import Deed
from deploy.operate import Platform
from deploy.record import Record, RolloutPlan
from deploy.specfile import from_document
from deploy.status import status_of
from deploy.why import why
from milepost import problem
from milepost.auth import Authorizer, Caller, bearer_token
from milepost.problem import Problem

JOBS_KEPT = 500
LINES_KEPT = 200
HEARTBEAT_S = 15.0
SELDON_GROUP, SELDON_RESOURCE = "machinelearning.seldon.io", "seldondeployments"

STATUSES: dict[type[PlatformError], int] = {
    Refused: 422, Denied: 403, Absent: 404, Conflict: 409, Busy: 409, Unavailable: 503, Broken: 500,
    OperationFailed: 500,
}  # fmt: skip

PlatformOf = Callable[[Caller, Callable[[Progress], None]], Platform]


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
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, line: str) -> None:
        """Add a line, the oldest beyond `LINES_KEPT` out."""
        self.lines = [*self.lines, line][-LINES_KEPT:]
        self.changed.set()
        self.changed = asyncio.Event()

    def public(self) -> dict[str, Any]:
        """Return what callers see."""
        return {
            "id": self.id, "model": self.key, "verb": self.verb, "state": self.state, "error": self.error,
            "progress": self.lines,
        }  # fmt: skip


class Jobs:
    """The jobs of this process, at most `JOBS_KEPT`, finished ones out first."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, job: Job, platform: Platform, namespace: str, name: str) -> Job:
        """Carry out what the model's record says."""
        if len(self._jobs) >= JOBS_KEPT:
            done = next((item.id for item in self._jobs.values() if item.state != "running"), "")
            if not done:
                raise Busy(f"{JOBS_KEPT} jobs are running; wait until one has ended")
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


def create_app(authorizer: Authorizer, platform_of: PlatformOf, cache: ModelCache, jobs: Jobs) -> FastAPI:
    """Return the application; it holds no task of its own beside the jobs."""
    app = FastAPI(title="Milepost model platform", version="1")
    problem.install(app, {PlatformError: _problem})

    async def caller(authorization: Annotated[str | None, Header()] = None) -> Caller:
        return await authorizer.authenticate(bearer_token(authorization))

    who = Annotated[Caller, Depends(caller)]
    _add_health(app, cache)
    _add_reads(app, who, authorizer, platform_of, cache)
    _add_changes(app, who, platform_of, jobs)
    _add_jobs(app, who, jobs)
    return app


def _add_health(app: FastAPI, cache: ModelCache) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, Any]:
        if not cache.ready:
            response.status_code = 503
        return {"listed": cache.ready, "stale_since": cache.stale_since}


def _add_reads(app: FastAPI, who: Any, authorizer: Authorizer, platform_of: PlatformOf, cache: ModelCache) -> None:
    async def visible(caller: Caller, namespace: str) -> None:
        if not await authorizer.allowed(
            caller, verb="list", group=SELDON_GROUP, resource=SELDON_RESOURCE, namespace=namespace
        ):
            where = f"namespace {namespace}" if namespace else "all namespaces: name one with ?namespace="
            raise Denied(f"{caller.name} may not list SeldonDeployments in {where}")

    @app.get("/api/v1/models")
    async def models(caller: who, namespace: str = "") -> Response:
        await visible(caller, namespace)
        if not cache.ready:
            raise Unavailable("the models are not listed yet")
        rows = tuple(cache.rows(namespace))
        return _json({"models": rows, "stale_since": cache.stale_since})

    @app.get("/api/v1/models/{namespace}/{name}")
    async def model(caller: who, namespace: str, name: str) -> Response:
        platform = platform_of(caller, lambda _: None)
        record = await platform.record(namespace, name)
        revision = record.revision(record.stable.revision) if record.stable else None
        return _json({"revision": revision, "tracks": record.tracks, "operation": record.operation})

    @app.get("/api/v1/models/{namespace}/{name}/status")
    async def status(caller: who, namespace: str, name: str) -> Response:
        return _json(status_of(await platform_of(caller, lambda _: None).look(namespace, name)))

    @app.get("/api/v1/models/{namespace}/{name}/history")
    async def history(caller: who, namespace: str, name: str) -> Response:
        record = await platform_of(caller, lambda _: None).record(namespace, name)
        return _json({"revisions": record.revisions, "audit": record.audit})

    @app.get("/api/v1/models/{namespace}/{name}/why")
    async def explain(caller: who, namespace: str, name: str) -> Response:
        platform = platform_of(caller, lambda _: None)
        look = await platform.look(namespace, name)
        return _json({"findings": [_plain(item) for item in why(await gather(platform.cluster, look))]})

    @app.post("/api/v1/models/{namespace}/{name}/diff")
    async def diff(caller: who, namespace: str, name: str, document: Annotated[Any, Body()]) -> Response:
        platform, spec = platform_of(caller, lambda _: None), _spec(document, namespace, name)
        deed = platform.deed("diff")
        diffs = await platform.diff(namespace, name, lambda found: edits.apply(found, spec, deed))
        return _json({"text": told(diffs), "changes": sum(item.verb != "keep" for item in diffs)})


def _add_changes(app: FastAPI, who: Any, platform_of: PlatformOf, jobs: Jobs) -> None:
    async def change(
        caller: Caller, key: tuple[str, str], verb: str, edit: Callable[[Record, Deed], Record], *, reason: str
    ) -> Response:
        namespace, name = key
        job = Job(secrets.token_hex(8), f"{namespace}/{name}", verb, owner=caller.name)
        platform = platform_of(caller, lambda progress: job.tell(progress.message))
        deed = platform.deed(reason)
        await platform.submit(namespace, name, lambda found: edit(found, deed))
        jobs.start(job, platform, namespace, name)
        return _json(job.public(), status=202, headers={"Location": f"/api/v1/jobs/{job.id}"})

    @app.put("/api/v1/models/{namespace}/{name}", status_code=202)
    async def apply(
        caller: who, namespace: str, name: str, document: Annotated[Any, Body()], reason: str = ""
    ) -> Response:
        spec = _spec(document, namespace, name)
        return await change(
            caller, (namespace, name), "apply", lambda r, deed: edits.apply(r, spec, deed), reason=reason
        )

    @app.delete("/api/v1/models/{namespace}/{name}", status_code=202)
    async def delete(caller: who, namespace: str, name: str, reason: str = "") -> Response:
        await platform_of(caller, lambda _: None).record(namespace, name)
        return await change(caller, (namespace, name), "delete", edits.delete, reason=reason)

    @app.post("/api/v1/models/{namespace}/{name}/rollout", status_code=202)
    async def start(
        caller: who, namespace: str, name: str, document: Annotated[Any, Body()], reason: str = ""
    ) -> Response:
        given = document if isinstance(document, dict) else {}
        spec = _spec(given.get("spec"), namespace, name)
        try:
            plan = msgspec.convert(given.get("plan", {}), RolloutPlan)
        except msgspec.ValidationError as error:
            raise Refused([Refusal("plan", given.get("plan"), str(error))]) from error
        begin = lambda r, deed: edits.start_rollout(r, spec, plan, deed)  # noqa: E731 - the edit itself
        return await change(caller, (namespace, name), "rollout", begin, reason=reason)

    @app.post("/api/v1/models/{namespace}/{name}/{verb}", status_code=202)
    async def simple(
        caller: who, namespace: str, name: str, verb: str, *, reason: str = "", to: int | None = None, replicas: int = 1
    ) -> Response:
        verbs: dict[str, Callable[[Record, Deed], Record]] = {
            "restart": edits.restart, "pause": edits.pause, "resume": edits.resume, "promote": edits.promote,
            "abort": edits.abort,
            "rollback": lambda r, deed: edits.rollback(r, to, deed),
            "scale": lambda r, deed: edits.scale(r, replicas, deed),
            "converge": lambda r, _: r,
        }  # fmt: skip
        if verb not in verbs:
            raise Absent(f"there is no verb {verb}; there are rollout, {', '.join(verbs)}")
        return await change(caller, (namespace, name), verb, verbs[verb], reason=reason)


def _add_jobs(app: FastAPI, who: Any, jobs: Jobs) -> None:
    @app.get("/api/v1/jobs/{job_id}")
    async def job(caller: who, job_id: str) -> Response:
        return _json(jobs.get(job_id, caller).public())

    @app.get("/api/v1/jobs/{job_id}/events")
    async def events(caller: who, job_id: str) -> Response:
        return StreamingResponse(_events(jobs.get(job_id, caller)), media_type="text/event-stream")


async def _events(job: Job) -> AsyncIterator[str]:
    told_lines = 0
    while True:
        changed = job.changed
        for line in job.lines[told_lines:]:
            yield f"event: progress\ndata: {msgspec.json.encode(line).decode()}\n\n"
        told_lines = len(job.lines)
        if job.state != "running":
            yield f"event: end\ndata: {msgspec.json.encode(job.public()).decode()}\n\n"
            return
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await changed.wait()
        except TimeoutError:
            yield ": still running\n\n"


def _spec(document: Any, namespace: str, name: str) -> Any:
    spec = from_document(document)
    if (spec.namespace, spec.name) != (namespace, name):
        raise Refused([Refusal("name", spec.key, f"the path says {namespace}/{name}")])
    return spec


def _problem(error: PlatformError) -> Problem:
    status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 500)
    faults = [_plain(item) for item in error.refusals] if isinstance(error, Refused) else []
    return Problem(status, str(error), slug=type(error).__name__.lower(), faults=faults)


def _plain(item: Any) -> Any:
    return msgspec.to_builtins(item, enc_hook=str)


def _json(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = msgspec.json.encode(value, enc_hook=str)
    return Response(body, status, headers=headers, media_type="application/json")
