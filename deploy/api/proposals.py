"""The routes of an environment: its policy, and the changes that wait for approvals in it."""

# FastAPI reads the annotations of a route, and `who` is known only inside the function: they must not become text.
from typing import Annotated, Any

from fastapi import Body, FastAPI, Response

from deploy.api.answers import PlatformOf, addressed, answer, given, silent
from deploy.api.changes import Change
from deploy.api.openapi import answers, takes
from deploy.api.shapes import EnvironmentShown, JobShown, ProposalRequest, ProposalShown
from deploy.environments import PROPOSABLE, proposals
from deploy.environments.proposals import Wish
from deploy.errors import Refusal, Refused
from deploy.operate import Platform
from deploy.record import Record, RolloutPlan


def add_proposals(app: FastAPI, who: Any, platform_of: PlatformOf, change: Change) -> None:
    """Add the routes of proposals; they come before those whose path has a verb in it."""
    at = "/api/v1/models/{namespace}/{name}/proposals"

    @app.get("/api/v1/environment", responses=answers(EnvironmentShown))
    async def environment(caller: who) -> Response:
        """Return the environment of this server and its policy, or null where it has none."""
        gate = silent(platform_of, caller).gate
        return answer(EnvironmentShown(gate.environment if gate else None))

    @app.post(at, status_code=201, responses=answers(ProposalShown, 201), openapi_extra=takes(ProposalRequest))
    async def propose(
        caller: who, namespace: str, name: str, document: Annotated[Any, Body()], reason: str = ""
    ) -> Response:
        """Ask for the approvals that the environment wants."""
        wish = _wish(given(document, ProposalRequest), namespace, name)
        record = await silent(platform_of, caller).propose(namespace, name, wish, reason)
        return answer(_shown(record), status=201)

    @app.get(at, responses=answers(ProposalShown))
    async def proposal(caller: who, namespace: str, name: str) -> Response:
        """Return what waits for approvals (null: nothing), and whether it is stale."""
        return answer(_shown(await silent(platform_of, caller).record(namespace, name)))

    @app.post(at + "/{proposal_id}/approve", responses=answers(ProposalShown, also={202: JobShown}))
    async def approve(caller: who, namespace: str, name: str, proposal_id: str, reason: str = "") -> Response:
        """Approve; 200 with the proposal while more approvals are needed, 202 with a job once it is carried out."""

        async def submit(platform: Platform) -> Record:
            return await platform.submit(namespace, name, platform.approval(proposal_id, platform.deed(reason)))

        def waiting(record: Record) -> Response | None:
            return None if record.proposal is None else answer(_shown(record))

        return await change.submitted(caller, namespace, name, "approve", submit, instead=waiting)

    @app.post(at + "/{proposal_id}/reject", responses=answers(ProposalShown))
    async def reject(caller: who, namespace: str, name: str, proposal_id: str, reason: str = "") -> Response:
        """Take a proposal away."""
        platform = silent(platform_of, caller)
        deed = platform.deed(reason)
        record = await platform.submit(
            namespace, name, lambda found: proposals.reject(found, proposal_id, deed), checked=False
        )
        return answer(_shown(record))


def _wish(asked: ProposalRequest, namespace: str, name: str) -> Wish:
    if asked.verb not in PROPOSABLE:
        raise Refused([Refusal("verb", asked.verb, f"what can wait for approvals is {', '.join(PROPOSABLE)}")])
    if asked.verb == "delete":
        return Wish("delete", origin=asked.origin)
    if asked.spec is None:
        raise Refused([Refusal("spec", None, f"{asked.verb} needs one")])
    plan = (asked.plan or RolloutPlan()) if asked.verb == "rollout" else None
    return Wish(asked.verb, addressed(asked.spec, namespace, name), plan, asked.origin)


def _shown(record: Record) -> ProposalShown:
    stable = record.stable.revision if record.stable else 0
    return ProposalShown(record.proposal, record.proposal is not None and record.proposal.base != stable)
