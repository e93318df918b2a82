"""`milepost model …`: deploy, roll out, roll back and explain models from a terminal or a pipeline.

Every verb writes its wish into the model's record and then, with `--wait` (the default), carries it out and prints
each step; `--no-wait` leaves that to whoever runs `milepost model converge` next. Data goes to stdout, progress to
stderr.

Exit codes: 0 done · 1 failed, refused or denied · 2 wrong usage · 3 there is no such model · 4 busy, or the API server
does not answer: try again · 5 `diff` found changes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import click
import msgspec
import yaml

from deploy import edits
from deploy.converge import Progress
from deploy.diff import told
from deploy.edits import Deed
from deploy.errors import Absent, Broken, Busy, PlatformError, Refusal, Refused, Unavailable
from deploy.evidence import gather
from deploy.lastlines import last_lines
from deploy.operate import Platform, local_author
from deploy.record import Record, RolloutPlan, Thresholds
from deploy.rollout import canary
from deploy.session import GROUPS, opened
from deploy.spec import External, ModelSpec, Split
from deploy.specfile import read_spec
from deploy.status import status_of
from deploy.why import why
from milepost.kube import KubeConfigError
from milepost.settings import SettingsError, add_options, load

EXIT_CODES: dict[type[PlatformError], int] = {Absent: 3, Busy: 4, Unavailable: 4, Broken: 1}
EXIT_CHANGES = 5

Body = Callable[[Platform], Awaitable[Any]]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def model() -> None:
    """Deploy, roll out, roll back and explain models."""


def _command(name: str, group: click.Group = model) -> Callable[[Callable[..., Body]], click.Command]:
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

        return group.command(name)(add_options(GROUPS)(run))

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


def _named(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("key", metavar="NAMESPACE/NAME")(function)


def _verb(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--reason", default="", help="Why; kept in the history and the audit trail.")(function)
    return click.option("--wait/--no-wait", default=True, show_default=True, help="Carry it out now.")(function)


_output = click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table")
_file = click.option("-f", "--file", "file", type=click.File("r"), required=True, help="The model spec; - is stdin.")


def _split(key: str) -> tuple[str, str]:
    namespace, slash, name = key.partition("/")
    if not slash or not namespace or not name:
        raise click.BadParameter(f"{key!r} is not NAMESPACE/NAME", param_hint="NAMESPACE/NAME")
    return namespace, name


def _doing(key: str, edit: Callable[[Record, Deed], Record], *, reason: str, wait: bool, atomic: bool = False) -> Body:
    namespace, name = _split(key)

    async def body(platform: Platform) -> None:
        deed = platform.deed(reason, atomic=atomic)
        record = await platform.submit(namespace, name, lambda found: edit(found, deed))
        if wait and (record.active or record.rollout is not None or record.deleting):
            record = await platform.converge(namespace, name)
        if record.operation is not None:
            click.echo(f"{key}: {record.operation.verb} {record.operation.state} {record.operation.message}".rstrip())

    return body


@_command("create")
@_file
@_verb
def create(file: Any, reason: str, wait: bool) -> Body:
    """Deploy a model that does not exist yet."""
    spec = read_spec(file.read())

    def edit(record: Record, deed: Deed) -> Record:
        if record.stable is not None:
            raise Refused([Refusal("name", spec.key, "it exists already: `milepost model apply` changes it")])
        return edits.apply(record, spec, deed, verb="create")

    return _doing(spec.key, edit, reason=reason, wait=wait)


@_command("apply")
@_file
@_verb
@click.option("--atomic", is_flag=True, help="Go back to the revision before when it does not become ready.")
def apply(file: Any, reason: str, wait: bool, atomic: bool) -> Body:
    """Deploy a model or change it in place."""
    spec = read_spec(file.read())
    edit = functools.partial(_applied, spec)
    return _doing(spec.key, edit, reason=reason, wait=wait, atomic=atomic)


def _applied(spec: ModelSpec, record: Record, deed: Deed) -> Record:
    return edits.apply(record, spec, deed)


@_command("diff")
@_file
def diff(file: Any) -> Body:
    """Show what an apply would change, by a dry-run on the server. Exit code 5: something would."""
    spec = read_spec(file.read())

    async def body(platform: Platform) -> None:
        deed = platform.deed("diff")
        diffs = await platform.diff(spec.namespace, spec.name, lambda found: edits.apply(found, spec, deed))
        text = told(diffs)
        click.echo(text or "nothing would change")
        if text:
            raise SystemExit(EXIT_CHANGES)

    return body


@_command("delete")
@_named
@_verb
@click.option("--purge", is_flag=True, help="Remove the history as well.")
def delete(key: str, reason: str, wait: bool, purge: bool) -> Body:
    """Take a model away: its route, then, after a drain, the rest."""
    gone = _doing(key, edits.delete, reason=reason, wait=wait or purge)

    async def body(platform: Platform) -> None:
        await platform.record(*_split(key))
        await gone(platform)
        if purge:
            await platform.store.purge(*_split(key))

    return body


@_command("scale")
@_named
@click.argument("replicas", type=click.IntRange(0, 1000))
@_verb
def scale(key: str, replicas: int, reason: str, wait: bool) -> Body:
    """Change the number of replicas."""
    return _doing(key, lambda record, deed: edits.scale(record, replicas, deed), reason=reason, wait=wait)


@_command("restart")
@_named
@_verb
def restart(key: str, reason: str, wait: bool) -> Body:
    """Replace every pod, one after another."""
    return _doing(key, edits.restart, reason=reason, wait=wait)


@_command("rollback")
@_named
@click.option("--to", type=int, default=None, help="The revision; without it the one before.")
@_verb
def rollback(key: str, to: int | None, reason: str, wait: bool) -> Body:
    """Go back to a revision in one step; a rollout in progress is aborted."""
    return _doing(key, lambda record, deed: edits.rollback(record, to, deed), reason=reason, wait=wait)


@_command("converge")
@_named
def converge(key: str) -> Body:
    """Go on with whatever is written down: after a crash, or after --no-wait."""
    namespace, name = _split(key)

    async def body(platform: Platform) -> None:
        await platform.record(namespace, name)
        await platform.converge(namespace, name)

    return body


@_command("history")
@_named
@_output
def history(key: str, output: str) -> Body:
    """Show each applied spec with author, time and reason, and the audit trail."""

    async def body(platform: Platform) -> None:
        record = await platform.record(*_split(key))
        rows = [
            {"revision": item.number, "at": item.at, "author": item.author, "reason": item.reason, "spec": item.spec}
            for item in record.revisions
        ]
        audit = msgspec.to_builtins(record.audit)
        _show({"revisions": rows, "audit": audit}, output, rows, ("revision", "author", "reason"))

    return body


@_command("status")
@_named
@_output
def status(key: str, output: str) -> Body:
    """Show a model's tracks, rollout and the steps left."""

    async def body(platform: Platform) -> None:
        found = msgspec.to_builtins(status_of(await platform.look(*_split(key))))
        if output == "table":
            for field in ("state", "seldon", "operation", "rollout", "migration"):
                if found[field]:
                    click.echo(f"{field}: {found[field]}")
        columns = ("role", "predictor", "revision", "wanted", "available", "endpoints", "service", "unready")
        _show(found, output, found["tracks"], columns)

    return body


@_command("why")
@_named
@_output
def why_command(key: str, output: str) -> Body:
    """Say why a model does not serve, with the last log lines and what to do."""

    async def body(platform: Platform) -> None:
        look = await platform.look(*_split(key))
        findings = why(await gather(platform.cluster, look))
        found = [msgspec.to_builtins(item) for item in findings]
        if output != "table":
            _show(found, output, found, ())
            return
        async with aiohttp.ClientSession() as session:
            for item in findings:
                lines = await last_lines(session, platform.logs, look.record.namespace, item)
                click.echo(f"{item.rule}: {item.about}\n    {item.found}\n  → {item.todo}")
                if lines:
                    click.echo("    | " + lines.replace("\n", "\n    | "))
        if not findings:
            click.echo(f"{key}: nothing found that would keep it from serving")

    return body


@model.group("rollout")
def rollout() -> None:
    """Bring a new version up beside the old one and move requests to it in steps."""


@_command("start", rollout)
@_file
@click.option(
    "--steps", default="10,25,50,100", show_default=True, help="Percent of requests, step by step; '' = none."
)
@click.option("--hold", type=float, default=60, show_default=True, help="Seconds that each step is held.")
@click.option("--header", default=None, help="Requests with this header (always/never, or --header-value) go first.")
@click.option("--header-value", default=None)
@click.option("--cookie", default=None)
@click.option("--judged/--unjudged", default=True, show_default=True, help="Judge error ratio and p99.")
@click.option("--auto-promote/--no-auto-promote", default=True, show_default=True)
@click.option("--error-ratio-max", type=float, default=0.05, show_default=True)
@click.option("--p99-worse", type=float, default=1.5, show_default=True, help="Factor over the stable track.")
@click.option("--requests-min", type=int, default=50, show_default=True)
@click.option("--keep", type=float, default=0, show_default=True, help="Seconds the old version is kept running after.")
@_verb
def start(file: Any, reason: str, wait: bool, **options: Any) -> Body:
    """Start a canary; with --steps '' a blue/green switch."""
    spec, plan = read_spec(file.read()), _plan(**options)
    edit = functools.partial(_started, spec, plan)
    return _doing(spec.key, edit, reason=reason, wait=wait)


def _started(spec: ModelSpec, plan: RolloutPlan, record: Record, deed: Deed) -> Record:
    return edits.start_rollout(record, spec, plan, deed)


def _plan(
    *, steps: str, hold: float, header: str | None, header_value: str | None, cookie: str | None, judged: bool,
    auto_promote: bool, error_ratio_max: float, p99_worse: float, requests_min: int, keep: float,
) -> RolloutPlan:  # fmt: skip
    limits = Thresholds(error_ratio_max=error_ratio_max, p99_worse=p99_worse, requests_min=requests_min)
    options: dict[str, Any] = {
        "judged": judged, "auto_promote": auto_promote, "keep_s": keep, "thresholds": limits,
    }  # fmt: skip
    if not steps:
        return RolloutPlan(**options)
    split = Split(header=header, header_value=header_value, cookie=cookie)
    return canary(tuple(int(step) for step in steps.split(",")), hold, split=split, **options)


def _simple(name: str, edit: Callable[[Record, Deed], Record], text: str) -> None:
    @_command(name, rollout)
    @_named
    @_verb
    def run(key: str, reason: str, wait: bool) -> Body:
        return _doing(key, edit, reason=reason, wait=wait)

    run.help = text


_simple("pause", edits.pause, "Hold the rollout where it is.")
_simple("resume", edits.resume, "Let a paused rollout go on.")
_simple("promote", edits.promote, "Make the candidate the stable track now.")
_simple("abort", edits.abort, "Send everything back to the stable track and remove the candidate.")


@_command("migrate")
@_named
@click.argument("percent", type=click.IntRange(0, 100))
@click.option("--from-service", default=None, help="The old address: a Service of the namespace.")
@click.option("--from-host", default=None, help="The old address: a DNS name.")
@click.option("--port", type=int, default=80, show_default=True, help="The old address's port.")
@click.option("--header", default=None, help="Requests with this header: always go to the model.")
@click.option("--finish", is_flag=True, help="At 100 %: give the main route to the model alone.")
@_verb
def migrate(key: str, percent: int, *, finish: bool, reason: str, wait: bool, **address: Any) -> Body:
    """Share requests between the old address and the model; 0 switches back in one step."""
    service, host = address["from_service"], address["from_host"]
    old = External(port=address["port"], service=service, hostname=host) if service or host else None
    split = Split(percent=percent, header=address["header"])
    if finish:
        return _doing(key, edits.finish_migration, reason=reason, wait=wait)
    return _doing(key, lambda record, deed: edits.migrate(record, old, split, deed), reason=reason, wait=wait)


def _show(document: Any, output: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if output == "json":
        click.echo(msgspec.json.encode(document).decode())
    elif output == "yaml":
        click.echo(yaml.safe_dump(document, sort_keys=False))
    else:
        cells = [[str(row[column]) for column in columns] for row in rows]
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for line in [[name.upper() for name in columns], *cells]:
            click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
