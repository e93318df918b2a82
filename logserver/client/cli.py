"""`milepost logs`: search and follow the logs of a model or a pod from a terminal.

Lines go to standard output, everything else to standard error, so that a pipe gets lines alone. The newest lines come
last, as in a file. Exit codes: 0 done, 1 the server refused or failed, 2 the command was wrong.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import click

from logserver.client.completion import FieldValues
from logserver.client.http import ClientError, LogClient, Params, Received
from logserver.client.show import Style, show, show_note

DEFAULT_SERVER = "http://127.0.0.1:8080"
LINES_DEFAULT = 100


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask for and how to show it."""

    server: str
    token: str | None
    params: Params
    lines: int
    follow: bool
    context: int
    output: str
    style: Style
    seen: set[str] = field(default_factory=set)


@click.command()
@click.option("--server", envvar="MILEPOST_SERVER", default=DEFAULT_SERVER, show_default=True, show_envvar=True)
@click.option("--token", envvar="MILEPOST_TOKEN", show_envvar=True, help="Bearer token (prefer the variable).")
@click.option(
    "-n", "--namespace", multiple=True, shell_complete=FieldValues("namespace"), help="Repeatable; !x, glob*."
)
@click.option("-m", "--model", multiple=True, shell_complete=FieldValues("model"), help="The SeldonDeployment's name.")
@click.option("--predictor", multiple=True, shell_complete=FieldValues("predictor"), help="default, canary…")
@click.option("-p", "--pod", multiple=True, shell_complete=FieldValues("pod"), help="A pod, alive or gone.")
@click.option("-c", "--container", multiple=True, shell_complete=FieldValues("container"))
@click.option("--node", multiple=True, shell_complete=FieldValues("node"))
@click.option("--stream", type=click.Choice(["stdout", "stderr"]))
@click.option("-l", "--level", multiple=True, shell_complete=FieldValues("level"), help="error, warn, info… (!debug).")
@click.option("-g", "--grep", multiple=True, help="Lines that match this RE2 expression.")
@click.option("-q", "--contains", multiple=True, help="Lines that contain this text.")
@click.option("-w", "--words", multiple=True, help="Lines that have all these words.")
@click.option("-i", "--ignore-case", is_flag=True, help="For --grep, --contains and --words.")
@click.option("--trace-id", help="Lines of this trace.")
@click.option("--since", help="How far back: 15m, 2h, 7d.")
@click.option("--start", help="From: RFC 3339 or Unix time.")
@click.option("--end", help="Until: RFC 3339 or Unix time.")
@click.option("-t", "--tail", "lines", type=click.IntRange(0), default=LINES_DEFAULT, show_default=True, help="Lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until interrupted.")
@click.option("-C", "--context", type=click.IntRange(0, 100), default=0, help="Lines around each found line, by file.")
@click.option("-o", "--output", type=click.Choice(["text", "json", "raw"]), default="text", show_default=True)
@click.option("--timestamps/--no-timestamps", default=True, show_default=True)
@click.option("--utc", is_flag=True, help="Show UTC instead of this terminal's zone.")
@click.option("--prefix/--no-prefix", default=True, show_default=True, help="The pod and container before each line.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def logs(
    *, server: str, token: str | None, lines: int, follow: bool, context: int, output: str, **options: object
) -> None:
    """Search and follow the logs of models and pods.

    \b
    milepost logs -n risk --model iris-classifier -f
    milepost logs --grep Traceback --since 1h --context 5
    milepost logs -p 'ranker-*' -l error -l fatal -o json | jq .message
    """
    if not lines and not follow:
        raise click.UsageError("--tail 0 shows nothing; it needs --follow")
    if follow and context:
        raise click.UsageError("--context needs a finished search; it cannot be used with --follow")
    request = Request(server, token, _params(options), lines, follow, context, output, _style(options))
    try:
        asyncio.run(_run(request))
    except ClientError as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:
        sys.stderr.close()


async def _run(request: Request) -> None:
    async with LogClient(request.server, request.token) as client:
        if request.follow:
            params = [*request.params, ("lines", str(request.lines))]
            await _print(client.follow("/api/v1/logs/tail", params), request)
            return
        params = [*request.params, ("limit", str(request.lines)), ("direction", "backward")]
        found = [received async for received in client.stream("/api/v1/logs", params)]
        lines = [received for received in reversed(found) if received.line is not None]
        for received in lines:
            if request.context:
                await _print_context(client, received, request)
            else:
                _emit(received, request)
        for received in found:
            _say(received.note, request)
        if not lines:
            _say({"found": "no line"}, request)


async def _print(answer: AsyncIterator[Received], request: Request) -> None:
    async for received in answer:
        if received.line is None:
            _say(received.note, request)
        else:
            _emit(received, request)


async def _print_context(client: LogClient, found: Received, request: Request) -> None:
    assert found.line is not None
    if found.line.id in request.seen:
        return
    if request.seen and request.output == "text":
        click.echo("--")
    around = str(request.context)
    params = [("id", found.line.id), ("before", around), ("after", around)]
    async for received in client.stream("/api/v1/logs/context", params):
        if received.line is not None and received.line.id not in request.seen:
            request.seen.add(received.line.id)
            _emit(received, request)


def _emit(received: Received, request: Request) -> None:
    assert received.line is not None
    if request.output == "json":
        click.echo(received.raw)
    elif request.output == "raw":
        click.echo(received.line.message)
    else:
        click.echo(show(received.line, request.style), color=request.style.color)


def _say(note: Mapping[str, object], request: Request) -> None:
    words = show_note(note, request.style)
    if words:
        click.echo(words, err=True, color=request.style.color)


def _params(options: Mapping[str, object]) -> Params:
    params: list[tuple[str, str]] = []
    names = {"contains": "q", "grep": "regex"}
    for option in (
        "namespace", "model", "predictor", "pod", "container", "node", "stream", "level",
        "grep", "contains", "words", "trace_id", "since", "start", "end",
    ):  # fmt: skip
        value = options[option]
        values = value if isinstance(value, tuple) else (value,) if value else ()
        params += [(names.get(option, option), str(one)) for one in values]
    if options["ignore_case"]:
        params.append(("ignore_case", "true"))
    return params


def _style(options: Mapping[str, object]) -> Style:
    color = options["color"]
    return Style(
        color=color == "always" or (color == "auto" and sys.stdout.isatty()),
        timestamps=bool(options["timestamps"]),
        utc=bool(options["utc"]),
        prefix=bool(options["prefix"]),
        highlight=_highlight(options),
    )


def _highlight(options: Mapping[str, object]) -> re.Pattern[str] | None:
    greps, texts = options["grep"], options["contains"]
    assert isinstance(greps, tuple)
    assert isinstance(texts, tuple)
    parts = [f"(?:{grep})" for grep in greps] + [re.escape(text) for text in texts]
    try:
        return re.compile("|".join(parts), re.IGNORECASE if options["ignore_case"] else 0) if parts else None
    except re.error:
        return None  # RE2 accepts what Python does not; the search is the server's, only the colours are lost
