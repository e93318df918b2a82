"""The verbs that show models as they stand, and as they change: list, get, watch.

A list is read from the API server once and needs the right to list; following needs the right to watch as well. A
change is printed as one more row, one line of JSON or one YAML document, as it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import click
import msgspec
import yaml

from deploy.cli.command import EXIT_LATE, Body, at, command, named, output_option, show
from deploy.cluster import translated
from deploy.cluster.cache import ModelCache
from deploy.errors import Absent
from deploy.operate import Platform
from deploy.spec.file import from_document, write_spec
from deploy.status import STATES
from deploy.status.feed import Change
from deploy.status.row import Row
from deploy.status.selection import Selection, selection
from milepost.kube import KubeClient, KubeError

COLUMNS = ("namespace", "name", "state", "ready", "revision", "operation", "rollout")
GONE = "gone"


@command("list")
@click.option("-n", "--namespace", default=None, help="The namespace; default: that of the kubeconfig's context.")
@click.option("-A", "--all-namespaces", is_flag=True, help="The models of all namespaces.")
@click.option("-l", "--selector", default="", help="Labels of the SeldonDeployment: a=b, a!=b, a in (x,y), !a, ...")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only these states; repeatable.")
@click.option("-w", "--watch", "following", is_flag=True, help="Go on with every change until interrupted.")
@output_option
def list_command(
    namespace: str | None, selector: str, states: tuple[str, ...], output: str, *, all_namespaces: bool, following: bool
) -> Body:
    """Show the models of a namespace, or of all, with their states."""
    if namespace and all_namespaces:
        raise click.UsageError("give either --namespace or --all-namespaces")
    wanted = selection(states=states, selector=selector)

    async def body(platform: Platform) -> None:
        kube = platform.cluster.kube
        where = None if all_namespaces else platform.place(namespace or kube.namespace)
        rows = [row for row in await _rows(kube, where) if wanted.has(row)]
        if not following:
            show({"models": msgspec.to_builtins(rows)}, output, [_cells(row) for row in rows], COLUMNS)
            if not rows:
                click.echo(f"there is no such model in {where or 'any namespace'}", err=True)
            return
        _head(output)
        async for row, gone in changes(kube, where, wanted):
            _tell(row, gone, output)

    return body


@command("get")
@named
@click.option("--revision", type=int, default=None, help="Another revision than the one that serves.")
@click.option("--spec", "alone", is_flag=True, help="The spec alone, as YAML that `apply -f -` takes.")
@output_option
def get(key: str, revision: int | None, output: str, *, alone: bool) -> Body:
    """Show one model: its spec, revision, tracks and operation."""

    async def body(platform: Platform) -> None:
        namespace, name = at(platform, key)
        record = await platform.record(namespace, name)
        number = revision or (record.stable.revision if record.stable else 0)
        shown = record.revision(number) if number else None
        if alone:
            if shown is None:
                raise Absent(f"{key} is not deployed; --revision shows one of its history")
            click.echo(write_spec(from_document(shown.spec)), nl=False)
            return
        rows = await _rows(platform.cluster.kube, namespace)
        row = next((found for found in rows if found.name == name), None)
        document = {
            "revision": msgspec.to_builtins(shown),
            "tracks": msgspec.to_builtins(record.tracks),
            "operation": msgspec.to_builtins(record.operation),
            "now": msgspec.to_builtins(row),
        }
        show(document, output, [_cells(row)] if row else [], COLUMNS)

    return body


@command("watch")
@named
@click.option("--until", type=click.Choice([*STATES, GONE]), default=None, help="End with code 0 in this state.")
@click.option("--timeout", "timeout_s", type=float, default=None, help="Seconds to wait at most; then code 6.")
@output_option
def watch(key: str, until: str | None, timeout_s: float | None, output: str) -> Body:
    """Follow one model. With --until: code 0 when it comes to that state, 1 when it fails, 6 when it is too late."""

    async def body(platform: Platform) -> None:
        namespace, name = at(platform, key)
        kube = platform.cluster.kube
        wanted = selection(namespace=namespace, name=name)
        if until == GONE and not any(wanted.has(row) for row in await _rows(kube, namespace)):
            return
        _head(output)
        try:
            async with asyncio.timeout(timeout_s):
                await _until(kube, wanted, until, output)
        except TimeoutError:
            click.echo(f"Error: {key} did not become {until or 'anything else'} within {timeout_s:g} s", err=True)
            raise SystemExit(EXIT_LATE) from None

    return body


async def _until(kube: KubeClient, wanted: Selection, until: str | None, output: str) -> None:
    async for row, gone in changes(kube, wanted.namespace, wanted):
        _tell(row, gone, output)
        state = GONE if gone else row.state
        if until and state == until:
            return
        if until and state == "failed":
            click.echo(f"Error: {row.namespace}/{row.name} failed: {row.operation}", err=True)
            raise SystemExit(1)


async def changes(kube: KubeClient, namespace: str | None, wanted: Selection) -> AsyncGenerator[tuple[Row, bool], None]:
    """Yield (row, whether it has gone): each wanted row, then every change of one. Raises PlatformError."""
    cache = ModelCache()
    following = asyncio.create_task(cache.follow(kube, namespace))
    try:
        await _first(cache.listed, following)
        mark = ""
        while True:
            changed, missed = cache.feed.changed, cache.feed.since(mark)
            mark = cache.feed.mark
            told = (
                [(row, False) for row in cache.rows() if wanted.has(row)] if missed is None else _wanted(missed, wanted)
            )
            for row, gone in told:
                yield row, gone
            if cache.feed.mark == mark:
                await _first(changed, following)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def _wanted(changes: Sequence[Change], wanted: Selection) -> list[tuple[Row, bool]]:
    found = []
    for change in changes:
        if change.after is not None and wanted.has(change.after):
            found.append((change.after, False))
        elif change.before is not None and wanted.has(change.before):
            found.append((change.after or change.before, True))
    return found


async def _first(event: asyncio.Event, following: asyncio.Task[None]) -> None:
    """Wait for the event, or raise what ended the watch."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait((waiting, following), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if following.done():
        try:
            following.result()
        except* KubeError as errors:
            first = errors.exceptions[0]
            raise translated(first) if isinstance(first, KubeError) else errors from errors


async def _rows(kube: KubeClient, namespace: str | None) -> list[Row]:
    cache = ModelCache()
    try:
        await cache.load(kube, namespace)
    except KubeError as error:
        raise translated(error) from error
    return list(cache.rows())


def _cells(row: Row) -> dict[str, Any]:
    return {**msgspec.to_builtins(row), "ready": f"{row.available}/{row.replicas}", "revision": row.revision or "-"}


def _head(output: str) -> None:
    if output == "table":
        click.echo(_line([column.upper() for column in COLUMNS]))


def _tell(row: Row, gone: bool, output: str) -> None:
    cells = _cells(row) | ({"state": GONE} if gone else {})
    if output == "table":
        click.echo(_line([str(cells[column]) for column in COLUMNS]))
        return
    document = {"type": "removed" if gone else "model", **msgspec.to_builtins(row)}
    if output == "json":
        click.echo(msgspec.json.encode(document))
    else:
        click.echo("---\n" + yaml.safe_dump(document, sort_keys=False), nl=False)


def _line(cells: list[str]) -> str:
    widths = (20, 28, 11, 7, 8, 20, 0)
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
