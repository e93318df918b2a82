"""How the terminal shows lines: pure text from lines, a colour per pod, the level, the matches of the search."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from logserver.client.http import ClientLine

_POD_COLORS = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta")
_LEVEL_COLORS = {"fatal": "bright_red", "error": "red", "warn": "yellow", "debug": "bright_black"}
_LEVEL_MARKS = {"fatal": "FTL", "error": "ERR", "warn": "WRN", "info": "INF", "debug": "DBG", "trace": "TRC"}


@dataclass(frozen=True, slots=True)
class Style:
    """What a shown line consists of."""

    color: bool
    timestamps: bool = True
    utc: bool = False
    prefix: bool = True
    highlight: re.Pattern[str] | None = None


def show(line: ClientLine, style: Style) -> str:
    """Return one line for the terminal: time, level, where it comes from, message."""
    parts = []
    if style.timestamps:
        parts.append(_paint(local_time(line.ts, utc=style.utc), "bright_black", style))
    parts.append(_paint(_LEVEL_MARKS.get(line.level, "---"), _LEVEL_COLORS.get(line.level), style))
    if style.prefix:
        parts.append(_paint(origin(line), _POD_COLORS[zlib.crc32(line.pod.encode()) % len(_POD_COLORS)], style))
    parts.append(_highlighted(line.message, style))
    return " ".join(parts)


def origin(line: ClientLine) -> str:
    """Return where a line comes from, short: the pod and its container, a model's pods without the model's prefix."""
    pod = line.pod or line.node or "?"
    return f"{pod}/{line.container}" if line.container else pod


def local_time(stamp: str, *, utc: bool) -> str:
    """Return an RFC 3339 time of nanoseconds as milliseconds of the terminal's zone, or of UTC with a Z."""
    moment = datetime.fromisoformat(stamp)
    shown = moment.astimezone(UTC if utc else None)
    return f"{shown:%Y-%m-%d %H:%M:%S}.{shown.microsecond // 1000:03d}{'Z' if utc else ''}"


def show_note(note: Mapping[str, object], style: Style) -> str | None:
    """Return what a note says to a person; None for one that only carries a cursor."""
    said = {key: value for key, value in note.items() if key not in ("cursor", "heartbeat", "next") and value}
    if not said:
        return None
    return _paint(f"# milepost: {', '.join(_said(key, value) for key, value in said.items())}", "yellow", style)


def _said(key: str, value: object) -> str:
    name = key.replace("_", " ")
    if value is True:
        return name
    words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return words if key == "detail" else f"{name} {words}"


def _highlighted(message: str, style: Style) -> str:
    if not style.color or style.highlight is None:
        return message
    return style.highlight.sub(lambda found: click.style(found[0], reverse=True) if found[0] else "", message)


def _paint(text: str, color: str | None, style: Style) -> str:
    return click.style(text, fg=color) if style.color and color else text
