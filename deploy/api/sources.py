"""The routes by which a version comes from elsewhere: adopted from the cluster, built anew, or shadowing the model."""

# FastAPI reads the annotations of a route, and `who` is known only inside the function: they must not become text.
from typing import Annotated, Any

import msgspec
from fastapi import Body, FastAPI, Response

from deploy import edits
from deploy.api.answers import PlatformOf, answer, silent
from deploy.api.changes import Change
from deploy.diff import told
from deploy.errors import Refusal, Refused
from deploy.operate import Platform
from deploy.rebuild import Ask
from deploy.record import Record, RolloutPlan
from deploy.specfile import shadow_of, to_document


class _Rebuild(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    image: str
    base: str = ""
    commit: str = ""
    unit: str = ""
    plan: RolloutPlan = RolloutPlan()


def add_sources(app: FastAPI, who: Any, platform_of: PlatformOf, change: Change) -> None:
    """Add the routes; they come before those whose path has a verb in it."""
    at = "/api/v1/models/{namespace}/{name}"

    @app.get(at + "/adopt")
    async def adoptable(caller: who, namespace: str, name: str) -> Response:
        """Return the spec that a SeldonDeployment would be adopted as, and what would change (labels, annotations)."""
        spec, diffs = await silent(platform_of, caller).adoption(namespace, name)
        return answer({"spec": to_document(spec), "text": told(diffs)})

    @app.post(at + "/adopt", status_code=202)
    async def adopt(caller: who, namespace: str, name: str, reason: str = "") -> Response:
        """Take over a SeldonDeployment that runs, as it is."""
        return await change.submitted(caller, namespace, name, "adopt", lambda it: it.adopt(namespace, name, reason))

    @app.put(at + "/shadow", status_code=202)
    async def shadow(
        caller: who, namespace: str, name: str, document: Annotated[Any, Body()], reason: str = ""
    ) -> Response:
        """Send a copy of the requests to another server, whose answers are thrown away."""
        wanted = shadow_of(document)

        async def submit(platform: Platform) -> Record:
            deed = platform.deed(reason)
            return await platform.submit(namespace, name, lambda record: edits.shadow(record, wanted, deed))

        return await change.submitted(caller, namespace, name, "shadow", submit)

    @app.delete(at + "/shadow", status_code=202)
    async def unshadow(caller: who, namespace: str, name: str, reason: str = "") -> Response:
        """Take the shadow away."""

        async def submit(platform: Platform) -> Record:
            deed = platform.deed(reason)
            return await platform.submit(namespace, name, lambda record: edits.shadow(record, None, deed))

        return await change.submitted(caller, namespace, name, "shadow", submit)

    @app.post(at + "/rebuild", status_code=202)
    async def rebuild(
        caller: who, namespace: str, name: str, document: Annotated[Any, Body()], reason: str = ""
    ) -> Response:
        """Build the image anew by the cluster's Job template, then roll it out by the plan."""
        try:
            asked = msgspec.convert(document, _Rebuild)
        except msgspec.ValidationError as error:
            raise Refused([Refusal("rebuild", document, str(error))]) from error
        ask = Ask(asked.image, asked.plan, asked.base, asked.commit, asked.unit)
        return await change.submitted(
            caller, namespace, name, "rebuild", lambda it: it.rebuild(namespace, name, ask, reason)
        )
