"""Lines as answers: JSON, NDJSON, and the plain text a person wants in a terminal.

JSON is one object whose `lines` is an array. NDJSON is one line object per text line; what is to be said beside the
lines is an object with the one key `milepost`, so `jq 'select(.milepost | not)'` keeps the lines alone. Plain text
says it on a last line that starts with `# milepost:`. Messages are written as they are stored; a message of several
lines stays on several lines.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Literal

import msgspec

from logserver.read.lines import Line, json_line
from logserver.times import format_ns

Format = Literal["json", "ndjson", "text"]
Prefix = Literal["none", "pod", "container", "model", "full"]

MEDIA_TYPES: dict[str, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "text": "text/plain; charset=utf-8",
    "sse": "text/event-stream",
}
_ACCEPTED: dict[str, str] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/plain": "text",
    "text/event-stream": "sse",
}

_POD_COLORS = (36, 32, 35, 34, 33, 96, 92, 95, 94, 93)
_LEVEL_COLORS = {"warn": 33, "error": 31, "fatal": 91, "debug": 90, "trace": 90}


@dataclass(frozen=True, slots=True)
class TextStyle:
    """How plain text looks."""

    timestamps: bool = False
    prefix: Prefix = "none"
    color: bool = False
    zone: tzinfo = UTC


def negotiate(asked: str | None, accept: str | None, offered: Sequence[str]) -> str:
    """Return the format asked for, else the first of `Accept` by weight that is offered, else the first offered."""
    if asked:
        return asked
    for media_type in _by_weight(accept or ""):
        if (name := _ACCEPTED.get(media_type)) in offered:
            assert name is not None
            return name
    return offered[0]


def ndjson(lines: Sequence[Line]) -> bytes:
    """Return the lines as NDJSON."""
    return b"".join(json_line(line) + b"\n" for line in lines)


def ndjson_note(content: object) -> bytes:
    """Return one NDJSON line that is no log line: `{"milepost": content}`."""
    return msgspec.json.encode({"milepost": content}) + b"\n"


def text_note(note: str) -> bytes:
    """Return one line of plain text that is no log line."""
    return f"# milepost: {note}\n".encode()


def json_array(lines: Sequence[Line]) -> bytes:
    """Return the lines as a JSON array."""
    return b"[" + b",\n".join(json_line(line) for line in lines) + b"]"


def text(lines: Sequence[Line], style: TextStyle) -> bytes:
    """Return the lines as plain text."""
    return b"".join(text_line(line, style) for line in lines)


def text_line(line: Line, style: TextStyle) -> bytes:
    """Return one line of plain text, with the timestamp and the prefix of the style before the message."""
    parts = []
    if style.timestamps:
        parts.append(_paint(format_ns(line.ts_ns, style.zone), 90, style))
    if label := _label(line, style.prefix):
        parts.append(_paint(label, _POD_COLORS[zlib.crc32(line.pod.encode()) % len(_POD_COLORS)], style))
    color = _LEVEL_COLORS.get(line.level)
    parts.append(_paint(line.message, color, style) if color else line.message)
    return " ".join(parts).encode() + b"\n"


def _label(line: Line, prefix: Prefix) -> str:
    names: dict[str, tuple[str, ...]] = {
        "none": (),
        "pod": (line.pod,),
        "container": (line.pod, line.container),
        "model": (line.model or line.pod, line.predictor, line.container),
        "full": (line.namespace, line.pod, line.container),
    }
    shown = "/".join(name for name in names[prefix] if name)
    return f"[{shown}]" if shown else ""


def _paint(words: str, color: int, style: TextStyle) -> str:
    return f"\x1b[{color}m{words}\x1b[0m" if style.color else words


def _by_weight(accept: str) -> list[str]:
    """Return the media types of an Accept header, best first (RFC 9110 §12.5.1); a malformed weight counts as 0."""
    weighed = []
    for place, item in enumerate(accept.lower().split(",")):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            weighed.append((-float(weight), place, media_type))
        except ValueError:
            weighed.append((0.0, place, media_type))
    return [media_type for weight, _, media_type in sorted(weighed) if weight < 0]
