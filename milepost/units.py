"""Durations and sizes as people write them: `250ms`, `90s`, `1h30m`, `7d`; `64KiB`, `1MB`, `2GiB`."""

from __future__ import annotations

import re
from typing import NewType

Seconds = NewType("Seconds", float)
Bytes = NewType("Bytes", int)

_SECONDS_PER_UNIT = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)")
_BYTES_PER_UNIT = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_duration(text: str) -> Seconds:
    """Return the seconds of a duration such as `1h30m`; a bare number is seconds.

    Raises ValueError, naming the text, when it is not a duration.
    """
    stripped = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", stripped):
        return Seconds(float(stripped))
    parts = _DURATION_PART.findall(stripped)
    if not parts or "".join(number + unit for number, unit in parts) != stripped:
        raise ValueError(f"{text!r} is not a duration; write for example 250ms, 90s, 1h30m or 7d")
    return Seconds(sum(float(number) * _SECONDS_PER_UNIT[unit] for number, unit in parts))


def parse_size(text: str) -> Bytes:
    """Return the bytes of a size such as `64MiB`; a bare number is bytes.

    Raises ValueError, naming the text, when it is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2] not in _BYTES_PER_UNIT:
        raise ValueError(f"{text!r} is not a size; write for example 64KiB, 10MB or 2GiB")
    return Bytes(int(float(match[1]) * _BYTES_PER_UNIT[match[2]]))


def format_duration(seconds: float) -> str:
    """Return a short exact form: 0.25 -> `250ms`, 5400 -> `1h30m`, 604800 -> `7d`."""
    if seconds == 0:
        return "0s"
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    rest, parts = seconds, []
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _SECONDS_PER_UNIT[unit])
        if count:
            parts.append(f"{count:g}{unit}")
    if rest:
        parts.append(f"{rest:g}s")
    return "".join(parts)


def format_size(size: int) -> str:
    """Return the size in its largest exact binary unit: 67108864 -> `64MiB`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES_PER_UNIT[unit] == 0:
            return f"{size // _BYTES_PER_UNIT[unit]}{unit}"
    return f"{size}B"
