"""What every verb of `milepost model` shares: its options, its run against a platform, its output and exit codes.

A verb is a function of its own options that returns what to do with a `Platform`; `command` makes a click command of
it, with all settings as flags. Data goes to stdout, progress to stderr.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from deploy.cli.completion import complete_key
from deploy.cli.session import GROUPS, Settings, opened
from deploy.cluster.store import Edit
from deploy.errors import Absent, Broken, Busy, PlatformError, Refused, Unavailable
from deploy.operate import Platform, local_author
from deploy.operate.converge import Progress
from deploy.record import Record
from deploy.record.journal import Deed
from deploy.rollout import PASSED
from deploy.spec import ModelSpec
from milepost.kube import KubeConfigError
from milepost.settings import SettingsError, add_options, load

EXIT_CODES: dict[type[PlatformError], int] = {Absent: 3, Busy: 4, Unavailable: 4, Broken: 1}
EXIT_CHANGES = 5
EXIT_LATE = 6
EXIT_PAUSED = 7

Body = Callable[[Platform], Awaitable[Any]]
SettingsBody = Callable[[Settings], Awaitable[None]]


def command(name: str) -> Callable[[Callable[..., Body]], click.Command]:
    """Make a click command of a function that takes its own options and returns what to do with a platform."""

    def of_settings(verb: Callable[[], Body]) -> SettingsBody:
        async def body(settings: Settings) -> None:
            act = verb()
            async with opened(settings, author=local_author(), progress=tell) as platform:
                await act(platform)

        return body

    return lambda function: _command(name, function, of_settings)


def settings_command(name: str) -> Callable[[Callable[..., SettingsBody]], click.Command]:
    """Make a click command of a function whose result opens the platforms it needs itself."""
    return lambda function: _command(name, function, lambda verb: verb())


def _command(name: str, function: Callable[..., Any], body_of: Callable[[Any], SettingsBody]) -> click.Command:
    names = {f"{group}_{field.name}" for group, cls in GROUPS.items() for field in dataclasses.fields(cls)}

    @functools.wraps(function)
    def run(config: Path | None, env: str | None, **options: Any) -> None:
        flags = {key: value for key, value in options.items() if key in names}
        own = {key: value for key, value in options.items() if key not in names}
        if env is not None:
            flags["environments_name"] = env

        async def inside() -> None:
            settings = load(GROUPS, flags=flags, env=os.environ, file=config)
            await body_of(functools.partial(function, **own))(settings)

        _run(inside)

    return click.command(name)(_env(add_options(GROUPS)(run)))


def _run(inside: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        asyncio.run(inside())
    except (SettingsError, KubeConfigError) as error:
        raise click.ClickException(str(error)) from error
    except PlatformError as error:
        lines = [str(item) for item in error.refusals] if isinstance(error, Refused) else [str(error)]
        for line in lines:
            click.echo(f"Error: {line}", err=True)
        raise SystemExit(EXIT_CODES.get(type(error), 1)) from error


def tell(progress: Progress) -> None:
    """Print a line of progress."""
    click.echo(f"{progress.record.key}: {progress.message}", err=True)


def _env(function: Callable[..., Any]) -> Callable[..., Any]:
    told = "The environment, of those in environments.file: its cluster, its namespaces, its policy."
    return click.option("--env", default=None, metavar="NAME", help=told)(function)


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument that says which model."""
    return click.argument("key", metavar="NAMESPACE/NAME", callback=_checked_key, shell_complete=complete_key)(function)


def _checked_key(_: click.Context, __: click.Parameter, key: str) -> str:
    split_key(key)
    return key


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


def at(platform: Platform, key: str) -> tuple[str, str]:
    """Return (namespace, name) where the model is in the platform's environment."""
    namespace, name = split_key(key)
    return platform.place(namespace), name


def doing(key: str, edit: Callable[[Record, Deed], Record], *, reason: str, wait: bool, atomic: bool = False) -> Body:
    """Return what writes an edit of the record down and, with `wait`, carries it out."""

    async def body(platform: Platform) -> None:
        deed = platform.deed(reason, atomic=atomic)
        await submitted(platform, key, lambda record: edit(record, deed), wait=wait)

    return body


def doing_spec(
    spec: ModelSpec,
    edit: Callable[[Record, ModelSpec, Deed], Record],
    *,
    reason: str,
    wait: bool,
    atomic: bool = False,
) -> Body:
    """Return the same for an edit with a spec, which goes to its namespace of the platform's environment."""

    async def body(platform: Platform) -> None:
        deed, here = platform.deed(reason, atomic=atomic), platform.here(spec)
        await submitted(platform, spec.key, lambda record: edit(record, here, deed), wait=wait)

    return body


async def submitted(platform: Platform, key: str, edit: Edit, *, wait: bool) -> None:
    """Write an edit down, carry it out with `wait`, and say how it ended."""
    await followed(platform, await platform.submit(*at(platform, key), edit), wait=wait)


async def followed(platform: Platform, record: Record, *, wait: bool) -> None:
    """Carry out what a record asks for, with `wait`, and say how it stands."""
    if wait and (record.active or record.rollout is not None or record.deleting):
        await carried_out(platform, record)
    else:
        _say_end(record)


async def carried_out(platform: Platform, asked: Record) -> None:
    """Carry a record out and say how it ended; who is kept from it, or interrupts it, is told how it goes on."""
    try:
        ended = await platform.converge(asked.namespace, asked.name)
    except (Busy, Unavailable, asyncio.CancelledError):
        told = f"what was asked for is written down: `milepost model converge {asked.key}` goes on with it"
        click.echo(f"{asked.key}: {told}", err=True)
        raise
    _say_end(ended)
    if code := exit_code(asked, ended):
        raise SystemExit(code)


def _say_end(record: Record) -> None:
    operation = record.operation
    if operation is not None:
        click.echo(f"{record.key}: {operation.verb} {operation.state} {operation.message}".rstrip())


def exit_code(asked: Record, ended: Record) -> int:
    """Return 1 where what was asked for was undone (an atomic apply reverted, a rollout aborted by its judgement),
    `EXIT_PAUSED` where a rollout was stopped on its way, and 0 where it came as far as it should."""
    if ended.operation is not None and ended.operation.verb == "revert":
        return 1
    building = asked.rebuild is not None and not asked.rebuild.cancelled
    rolled = building or (asked.rollout is not None and asked.rollout.phase != "paused")
    if ended.rollout is not None:
        return EXIT_PAUSED if rolled and ended.rollout.note != PASSED else 0
    candidate = asked.rollout.candidate if asked.rollout else None
    built = not building or ended.stable != asked.stable or ended.proposal is not None
    return 0 if built and candidate in (None, ended.stable) else 1


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
