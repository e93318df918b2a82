"""The `milepost …` command lines that the documentation tells people to type, and whether they exist.

Commands stand in fenced blocks of a shell (whole: with every argument that is needed) and in inline code (perhaps only
the command's name). They are held against the real click commands: subcommands, options, choices, arguments. Words in
capitals are placeholders. What a setting or a server makes of a value is not looked at.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from milepost.cli import main

PROGRAM = "milepost"
SHELLS = frozenset({"", "console", "sh", "bash", "shell"})
LEFT_OUT = frozenset({"…", "..."})

_FENCE = re.compile(r"^ *```([a-z]*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(rf"`({PROGRAM} [^`]+)`")
_PLACEHOLDER = re.compile(r"[A-Z][A-Z_/]*")


@dataclass(frozen=True, slots=True)
class Told:
    """One command line; `whole` when nothing of it was left out."""

    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return shlex.join(self.words)


def told(markdown: str) -> Iterator[Told]:
    """Yield the command lines of a page."""
    for language, block in _FENCE.findall(markdown):
        if language in SHELLS:
            for line in block.replace("\\\n", " ").splitlines():
                yield from _of_line(line.strip().removeprefix("$ "), whole=True)
    for line in _INLINE.findall(_FENCE.sub("", markdown)):
        yield from _of_line(line, whole=False)


def _of_line(line: str, *, whole: bool) -> Iterator[Told]:
    if PROGRAM not in line:
        return
    reader = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    reader.whitespace_split = True
    command: list[str] = []
    for word in (*reader, ";"):
        if word.strip("|&;"):
            command.append(word)
            continue
        yield from _of_command(command, whole=whole)
        command = []


def _of_command(words: Sequence[str], *, whole: bool) -> Iterator[Told]:
    """Yield the call in one simple command; it may stand behind variables, or behind the `--` of `kubectl exec`."""
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if word.rpartition("/")[2] == PROGRAM and (before in ("", "--") or re.match(r"[A-Z_]+=", before)):
            kept = [each for each in words[place:] if each not in LEFT_OUT]
            yield Told(tuple(kept), whole and len(kept) == len(words) - place)
            return


def fault(said: Told) -> str:
    """Say what is wrong with a command line; "" when the program would take it."""
    command: click.Command = main
    context = click.Context(command, info_name=PROGRAM)
    rest = list(said.words[1:])
    try:
        while isinstance(command, click.Group):
            _, rest, _ = command.make_parser(context).parse_args(rest)
            if not rest:
                return f"{context.command_path} needs a subcommand" if said.whole else ""
            found = command.get_command(context, rest[0])
            if found is None:
                return f"{context.command_path} has no subcommand {rest[0]!r}"
            command, context = found, click.Context(found, info_name=rest[0], parent=context)
            rest = rest[1:]
        given, extra, _ = command.make_parser(context).parse_args(rest)
    except click.UsageError as error:
        return f"{context.command_path}: {error.format_message()}"
    if extra:
        return f"{context.command_path} takes no argument {extra[0]!r}"
    return _wrong_value(command, context, given, whole=said.whole)


def _wrong_value(command: click.Command, context: click.Context, given: dict[str, object], *, whole: bool) -> str:
    for parameter in command.get_params(context):
        value = given.get(parameter.name or "")
        present = isinstance(value, (str, tuple, list, bool))
        if whole and isinstance(parameter, click.Argument) and parameter.required and not present:
            return f"{context.command_path} needs {parameter.make_metavar(context)}"
        if not isinstance(parameter.type, click.Choice) or not present:
            continue
        for each in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(each, str) and not _PLACEHOLDER.fullmatch(each) and each not in parameter.type.choices:
                return f"{context.command_path}: {each!r} is none of {', '.join(map(str, parameter.type.choices))}"
    return ""
