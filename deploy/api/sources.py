"""The routes by which a version comes from elsewhere: adopted from the cluster, built anew, or shadowing the model."""

# FastAPI reads the annotations of a route, and `who` is known only inside the function: they must not become text.
from typing import Annotated, Any

from fastapi import Body, FastAPI, Response

from deploy.api.answers import PlatformOf, answer, given, silent
from deploy.api.changes import BEGUN, Change
from deploy.api.openapi import answers, takes
from deploy.api.shapes import Adoptable, RebuildRequest
from deploy.objects.diff import told
from deploy.operate import Platform
from deploy.rebuild import Ask
from deploy.record import Record, edits
from deploy.spec import Shadow
from deploy.spec.file import to_document


def add_sources(app: FastAPI, who: Any, platform_of: PlatformOf, change: Change) -> None:
    """Add the routes; they come before those whose path has a verb in it."""
    at = "/api/v1/models/{namespace}/{name}"

    @app.get(at + "/adopt", responses=answers(Adoptable))
    async def adoptable(caller: who, namespace: str, name: str) -> Response:
        """Return the spec that a SeldonDeployment would be adopted as, and what would change (labels, annotations)."""
        spec, diffs = await silent(platform_of, caller).adoption(namespace, name)
        return answer(Adoptable(to_document(spec), told(diffs)))

    @app.post(at + "/adopt", status_code=202, responses=BEGUN)
    async def adopt(caller: who, namespace: str, name: str, reason: str = "") -> Response:
        """Take over a SeldonDeployment that runs, as it is."""
        return await change.submitted(caller, namespace, name, "adopt", lambda it: it.adopt(namespace, name, reason))

    @app.put(at + "/shadow", status_code=202, responses=BEGUN, openapi_extra=takes(Shadow))
    async def shadow(
        caller: who, namespace: str, name: str, document: Annotated[Any, Body()], reason: str = ""
    ) -> Response:
        """Send a copy of the requests to another server, whose answers are thrown away."""
        wanted = given(document, Shadow)

        async def submit(platform: Platform) -> Record:
            deed = platform.deed(reason)
            return await platform.submit(namespace, name, lambda record: edits.shadow(record, wanted, deed))

        return await change.submitted(caller, namespace, name, "shadow", submit)

    @app.delete(at + "/shadow", status_code=202, responses=BEGUN)
    async def unshadow(caller: who, namespace: str, name: str, reason: str = "") -> Response:
        """Take the shadow away."""

        async def submit(platform: Platform) -> Record:
            deed = platform.deed(reason)
            return await platform.submit(namespace, name, lambda record: edits.shadow(record, None, deed))

        return await change.submitted(caller, namespace, name, "shadow", submit)

    @app.post(at + "/rebuild", status_code=202, responses=BEGUN, openapi_extra=takes(RebuildRequest))
    async def rebuild(
        caller: who, namespace: str, name: str, document: Annotated[Any, Body()], reason: str = ""
    ) -> Response:
        """Build the image anew by the cluster's Job template, then roll it out by the plan."""
        asked = given(document, RebuildRequest)
        ask = Ask(asked.image, asked.plan, asked.base, asked.commit, asked.unit)
        return await change.submitted(
            caller, namespace, name, "rebuild", lambda it: it.rebuild(namespace, name, ask, reason)
        )
