"""The verbs of environments: propose, proposal, approve, reject, promote-to."""

from __future__ import annotations

import dataclasses
from typing import Any

import click
import msgspec

from deploy.cli.command import (
    Body,
    SettingsBody,
    at,
    command,
    followed,
    named,
    output_option,
    settings_command,
    show,
    spec_file,
    split_key,
    submitted,
    tell,
    verb_options,
)
from deploy.cli.rollout import plan_of, plan_options
from deploy.cli.session import Settings, opened
from deploy.environments import proposals
from deploy.environments.gate import Gate
from deploy.environments.promotion import Promotion, promotion
from deploy.environments.proposals import Wish
from deploy.errors import Absent
from deploy.objects.diff import told
from deploy.operate import Platform, local_author
from deploy.record import Proposal, Record
from deploy.spec.file import read_spec
from milepost.settings import SettingsError

_rollout = click.option("--rollout", "rolled", is_flag=True, help="As a rollout by the options below, not in place.")
_reason = click.option("--reason", default="", help="Why; kept in the history and the audit trail.")


@command("propose")
@spec_file
@_rollout
@plan_options
@_reason
def propose(file: Any, rolled: bool, reason: str, **options: Any) -> Body:
    """Ask for the approvals that the environment wants before a spec is applied or rolled out."""
    spec = read_spec(file.read())

    async def body(platform: Platform) -> None:
        here = platform.here(spec)
        wish = Wish("rollout", here, plan_of(**options)) if rolled else Wish("apply", here)
        await _proposed(platform, here.key, wish, reason)

    return body


@command("propose-delete")
@named
@_reason
def propose_delete(key: str, reason: str) -> Body:
    """Ask for the approvals that the environment wants before a model is deleted."""

    async def body(platform: Platform) -> None:
        await _proposed(platform, "/".join(at(platform, key)), Wish("delete"), reason)

    return body


async def _proposed(platform: Platform, key: str, wish: Wish, reason: str) -> None:
    namespace, _, name = key.partition("/")
    record = await platform.propose(namespace, name, wish, reason)
    if record.proposal is not None:
        click.echo(_line(record, record.proposal))


@command("proposal")
@named
@output_option
def proposal(key: str, output: str) -> Body:
    """Show what waits for approvals, and what it would change."""

    async def body(platform: Platform) -> None:
        record = await platform.record(*at(platform, key))
        if record.proposal is None:
            raise Absent(f"nothing of {record.key} waits for an approval")
        if output != "table":
            show(msgspec.to_builtins(record.proposal), output, [], ())
            return
        click.echo(_line(record, record.proposal))
        deed, waiting = platform.deed("look"), record.proposal
        diffs = await platform.diff(*at(platform, key), lambda found: proposals.carried_out(found, waiting, deed))
        click.echo(told(diffs) or "nothing would change")

    return body


@command("approve")
@named
@click.argument("proposal_id", metavar="PROPOSAL")
@verb_options
def approve(key: str, proposal_id: str, reason: str, wait: bool) -> Body:
    """Approve the proposal of this id; with the last approval needed it is carried out."""

    async def body(platform: Platform) -> None:
        record = await platform.submit(*at(platform, key), platform.approval(proposal_id, platform.deed(reason)))
        if record.proposal is None:
            await followed(platform, record, wait=wait)
        else:
            click.echo(_line(record, record.proposal))

    return body


@command("reject")
@named
@click.argument("proposal_id", metavar="PROPOSAL")
@_reason
def reject(key: str, proposal_id: str, reason: str) -> Body:
    """Take a proposal away."""

    async def body(platform: Platform) -> None:
        deed = platform.deed(reason)
        await platform.submit(*at(platform, key), lambda found: proposals.reject(found, proposal_id, deed))
        click.echo(f"{key}: proposal {proposal_id} rejected by {deed.author}")

    return body


@settings_command("promote-to")
@click.argument("target", metavar="ENV")
@named
@_rollout
@plan_options
@click.option("--dry-run", is_flag=True, help="Show the differences and change nothing.")
@verb_options
def promote_to(
    target: str, key: str, *, rolled: bool, dry_run: bool, reason: str, wait: bool, **options: Any
) -> SettingsBody:
    """Bring what serves in one environment (--env) to the next: differences, policy, then an apply or a proposal."""

    async def body(settings: Settings) -> None:
        async with opened(settings, author=local_author()) as source:
            serving = await source.look(*at(source, key))
            whence = source.gate.environment if source.gate else None
        there = dataclasses.replace(settings["environments"], name=target)
        async with opened({**settings, "environments": there}, author=local_author(), progress=tell) as platform:
            if platform.gate is None:
                raise SettingsError(f"{target} is no environment: environments.file names no file of them")
            to = platform.gate.environment
            record = (await platform.store.load(*at(platform, key))).record
            plan = plan_of(**options) if rolled and record.stable is not None else None
            moved = promotion(serving, whence, to, namespace=split_key(key)[0], plan=plan)
            await _shown(platform, moved)
            if dry_run:
                deed, needed = platform.deed("dry run"), platform.gate.needed(moved.wish.verb, record)
                platform.gate.admit(record, proposals.propose(record, moved.wish, deed, needed=needed))
            else:
                await _promoted(platform, platform.gate, moved, reason, wait=wait)

    return body


async def _shown(platform: Platform, moved: Promotion) -> None:
    click.echo(f"{moved.wish.origin} → {moved.spec.key}")
    for change in moved.differences:
        click.echo(f"    {change}")
    deed = platform.deed("promote-to")
    diffs = await platform.diff(moved.spec.namespace, moved.spec.name, lambda found: moved.applied(found, deed))
    click.echo(told(diffs) or "nothing would change there")


async def _promoted(platform: Platform, gate: Gate, moved: Promotion, reason: str, *, wait: bool) -> None:
    why = f"promoted from {moved.wish.origin}" + (f": {reason}" if reason else "")
    record = (await platform.store.load(moved.spec.namespace, moved.spec.name)).record
    if gate.needed(moved.wish.verb, record):
        await _proposed(platform, moved.spec.key, moved.wish, reason)
        return
    deed = platform.deed(why)
    await submitted(platform, moved.spec.key, lambda found: moved.applied(found, deed), wait=wait)


def _line(record: Record, waiting: Proposal) -> str:
    stale = record.stable.revision if record.stable else 0
    state = "STALE: the model has changed since; propose it again" if stale != waiting.base else "waits"
    votes = ", ".join(vote.author for vote in waiting.votes) or "nobody yet"
    origin = f" from {waiting.origin}" if waiting.origin else ""
    return (
        f"{record.key}: proposal {waiting.id}: {waiting.verb}{origin} by {waiting.author}"
        f"{f' ({waiting.reason})' if waiting.reason else ''}: {state}, "
        f"{len(waiting.votes)} of {waiting.needed} approvals ({votes})"
    )
