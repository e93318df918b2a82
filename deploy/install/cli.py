"""`milepost install --check`: what a cluster lacks, and what to do about each thing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import click
import msgspec

from deploy.errors import Unavailable
from deploy.install.checks import Finding, State, check
from deploy.install.survey import survey
from deploy.settings import Cluster
from milepost.kube import KubeClient, KubeConfigError, KubeSettings
from milepost.settings import SettingsError, add_options, load

GROUPS: Mapping[str, type] = {"cluster": Cluster, "kube": KubeSettings}
EXIT_LACKING = 1
EXIT_UNREACHABLE = 2
MARKS = {State.PRESENT: "ok", State.MISSING: "missing", State.UNKNOWN: "unknown"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--check", "checking", is_flag=True, help="Look at the cluster and change nothing.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--seldon-namespace", default="seldon-system", show_default=True, help="Where Seldon Core is installed.")
@add_options(GROUPS)
def install(checking: bool, output: str, seldon_namespace: str, config: Path | None, **flags: str | None) -> None:
    """Check what a cluster lacks for Milepost.

    Installing itself is kustomize's: `kubectl apply -k deploy/kustomize/overlays/qa`. Exit code 0: everything that is
    required is there; 1: something is missing; 2: the API server does not answer.
    """
    if not checking:
        raise click.UsageError("only --check is done here; install with: kubectl apply -k deploy/kustomize/overlays/…")
    try:
        settings = load(GROUPS, flags=flags, env=os.environ, file=config)
        findings = asyncio.run(_look(settings["cluster"], settings["kube"], seldon_namespace))
    except (SettingsError, KubeConfigError) as error:
        raise click.ClickException(str(error)) from error
    except Unavailable as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(EXIT_UNREACHABLE) from error
    click.echo(_json(findings) if output == "json" else table(findings))
    raise SystemExit(EXIT_LACKING if any(item.blocks for item in findings) else 0)


def table(findings: Iterable[Finding]) -> str:
    """Return the findings as aligned columns, what to do in a line below its finding."""
    rows = list(findings)
    width = max(len(item.name) for item in rows)
    lines = []
    for item in rows:
        need = "required" if item.required else "optional"
        lines.append(f"{MARKS[item.state]:<8} {need:<9} {item.name:<{width}}  {item.found}")
        if item.todo:
            lines.append(f"{'':<18} {'':<{width}}  → {item.todo}")
    lacking = [item.name for item in rows if item.blocks]
    lines.append("")
    lines.append(f"Missing and required: {', '.join(lacking)}" if lacking else "Everything required is there.")
    return "\n".join(lines)


async def _look(cluster: Cluster, kube: KubeSettings, seldon_namespace: str) -> list[Finding]:
    async with KubeClient.load(settings=kube) as client:
        return check(await survey(client, seldon_namespace=seldon_namespace), cluster)


def _json(findings: Iterable[Finding]) -> str:
    rows = [msgspec.to_builtins(item) | {"blocks": item.blocks} for item in findings]
    return msgspec.json.format(msgspec.json.encode(rows)).decode()
