"""A change that waits for approvals: proposed, approved by others, and only then wanted. Pure edits of the record.

    propose ─▶ waits ─approve (by others than its author, as often as needed)─▶ carried out as its author's deed
                 ├─reject─▶ gone                                      └─ refused when it is stale
                 └─a newer proposal─▶ replaced

Whoever approves names the proposal by its id, so nobody approves what they have not seen. A proposal is *stale* once
the model's stable revision is another than when it was made: what was looked at is no longer what would change.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from deploy.environments import PROPOSABLE
from deploy.errors import Refusal, Refused
from deploy.record import Proposal, Record, RolloutPlan, Vote, edits
from deploy.record.journal import Deed, audited
from deploy.spec import ModelSpec
from deploy.spec.file import from_document, to_document


@dataclass(frozen=True, slots=True)
class Wish:
    """What is proposed: a verb of `PROPOSABLE`, and for all but delete its spec; a rollout has a plan."""

    verb: str
    spec: ModelSpec | None = None
    plan: RolloutPlan | None = None
    origin: str = ""


def propose(record: Record, wish: Wish, deed: Deed, *, needed: int) -> Record:
    """Write a wish down that needs `needed` approvals. Refused where carrying it out would be, too."""
    if wish.verb not in PROPOSABLE:
        raise Refused([Refusal("operation", wish.verb, f"what can wait for approvals is {', '.join(PROPOSABLE)}")])
    proposal = Proposal(
        id=deed.id,
        verb=wish.verb,
        spec=to_document(wish.spec) if wish.spec else None,
        plan=wish.plan,
        author=deed.author,
        at=deed.at,
        reason=deed.reason,
        needed=needed,
        base=_base(record),
        origin=wish.origin,
    )
    carried_out(record, proposal, deed)
    told = f"{wish.verb}{f' from {wish.origin}' if wish.origin else ''} as {deed.id}, needs {needed} approvals"
    return audited(replace(record, proposal=proposal), deed, "propose", told)


def approve(record: Record, proposal_id: str, deed: Deed, *, needed: int = 0) -> Record:
    """Approve a proposal; with the last approval needed it becomes wanted. Nobody approves their own.

    `needed` is what the policy asks for now; the stricter one of then and now counts.
    """
    proposal = waiting(record, proposal_id)
    if proposal.author == deed.author:
        raise Refused([Refusal("author", deed.author, "a proposal is approved by somebody else than its author")])
    if proposal.base != _base(record):
        now, then = _base(record) or "none", proposal.base or "none"
        rule = f"stale: the model was at revision {then} when it was proposed and is at {now} now; propose it again"
        raise Refused([Refusal("proposal", proposal.id, rule)])
    votes = (*(vote for vote in proposal.votes if vote.author != deed.author), Vote(deed.author, deed.at, deed.reason))
    needed = max(needed, proposal.needed)
    record = audited(record, deed, "approve", f"{proposal.id}: {len(votes)} of {needed}")
    if len(votes) < needed:
        return replace(record, proposal=replace(proposal, votes=votes, needed=needed))
    names = ", ".join(vote.author for vote in votes)
    why = f"{proposal.reason} (approved by {names})".strip()
    return carried_out(replace(record, proposal=None), proposal, Deed(proposal.author, deed.at, why, proposal.id))


def reject(record: Record, proposal_id: str, deed: Deed) -> Record:
    """Take a proposal away; its author may do so as well."""
    proposal = waiting(record, proposal_id)
    return audited(replace(record, proposal=None), deed, "reject", proposal.id)


def waiting(record: Record, proposal_id: str) -> Proposal:
    """Return the proposal of this id. Refused when it was replaced, or when nothing waits."""
    proposal = record.proposal
    if proposal is None:
        raise Refused([Refusal("proposal", proposal_id, f"nothing of {record.key} waits for an approval")])
    if proposal.id != proposal_id:
        rule = f"{record.key} has another proposal by now, {proposal.id} by {proposal.author}: look at that one"
        raise Refused([Refusal("proposal", proposal_id, rule)])
    return proposal


def carried_out(record: Record, proposal: Proposal, deed: Deed) -> Record:
    """Return the record with the proposal's change made. Raises Refused."""
    if proposal.spec is None:
        return edits.delete(record, deed)
    spec = from_document(proposal.spec)
    if proposal.plan is not None:
        return edits.start_rollout(record, spec, proposal.plan, deed)
    return edits.apply(record, spec, deed, verb=proposal.verb)


def _base(record: Record) -> int:
    return record.stable.revision if record.stable else 0
