"""The verbs that only look: status, history, why, diff."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from deploy.cli.command import EXIT_CHANGES, Body, at, command, named, output_option, show, spec_file
from deploy.objects.diff import told
from deploy.operate import Platform
from deploy.operate.evidence import gather
from deploy.operate.lastlines import lines_of
from deploy.record import edits
from deploy.spec.file import read_spec
from deploy.status import status_of
from deploy.why import why


@command("diff")
@spec_file
def diff(file: Any) -> Body:
    """Show what an apply would change, by a dry-run on the server. Exit code 5: something would."""
    spec = read_spec(file.read())

    async def body(platform: Platform) -> None:
        deed, here = platform.deed("diff"), platform.here(spec)
        diffs = await platform.diff(here.namespace, here.name, lambda found: edits.apply(found, here, deed))
        text = told(diffs)
        click.echo(text or "nothing would change")
        if text:
            raise SystemExit(EXIT_CHANGES)

    return body


@command("history")
@named
@output_option
def history(key: str, output: str) -> Body:
    """Show each applied spec with author, time and reason, and the audit trail."""

    async def body(platform: Platform) -> None:
        record = await platform.record(*at(platform, key))
        revisions = [
            {"revision": item.number, "at": item.at, "author": item.author, "reason": item.reason, "spec": item.spec}
            for item in record.revisions
        ]
        audit = msgspec.to_builtins(record.audit)
        if output == "table":
            show(None, output, [_timed(row) for row in revisions], ("revision", "time", "author", "reason"))
            click.echo()
            show(None, output, [_timed(row) for row in audit], ("time", "author", "verb", "detail"))
            return
        show({"revisions": revisions, "audit": audit}, output, [], ())

    return body


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "time": datetime.fromtimestamp(row["at"], UTC).strftime("%Y-%m-%d %H:%M:%SZ")}


@command("status")
@named
@output_option
def status(key: str, output: str) -> Body:
    """Show a model's tracks, rollout and the steps left."""

    async def body(platform: Platform) -> None:
        found = msgspec.to_builtins(status_of(await platform.look(*at(platform, key))))
        if output == "table":
            for field in ("state", "seldon", "operation", "rollout", "migration"):
                if found[field]:
                    click.echo(f"{field}: {found[field]}")
        columns = ("role", "predictor", "revision", "wanted", "available", "endpoints", "service", "unready")
        show(found, output, found["tracks"], columns)
        if output == "table":
            for step in found["left"]:
                click.echo(f"left: {step}")

    return body


@command("why")
@named
@output_option
def why_command(key: str, output: str) -> Body:
    """Say why a model does not serve, with the last log lines and what to do."""

    async def body(platform: Platform) -> None:
        look = await platform.look(*at(platform, key))
        findings = why(await gather(platform.cluster, look))
        lines = await lines_of(platform.logs, look.record.namespace, findings)
        if output != "table":
            shown = [msgspec.to_builtins(item) | {"lines": text} for item, text in zip(findings, lines, strict=True)]
            show(shown, output, shown, ())
            return
        for item, text in zip(findings, lines, strict=True):
            click.echo(f"{item.rule}: {item.about}\n    {item.found}\n  → {item.todo}")
            if text:
                click.echo("    | " + text.replace("\n", "\n    | "))
        if all(item.severity == "note" for item in findings):
            click.echo(f"{key}: nothing found that would keep it from serving")

    return body
