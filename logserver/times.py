"""Points in time as people and programs write them, to nanoseconds since 1970.

An instant is RFC 3339 (any fraction up to nanoseconds, `T` or a space, any offset; without one, in the caller's
zone; a date alone is its midnight), a Unix number (seconds, milliseconds, microseconds or nanoseconds, told apart by
size; a fraction makes it seconds), `now`, or a duration such as `15m`, `-15m` or `now-15m`, which counts back from now.

A range is half open: `start` belongs to it, `end` does not, so neighbouring ranges share no line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from milepost.units import parse_duration

NS = 1_000_000_000
EARLIEST_NS = -2_208_988_800 * NS
"""1900-01-01, the first day of the engine's DateTime64."""
LATEST_NS = 9_214_646_400 * NS
"""2262-01-01: the last whole year that fits 64 bits of nanoseconds."""

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9})\d*)?\s*([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_UNIX = re.compile(r"\d{1,19}(\.\d{1,9})?", re.ASCII)
_RELATIVE = re.compile(r"(?:now)?\s*([+-])\s*(\S+)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `start_ns` inclusive to `end_ns` exclusive, in nanoseconds since 1970 UTC."""

    start_ns: int = EARLIEST_NS
    end_ns: int = LATEST_NS


def parse_instant(text: str, *, now_ns: int, zone: tzinfo = UTC) -> int:
    """Return the nanoseconds since 1970 of an instant; raises ValueError naming the text and what is allowed."""
    stripped = text.strip()
    value = _parse(stripped, now_ns, zone)
    if value is None:
        raise ValueError(
            f"{text!r} is not a time; write RFC 3339 (2026-03-04T09:15:27.5Z), a Unix time in s, ms, us or ns, "
            "now, or a duration back from now (15m, 2h, 7d)"
        )
    if not EARLIEST_NS <= value <= LATEST_NS:
        raise ValueError(f"{text!r} is outside the years 1900 to 2261")
    return value


def parse_range(start: str | None, end: str | None, since: str | None, *, now_ns: int, zone: tzinfo = UTC) -> TimeRange:
    """Return the range of `start`, `end` and `since` (a duration back from `end`, else from now).

    A missing start is the earliest time, a missing end the latest: lines from the future are shown too. Raises
    ValueError.
    """
    if start and since:
        raise ValueError("give start or since, not both")
    end_ns = parse_instant(end, now_ns=now_ns, zone=zone) if end else LATEST_NS
    start_ns = EARLIEST_NS
    if since:
        start_ns = max(EARLIEST_NS, (end_ns if end else now_ns) - duration_ns(since))
    elif start:
        start_ns = parse_instant(start, now_ns=now_ns, zone=zone)
    if start_ns > end_ns:
        raise ValueError(f"the start, {format_ns(start_ns)}, is after the end, {format_ns(end_ns)}")
    return TimeRange(start_ns, end_ns)


def duration_ns(text: str) -> int:
    """Return the nanoseconds of a duration such as `1h30m`; raises ValueError."""
    return round(parse_duration(text) * NS)


def parse_zone(name: str) -> tzinfo:
    """Return the zone of an IANA name such as `Europe/Berlin`; raises ValueError."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not an IANA time zone such as UTC or Europe/Berlin") from error


def format_ns(value_ns: int, zone: tzinfo = UTC) -> str:
    """Return RFC 3339 with nine fraction digits; UTC is written `Z`."""
    seconds, fraction = divmod(value_ns, NS)
    moment = (_EPOCH + timedelta(seconds=seconds)).astimezone(zone)
    text = moment.isoformat(timespec="seconds")
    if zone is UTC:
        return f"{text[:19]}.{fraction:09d}Z"
    return f"{text[:19]}.{fraction:09d}{text[19:]}"


def _parse(text: str, now_ns: int, zone: tzinfo) -> int | None:
    if text.lower() == "now":
        return now_ns
    if _UNIX.fullmatch(text):
        return _from_unix(text)
    if match := _RFC3339.fullmatch(text):
        return _from_rfc3339(match, zone)
    sign, length = (match[1], match[2]) if (match := _RELATIVE.fullmatch(text)) else ("-", text)
    try:
        distance = duration_ns(length)
    except ValueError:
        return None
    return now_ns - distance if sign == "-" else now_ns + distance


def _from_unix(text: str) -> int:
    """The unit is told by size: as seconds, 10^11 is the year 5138, and as milliseconds it is 1973."""
    if "." in text:
        return int(Decimal(text) * NS)
    value = int(text)
    for limit, factor in ((10**11, NS), (10**14, 10**6), (10**17, 10**3)):
        if value < limit:
            return value * factor
    return value


def _from_rfc3339(match: re.Match[str], zone: tzinfo) -> int | None:
    date, time, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{time or '00:00:00'}{(offset or '').upper()}")
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    return seconds * NS + int((fraction or "0").ljust(9, "0"))
