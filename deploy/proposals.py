"""An apply or a rollout that waits for approvals: proposed, approved by others, then wanted."""

from __future__ import annotations

from msgspec.structs import replace

from deploy.edits import apply, start_rollout
from deploy.errors import Refusal, Refused
from deploy.journal import Deed, audited, refuse_during_rollout
from deploy.record import Proposal, Record, RolloutPlan
from deploy.spec import ModelSpec
from deploy.specfile import from_document, to_document


def propose(record: Record, spec: ModelSpec, plan: RolloutPlan | None, deed: Deed, *, needed: int) -> Record:
    """Ask for `needed` approvals of an apply (plan None) or a rollout; a newer proposal replaces the one before."""
    refuse_during_rollout(record, "propose")
    document = to_document(spec)
    proposal = Proposal(deed.id, document, plan, deed.author, deed.at, deed.reason, needed)
    return audited(replace(record, proposal=proposal), deed, "propose", f"needs {needed} approvals")


def approve(record: Record, deed: Deed) -> Record:
    """Approve the proposal; with the last approval needed it becomes wanted. Nobody approves their own."""
    proposal = record.proposal
    if proposal is None:
        raise Refused([Refusal("proposal", None, f"nothing of {record.key} waits for an approval")])
    if proposal.author == deed.author:
        raise Refused([Refusal("author", deed.author, "a proposal is approved by somebody else than its author")])
    names = (*(name for name in proposal.approvers if name != deed.author), deed.author)
    told = f"{len(names)} of {proposal.needed}"
    record = audited(replace(record, proposal=replace(proposal, approvers=names)), deed, "approve", told)
    if len(names) < proposal.needed:
        return record
    spec = from_document(proposal.spec)
    author = Deed(proposal.author, deed.at, f"{proposal.reason} (approved by {', '.join(names)})".strip(), proposal.id)
    record = replace(record, proposal=None)
    if proposal.plan is None:
        return apply(record, spec, author)
    return start_rollout(record, spec, proposal.plan, author)
