"""The verbs by which a version comes from elsewhere: adopted from the cluster, built anew, or shadowing the model."""

from __future__ import annotations

from typing import Any

import click

from deploy.cli.command import Body, at, command, doing, followed, named, verb_options
from deploy.cli.rollout import plan_of, plan_options
from deploy.objects.diff import told
from deploy.operate import Platform
from deploy.rebuild import Ask
from deploy.record import edits
from deploy.spec.file import read_document, shadow_of, write_spec


@command("rebuild")
@named
@click.option("--image", required=True, metavar="REPOSITORY:TAG", help="What the Job pushes; used by its digest.")
@click.option("--base", default="", help="The base image to build on, {{base}} of the template.")
@click.option("--commit", default="", help="The commit to build, {{commit}} of the template.")
@click.option("--unit", default="", help="The unit of an inference graph whose image it is.")
@click.option("--template", type=click.File("r"), default=None, help="A Job template in place of the cluster's.")
@plan_options
@verb_options
def rebuild(
    key: str, *, image: str, base: str, commit: str, unit: str, template: Any, reason: str, wait: bool, **options: Any
) -> Body:
    """Build a custom server's image by a Job, then roll it out by the options below."""
    ask = Ask(image, plan_of(**options), base, commit, unit)
    text = template.read() if template else ""

    async def body(platform: Platform) -> None:
        record = await platform.rebuild(*at(platform, key), ask, reason, template=text)
        await followed(platform, record, wait=wait)

    return body


@command("adopt")
@named
@click.option("--dry-run", is_flag=True, help="Print the spec, with what would change as comments, and change nothing.")
@verb_options
def adopt(key: str, dry_run: bool, reason: str, wait: bool) -> Body:
    """Take over a SeldonDeployment that runs, with its Ingress; nothing restarts."""

    async def body(platform: Platform) -> None:
        if dry_run:
            spec, diffs = await platform.adoption(*at(platform, key))
            click.echo(write_spec(spec) + "".join(f"# {line}\n" for line in told(diffs).splitlines()), nl=False)
            return
        await followed(platform, await platform.adopt(*at(platform, key), reason), wait=wait)

    return body


@command("shadow")
@named
@click.option(
    "-f", "--file", "file", type=click.File("r"), default=None, help="The shadow's server, as `shadow` of a spec."
)
@click.option("--remove", is_flag=True, help="Take the shadow away.")
@verb_options
def shadow(key: str, file: Any, remove: bool, reason: str, wait: bool) -> Body:
    """Send a copy of the requests to another server, whose answers are thrown away."""
    if remove == (file is not None):
        raise click.UsageError("give the shadow's server with -f, or --remove")
    wanted = shadow_of(read_document(file.read())) if file else None
    return doing(key, lambda record, deed: edits.shadow(record, wanted, deed), reason=reason, wait=wait)
