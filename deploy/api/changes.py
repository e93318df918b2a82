"""The routes that change a model: each writes the caller's wish into the record and answers 202 with a job."""

# FastAPI reads the annotations of a route, and `who` is known only inside the function: they must not become text.
import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Body, FastAPI, Query, Response

from deploy.api.answers import PlatformOf, addressed, answer, given
from deploy.api.jobs import Job, Jobs
from deploy.api.openapi import answers, takes
from deploy.api.shapes import JobShown, MigrationRequest, RolloutRequest
from deploy.errors import Absent, PlatformError, Refusal, Refused
from deploy.operate import Platform
from deploy.record import Record, edits
from deploy.record.journal import Deed
from deploy.spec import ModelSpec
from deploy.spec.release import Split
from milepost.auth import Caller

EditOf = Callable[[Record, Deed], Record]
Submit = Callable[[Platform], Awaitable[Record]]
BEGUN = answers(JobShown, 202)
"""The `responses` of a route that begins a job."""


class Change:
    """One change on behalf of a caller."""

    def __init__(self, platform_of: PlatformOf, jobs: Jobs) -> None:
        self._platform_of = platform_of
        self._jobs = jobs

    async def __call__(
        self, caller: Caller, namespace: str, name: str, verb: str, edit: EditOf, *, reason: str, known: bool = True
    ) -> Response:
        """Write the edit down and start its job; `known` refuses a model that never existed."""

        async def submit(platform: Platform) -> Record:
            if known:
                await platform.record(namespace, name)
            deed = platform.deed(reason)
            return await platform.submit(namespace, name, lambda found: edit(found, deed))

        return await self.submitted(caller, namespace, name, verb, submit)

    async def submitted(
        self,
        caller: Caller,
        namespace: str,
        name: str,
        verb: str,
        submit: Submit,
        *,
        instead: Callable[[Record], Response | None] = lambda _: None,
    ) -> Response:
        """Write a change down by `submit` and start its job, unless `instead` answers for the record it left."""
        job = Job(secrets.token_hex(8), namespace, name, verb, owner=caller.name)
        platform = self._platform_of(caller, lambda progress: job.tell(progress.message))
        self._jobs.make_room(job.id)
        await self._jobs.promise(job, caller)
        try:
            answered = instead(await submit(platform))
        except PlatformError:
            await self._jobs.withdraw(job)
            raise
        if answered is not None:
            await self._jobs.withdraw(job)
            return answered
        self._jobs.start(job, platform)
        return answer(job.shown(), status=202, headers={"Location": f"/api/v1/jobs/{job.id}"})


def add_changes(app: FastAPI, who: Any, change: Change) -> None:
    """Add the routes that change a model."""

    @app.put("/api/v1/models/{namespace}/{name}", status_code=202, responses=BEGUN, openapi_extra=takes(ModelSpec))
    async def apply(
        caller: who, namespace: str, name: str, document: Annotated[Any, Body()], reason: str = ""
    ) -> Response:
        """Create the model or change it in place."""
        spec = addressed(given(document, ModelSpec), namespace, name)

        def edit(record: Record, deed: Deed) -> Record:
            return edits.apply(record, spec, deed)

        return await change(caller, namespace, name, "apply", edit, reason=reason, known=False)

    @app.delete("/api/v1/models/{namespace}/{name}", status_code=202, responses=BEGUN)
    async def delete(caller: who, namespace: str, name: str, reason: str = "") -> Response:
        """Take the model away; its history stays."""
        return await change(caller, namespace, name, "delete", edits.delete, reason=reason)

    @app.post(
        "/api/v1/models/{namespace}/{name}/rollout",
        status_code=202,
        responses=BEGUN,
        openapi_extra=takes(RolloutRequest),
    )
    async def start(
        caller: who, namespace: str, name: str, document: Annotated[Any, Body()], reason: str = ""
    ) -> Response:
        """Bring a candidate up beside the model, and requests to it by the plan."""
        asked = given(document, RolloutRequest)
        spec = addressed(asked.spec, namespace, name)

        def edit(record: Record, deed: Deed) -> Record:
            return edits.start_rollout(record, spec, asked.plan, deed)

        return await change(caller, namespace, name, "rollout", edit, reason=reason)

    @app.post(
        "/api/v1/models/{namespace}/{name}/migrate",
        status_code=202,
        responses=BEGUN,
        openapi_extra=takes(MigrationRequest),
    )
    async def migrate(
        caller: who, namespace: str, name: str, document: Annotated[Any, Body()], reason: str = ""
    ) -> Response:
        """Share the requests between the old address and the model, go back, or finish."""
        edit = _migration(given(document, MigrationRequest))
        return await change(caller, namespace, name, "migrate", edit, reason=reason)

    @app.post("/api/v1/models/{namespace}/{name}/{verb}", status_code=202, responses=BEGUN)
    async def simple(
        caller: who,
        namespace: str,
        name: str,
        verb: str,
        *,
        reason: str = "",
        to: int | None = None,
        replicas: Annotated[int | None, Query(ge=0, le=1000)] = None,
    ) -> Response:
        """Do a verb that needs no document: restart, scale, rollback, converge; pause, resume, promote, abort."""
        return await change(caller, namespace, name, verb, _simple(verb, to, replicas), reason=reason)


def _simple(verb: str, to: int | None, replicas: int | None) -> EditOf:
    def scale(record: Record, deed: Deed) -> Record:
        if replicas is None:
            raise Refused([Refusal("replicas", None, "scale needs ?replicas=, the number wanted")])
        return edits.scale(record, replicas, deed)

    verbs: dict[str, EditOf] = {
        "restart": edits.restart, "pause": edits.pause, "resume": edits.resume, "promote": edits.promote,
        "abort": edits.abort, "scale": scale,
        "rollback": lambda record, deed: edits.rollback(record, to, deed),
        "converge": lambda record, _: record,
    }  # fmt: skip
    if verb not in verbs:
        raise Absent(f"there is no verb {verb}; there are rollout, migrate, {', '.join(verbs)}")
    return verbs[verb]


def _migration(asked: MigrationRequest) -> EditOf:
    if asked.action == "finish":
        return edits.finish_migration
    if asked.action == "back":
        return lambda record, deed: edits.migrate(record, None, Split(percent=0), deed)
    split = asked.split
    if split is None:
        raise Refused([Refusal("migration.split", None, 'action split needs a split, such as {"percent": 10}')])
    return lambda record, deed: edits.migrate(record, asked.old, split, deed)
