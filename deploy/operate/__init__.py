"""What a person or the API asks for, from end to end: check, write down, carry out.

    edit of the record ─▶ render and its rules ─▶ conflicts with other routes ─▶ server dry-run ─▶ written ─▶ converge

Everything that can be refused is refused before the record is touched: a verb whose objects the API server, its
admission webhooks or the rules of the router would turn away leaves no trace. `submit` answers as soon as the wish is
written; `converge` carries it out, here or in whoever holds the model's lock.
"""

from __future__ import annotations

import getpass
import os
import secrets
import time
from collections.abc import Callable

from msgspec.structs import replace

from deploy.cluster import Cluster
from deploy.cluster.store import Edit, Store
from deploy.environments import proposals
from deploy.environments.gate import Gate
from deploy.environments.proposals import Wish
from deploy.errors import Absent, Refusal, Refused
from deploy.objects.diff import ObjectDiff, compare
from deploy.operate.adoption import adoptable, refuse_changes
from deploy.operate.converge import Converger
from deploy.operate.lastlines import Logs
from deploy.operate.precheck import refuse_foreign, refuse_unreachable
from deploy.plan.steps import Look, Wanted, plan
from deploy.plan.wanted import wanted
from deploy.rebuild import Ask, job_of, rebuild
from deploy.record import Record, RolloutPlan, edits
from deploy.record.journal import Deed
from deploy.seen import ROUTE_KINDS, Seen
from deploy.settings import Cluster as ClusterSettings
from deploy.spec import ModelSpec


class SpecRenderer:
    """The renderer of model specs, for one cluster's settings."""

    def __init__(self, settings: ClusterSettings, *, settle_s: float) -> None:
        self.settings = settings
        self._settle_s = settle_s

    def wanted(self, record: Record, seen: Seen, *, now: float | None) -> Wanted:
        """Return everything that the record asks for, routes at their stage `now` or as in the end. Raises Refused."""
        return wanted(record, seen, cluster=self.settings, settle_s=self._settle_s, now=now)


class Platform:
    """The verbs on one cluster, with one identity's rights."""

    def __init__(
        self,
        cluster: Cluster,
        renderer: SpecRenderer,
        converger: Converger,
        *,
        author: str,
        logs: Logs,
        gate: Gate | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.cluster = cluster
        self.store = Store(cluster)
        self.converger = converger
        # In an environment with a policy the author is whom the cluster knows, whatever a variable says.
        self.author = gate.caller.name if gate else author
        self.logs = logs
        self.gate = gate
        self.settings = renderer.settings
        self._renderer = renderer
        self._now = now

    def deed(self, reason: str = "", *, atomic: bool = False) -> Deed:
        """Return a new deed of this author, now."""
        return Deed(self.author, self._now(), reason, secrets.token_hex(6), atomic)

    def place(self, namespace: str) -> str:
        """Return the environment's namespace for that of a spec or a command. Raises Refused when it has none."""
        return self.gate.environment.place(namespace) if self.gate else namespace

    def here(self, spec: ModelSpec) -> ModelSpec:
        """Return the spec in its namespace of the environment."""
        return replace(spec, namespace=self.place(spec.namespace))

    async def record(self, namespace: str, name: str) -> Record:
        """Return the record of a model that exists or once did. Raises Absent."""
        stored = await self.store.load(namespace, name)
        if not stored.version:
            raise Absent(f"there is no model {namespace}/{name} (no record of it)")
        return stored.record

    async def look(self, namespace: str, name: str) -> Look:
        """Return the model as it is now. Raises Absent."""
        record = await self.record(namespace, name)
        seen = await self.cluster.look(namespace, name)
        now = self._now()
        asked = self._renderer.wanted(record, seen, now=now)
        return Look(record, seen, asked, plan(record, asked, seen, now=now))

    async def submit(self, namespace: str, name: str, edit: Edit, *, checked: bool = True) -> Record:
        """Write a verb down, after everything that can be refused was tried. Raises PlatformError.

        Where the record changes between the check and the write, the edit is done on the newer record, and passes the
        gate of the environment again.
        """
        edit = self._admitted(edit)
        if checked:
            before = (await self.store.load(namespace, name)).record
            after = edit(before)
            if before.rollout is None and after.rollout is not None:
                self._refuse_unjudgeable(after.rollout.plan)
            await self._check(before, after)
        return (await self.store.change(namespace, name, edit)).record

    async def propose(self, namespace: str, name: str, wish: Wish, reason: str) -> Record:
        """Write a wish down that waits for the environment's approvals, after everything that can be refused was tried.

        Refused where nothing has to be approved: it can be done at once.
        """
        stored = await self.store.load(namespace, name)
        needed = self.gate.needed(wish.verb, stored.record) if self.gate else 0
        if not needed:
            where = f"environment {self.gate.environment.name}" if self.gate else "what is no environment (--env)"
            raise Refused([Refusal("operation", wish.verb, f"it needs no approval in {where}: do it at once")])
        deed = self.deed(reason)
        proposed = proposals.propose(stored.record, wish, deed, needed=needed)
        if proposed.proposal is not None:
            await self._check(stored.record, proposals.carried_out(stored.record, proposed.proposal, deed))
        edit: Edit = lambda record: proposals.propose(record, wish, deed, needed=needed)  # noqa: E731 - the edit itself
        return await self.submit(namespace, name, edit, checked=False)

    def approval(self, proposal_id: str, deed: Deed) -> Edit:
        """Return the edit that approves a proposal, as often as the environment's policy asks for now."""

        def edit(record: Record) -> Record:
            asked = self.gate.needed(record.proposal.verb, record) if self.gate and record.proposal else 0
            return proposals.approve(record, proposal_id, deed, needed=asked)

        return edit

    async def adoption(self, namespace: str, name: str) -> tuple[ModelSpec, list[ObjectDiff]]:
        """Return the spec that a SeldonDeployment would be adopted as, and what would change: never what runs."""
        spec = await adoptable(self.cluster, self.settings, namespace, name)
        deed = self.deed("look")
        diffs = await self.diff(namespace, name, lambda record: edits.adopt(record, spec, deed))
        refuse_changes(diffs)
        return spec, diffs

    async def adopt(self, namespace: str, name: str, reason: str) -> Record:
        """Take over a SeldonDeployment that runs, as it is. Refused where anything but labels would change."""
        spec, _ = await self.adoption(namespace, name)
        deed = self.deed(reason)
        return await self.submit(namespace, name, lambda record: edits.adopt(record, spec, deed))

    async def rebuild(self, namespace: str, name: str, ask: Ask, reason: str, *, template: str = "") -> Record:
        """Want an image built anew by a Job (of the cluster's template, or this one) and its rollout."""
        builder, deed = self.converger.builder, self.deed(reason)
        record = await self.record(namespace, name)
        text = template or await builder.template()
        job = job_of(text, ask, record, deed.id, timeout_s=builder.settings.timeout)
        self._refuse_unjudgeable(ask.plan)
        needed = self.gate.needed("rollout", record) if self.gate else 0
        rebuild(record, ask, job, deed, needed=needed)
        await builder.jobs.start(job, dry_run=True)
        return await self.submit(namespace, name, lambda found: rebuild(found, ask, job, deed, needed=needed))

    async def converge(self, namespace: str, name: str) -> Record:
        """Carry out what is written down, until it is done, paused or failed. Raises PlatformError."""
        return await self.converger.run(namespace, name)

    async def diff(self, namespace: str, name: str, edit: Edit) -> list[ObjectDiff]:
        """Return what carrying out the edit would change on the cluster, without changing anything."""
        stored = await self.store.load(namespace, name)
        record, seen = edit(stored.record), await self.cluster.look(namespace, name)
        asked = self._renderer.wanted(_at_first_step(record), seen, now=None)
        await self.cluster.refuse_conflicts(route.body for route in asked.routes or ())
        diffs = []
        bodies = [body for body, _ in asked.workload] + [route.body for route in asked.routes or ()]
        for item in bodies:
            before = await self.cluster.read(item)
            after = (await self.cluster.apply([item], dry_run=True))[0]
            diffs.append(compare(before, after))
        kept = {item.address for item in bodies}
        gone = sorted(seen.objects - kept)
        return diffs + [ObjectDiff(kind, found, "remove") for _, kind, _, found in gone]

    def _refuse_unjudgeable(self, plan: RolloutPlan) -> None:
        if plan.judged and plan.steps and self.converger.figures is None:
            rule = (
                "there is nothing to judge by: set judge.prometheus or judge.exporter, or go on by time alone "
                "(--unjudged, judged: false)"
            )
            raise Refused([Refusal("plan.judged", True, rule)])

    def _admitted(self, edit: Edit) -> Edit:
        gate = self.gate
        return edit if gate is None else lambda record: gate.admit(record, edit(record))

    async def _check(self, before: Record, record: Record) -> None:
        if record.stable is None or record.deleting:
            return
        seen = await self.cluster.look(record.namespace, record.name)
        asked = self._renderer.wanted(_at_first_step(record), seen, now=None)
        routes = [route.body for route in asked.routes or ()]
        workload = [body for body, _ in asked.workload]
        if before.stable is None and record.operation is not None and record.operation.verb != "adopt":
            await refuse_foreign(self.cluster, [*workload, *routes], record.name)
        await refuse_unreachable(self.cluster, before, record)
        await self.cluster.refuse_conflicts(routes)
        await self.cluster.apply(workload, dry_run=True)
        # ingress-nginx's webhook would refuse a main route to a Service that does not exist yet only by its path.
        await self.cluster.apply([item for item in routes if item.kind in ROUTE_KINDS], dry_run=True)


def local_author() -> str:
    """Return who runs this command: MILEPOST_AUTHOR, as a CI job sets it, else the operating system's user."""
    return os.environ.get("MILEPOST_AUTHOR", "") or getpass.getuser()


def _at_first_step(record: Record) -> Record:
    """Return the record with its rollout at the first step, whose second route can then be checked as well."""
    progress = record.rollout
    if progress is None or progress.step >= 0 or not progress.plan.steps:
        return record
    return replace(record, rollout=replace(progress, step=0))
