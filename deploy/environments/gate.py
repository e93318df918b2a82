"""The gate of an environment: every change of a record passes it, in the command line as in the API server.

What is asked is read off the record itself: the verbs that an edit adds to the audit trail, and the specs that would
newly run. So no verb has to remember to ask, and one written later is asked about as well. The gate runs inside the
compare-and-swap, on the record that is really replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deploy.environments import (
    OPERATIONS,
    Environment,
    Request,
    approvals_needed,
    may_approve,
    operation_of,
    refusals,
)
from deploy.errors import Refusal, Refused
from deploy.record import Record
from deploy.record.edits import spec_of
from deploy.spec import ModelSpec
from deploy.spec.file import from_document
from milepost.caller import Caller


@dataclass(frozen=True, slots=True)
class Gate:
    """One environment's policy, for one caller as the cluster knows them."""

    environment: Environment
    caller: Caller

    def admit(self, before: Record, after: Record) -> Record:
        """Return `after` when the environment allows what changed. Raises Refused with every reason."""
        faults = tuple(dict.fromkeys(self._faults(before, after)))
        if faults:
            raise Refused(faults)
        return after

    def needed(self, verb: str, record: Record) -> int:
        """Return how many approvals a verb on this record needs here."""
        return max((rule.needed for rule in approvals_needed(self.environment, _operation(verb, record))), default=0)

    def _faults(self, before: Record, after: Record) -> Iterator[Refusal]:
        # The trail only grows here; what is too long is cut when the record is stored.
        verbs = [entry.verb for entry in after.audit[len(before.audit) :]]
        if "approve" in verbs:
            yield from self._approval(before, after)
        elif "reject" in verbs:
            if before.proposal is not None and before.proposal.author != self.caller.name:
                yield from may_approve(self.environment, self._request(before, before.proposal.verb))
        elif "propose" in verbs:
            if after.proposal is not None:
                specs = (from_document(after.proposal.spec),) if after.proposal.spec else ()
                asked = self._request(before, after.proposal.verb, specs=specs, approved=True)
                yield from refusals(self.environment, asked)
        else:
            newly = tuple(_new_specs(before, after))
            for verb in verbs:
                if verb in OPERATIONS:
                    yield from refusals(self.environment, self._request(before, verb, specs=newly))

    def _approval(self, before: Record, after: Record) -> Iterator[Refusal]:
        if before.proposal is None:
            return
        verb = before.proposal.verb
        yield from may_approve(self.environment, self._request(before, verb))
        given = {vote.author for vote in before.proposal.votes} | {self.caller.name}
        needed = self.needed(verb, before)
        if after.proposal is None and len(given) < needed:
            rule = f"{verb} in {self.environment.name} needs {needed} (approvals.needed)"
            yield Refusal("approvals", len(given), rule)
        # Who proposed it was asked then; what it may ask for is asked again, since the policy may be stricter now.
        limits = Environment(name=self.environment.name, limits=self.environment.limits)
        yield from refusals(limits, self._request(before, verb, specs=tuple(_new_specs(before, after))))

    def _request(
        self, before: Record, verb: str, *, specs: tuple[ModelSpec, ...] = (), approved: bool = False
    ) -> Request:
        return Request(
            operation=_operation(verb, before),
            namespace=before.namespace,
            caller=self.caller.name,
            groups=self.caller.groups,
            specs=specs,
            approved=approved,
        )


def _operation(verb: str, before: Record) -> str:
    return operation_of(verb, deployed=before.stable is not None)


def _new_specs(before: Record, after: Record) -> Iterator[ModelSpec]:
    known = set(before.tracks)
    candidate = after.rollout.candidate if after.rollout else None
    for track in (after.stable, candidate):
        if track is not None and track not in known and not after.deleting:
            yield spec_of(after, track)
