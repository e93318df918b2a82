"""The verb that needs no cluster: render, which checks a spec and prints what an apply would send."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from deploy.cli.command import SettingsBody, settings_command, spec_file
from deploy.cli.session import Settings
from deploy.objects import to_yaml
from deploy.render import render
from deploy.spec.file import read_spec


@settings_command("render")
@spec_file
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def render_command(file: Any, output: str) -> SettingsBody:
    """Check a spec and print its objects, without a cluster.

    What only a running cluster decides is not in them: the names of Services that Seldon chooses, the labels by which
    the platform finds its objects again. `milepost model diff` asks the API server.
    """
    spec = read_spec(file.read())

    async def body(settings: Settings) -> None:
        objects = render(spec, settings["cluster"])
        if output == "json":
            click.echo(msgspec.json.encode([item.body for item in objects]).decode())
        else:
            click.echo(to_yaml(objects), nl=False)

    return body
