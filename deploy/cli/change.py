"""The verbs that change one model: create, apply, delete, scale, restart, rollback, migrate, converge."""

from __future__ import annotations

from typing import Any

import click

from deploy.cli.command import Body, at, carried_out, command, doing, doing_spec, named, spec_file, verb_options
from deploy.errors import Refusal, Refused
from deploy.operate import Platform
from deploy.record import Record, edits
from deploy.record.journal import Deed
from deploy.spec import ModelSpec
from deploy.spec.file import read_spec
from deploy.spec.release import External, Split


@command("create")
@spec_file
@verb_options
def create(file: Any, reason: str, wait: bool) -> Body:
    """Deploy a model that does not exist yet."""
    spec = read_spec(file.read())

    def edit(record: Record, here: ModelSpec, deed: Deed) -> Record:
        if record.stable is not None:
            raise Refused([Refusal("name", record.key, "it exists already: `milepost model apply` changes it")])
        return edits.apply(record, here, deed, verb="create")

    return doing_spec(spec, edit, reason=reason, wait=wait)


@command("apply")
@spec_file
@verb_options
@click.option("--atomic", is_flag=True, help="Go back to the revision before when it does not become ready.")
def apply(file: Any, reason: str, wait: bool, atomic: bool) -> Body:
    """Deploy a model or change it in place."""
    return doing_spec(read_spec(file.read()), edits.apply, reason=reason, wait=wait, atomic=atomic)


@command("delete")
@named
@verb_options
@click.option("--purge", is_flag=True, help="Remove the history as well.")
def delete(key: str, reason: str, wait: bool, purge: bool) -> Body:
    """Take a model away: its route, then, after a drain, the rest."""
    gone = doing(key, edits.delete, reason=reason, wait=wait or purge)

    async def body(platform: Platform) -> None:
        await platform.record(*at(platform, key))
        await gone(platform)
        if purge:
            await platform.store.purge(*at(platform, key))

    return body


@command("scale")
@named
@click.argument("replicas", type=click.IntRange(0, 1000))
@verb_options
def scale(key: str, replicas: int, reason: str, wait: bool) -> Body:
    """Change the number of replicas."""
    return doing(key, lambda record, deed: edits.scale(record, replicas, deed), reason=reason, wait=wait)


@command("restart")
@named
@verb_options
def restart(key: str, reason: str, wait: bool) -> Body:
    """Replace every pod, one after another."""
    return doing(key, edits.restart, reason=reason, wait=wait)


@command("rollback")
@named
@click.option("--to", type=int, default=None, help="The revision; without it the one before.")
@verb_options
def rollback(key: str, to: int | None, reason: str, wait: bool) -> Body:
    """Go back to a revision in one step; a rollout in progress is aborted."""
    return doing(key, lambda record, deed: edits.rollback(record, to, deed), reason=reason, wait=wait)


@command("converge")
@named
def converge(key: str) -> Body:
    """Go on with whatever is written down: after a crash, or after --no-wait."""

    async def body(platform: Platform) -> None:
        await carried_out(platform, await platform.record(*at(platform, key)))

    return body


@command("migrate")
@named
@click.argument("percent", type=click.IntRange(0, 100))
@click.option("--from-service", default=None, help="The old address: a Service of the namespace.")
@click.option("--from-host", default=None, help="The old address: a DNS name.")
@click.option("--port", type=int, default=80, show_default=True, help="The old address's port.")
@click.option("--header", default=None, help="Requests with this header: always go to the model.")
@click.option("--finish", is_flag=True, help="At 100 %: give the main route to the model alone.")
@verb_options
def migrate(key: str, percent: int, *, finish: bool, reason: str, wait: bool, **address: Any) -> Body:
    """Share requests between the old address and the model; 0 switches back in one step."""
    service, host = address["from_service"], address["from_host"]
    old = External(port=address["port"], service=service, hostname=host) if service or host else None
    split = Split(percent=percent, header=address["header"])
    if finish:
        return doing(key, edits.finish_migration, reason=reason, wait=wait)
    return doing(key, lambda record, deed: edits.migrate(record, old, split, deed), reason=reason, wait=wait)
