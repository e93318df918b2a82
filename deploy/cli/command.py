"""What every verb of `milepost model` shares: its options, its run against a platform, its output and exit codes.

A verb is a function of its own options that returns what to do with a `Platform`; `command` makes a click command of
it, with all settings as flags. Data goes to stdout, progress to stderr.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from deploy.converge import Progress
from deploy.errors import Absent, Broken, Busy, PlatformError, Refused, Unavailable
from deploy.journal import Deed
from deploy.operate import Platform, local_author
from deploy.record import Record
from deploy.session import GROUPS, opened
from milepost.kube import KubeConfigError
from milepost.settings import SettingsError, add_options, load

EXIT_CODES: dict[type[PlatformError], int] = {Absent: 3, Busy: 4, Unavailable: 4, Broken: 1}
EXIT_CHANGES = 5

Body = Callable[[Platform], Awaitable[Any]]


def command(name: str) -> Callable[[Callable[..., Body]], click.Command]:
    """Make a click command of a function that takes its own options and returns what to do with a platform."""

    def decorate(function: Callable[..., Body]) -> click.Command:
        @functools.wraps(function)
        def run(config: Path | None, **options: Any) -> None:
            names = {
                f"{item}_{field}"
                for item, cls in GROUPS.items()
                for field in (one.name for one in dataclasses.fields(cls))
            }
            flags = {key: value for key, value in options.items() if key in names}
            own = {key: value for key, value in options.items() if key not in names}
            _run(function(**own), flags, config)

        return click.command(name)(add_options(GROUPS)(run))

    return decorate


def _run(body: Body, flags: dict[str, str | None], config: Path | None) -> None:
    async def inside() -> Any:
        settings = load(GROUPS, flags=flags, env=os.environ, file=config)
        async with opened(settings, author=local_author(), progress=_print) as platform:
            return await body(platform)

    try:
        asyncio.run(inside())
    except (SettingsError, KubeConfigError) as error:
        raise click.ClickException(str(error)) from error
    except PlatformError as error:
        lines = [str(item) for item in error.refusals] if isinstance(error, Refused) else [str(error)]
        for line in lines:
            click.echo(f"Error: {line}", err=True)
        raise SystemExit(EXIT_CODES.get(type(error), 1)) from error


def _print(progress: Progress) -> None:
    click.echo(f"{progress.record.key}: {progress.message}", err=True)


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument that says which model."""
    return click.argument("key", metavar="NAMESPACE/NAME")(function)


def verb_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every change has: --reason and --wait."""
    function = click.option("--reason", default="", help="Why; kept in the history and the audit trail.")(function)
    return click.option("--wait/--no-wait", default=True, show_default=True, help="Carry it out now.")(function)


output_option = click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table")
spec_file = click.option(
    "-f", "--file", "file", type=click.File("r"), required=True, help="The model spec; - is stdin."
)


def split_key(key: str) -> tuple[str, str]:
    """Return (namespace, name) of what was given as the model."""
    namespace, slash, name = key.partition("/")
    if not slash or not namespace or not name:
        raise click.BadParameter(f"{key!r} is not NAMESPACE/NAME", param_hint="NAMESPACE/NAME")
    return namespace, name


def doing(key: str, edit: Callable[[Record, Deed], Record], *, reason: str, wait: bool, atomic: bool = False) -> Body:
    """Return what writes an edit of the record down and, with `wait`, carries it out."""
    namespace, name = split_key(key)

    async def body(platform: Platform) -> None:
        deed = platform.deed(reason, atomic=atomic)
        record = await platform.submit(namespace, name, lambda found: edit(found, deed))
        if wait and (record.active or record.rollout is not None or record.deleting):
            record = await platform.converge(namespace, name)
        if record.operation is not None:
            click.echo(f"{key}: {record.operation.verb} {record.operation.state} {record.operation.message}".rstrip())

    return body


def show(document: Any, output: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """Print a document as JSON or YAML, or these columns of its rows as a table."""
    if output == "json":
        click.echo(msgspec.json.encode(document).decode())
    elif output == "yaml":
        click.echo(yaml.safe_dump(document, sort_keys=False))
    else:
        cells = [[str(row[column]) for column in columns] for row in rows]
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for line in [[name.upper() for name in columns], *cells]:
            click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
