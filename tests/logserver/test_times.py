from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logserver.times import EARLIEST_NS, LATEST_NS, NS, format_ns, parse_instant, parse_range, parse_zone

NOW_NS = 1_772_615_727_123_456_789  # 2026-03-04T09:15:27.123456789Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-04T09:15:27.123456789Z", NOW_NS),
        ("2026-03-04t09:15:27.1z", 1_772_615_727_100_000_000),
        ("2026-03-04 10:15:27+01:00", 1_772_615_727_000_000_000),
        ("2026-03-04T09:15:27.123456789123Z", NOW_NS),
        ("2026-03-04T09:15", 1_772_615_700_000_000_000),
        ("2026-03-04", 1_772_582_400_000_000_000),
        ("1772615727", 1_772_615_727_000_000_000),
        ("1772615727.5", 1_772_615_727_500_000_000),
        ("1772615727123", 1_772_615_727_123_000_000),
        ("1772615727123456", 1_772_615_727_123_456_000),
        ("1772615727123456789", NOW_NS),
        ("now", NOW_NS),
        ("15m", NOW_NS - 900 * NS),
        ("-15m", NOW_NS - 900 * NS),
        ("now-1h30m", NOW_NS - 5400 * NS),
        ("now+5s", NOW_NS + 5 * NS),
    ],
)
def test_a_time_is_read_as_people_and_programs_write_it(text: str, expected: int) -> None:
    assert parse_instant(text, now_ns=NOW_NS) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-03-04T25:00:00Z", "9999-01-01", "12x", "1.2.3"])
def test_what_is_not_a_time_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time|outside the years"):
        parse_instant(text, now_ns=NOW_NS)


def test_a_time_without_an_offset_is_in_the_callers_zone() -> None:
    zone = parse_zone("Europe/Berlin")
    assert parse_instant("2026-07-01 02:00", now_ns=NOW_NS, zone=zone) == parse_instant("2026-07-01", now_ns=NOW_NS)
    assert format_ns(NOW_NS, zone) == "2026-03-04T10:15:27.123456789+01:00"


@given(st.integers(EARLIEST_NS, LATEST_NS))
def test_a_written_time_reads_back_to_the_nanosecond(value_ns: int) -> None:
    assert parse_instant(format_ns(value_ns), now_ns=NOW_NS) == value_ns


@given(st.datetimes(datetime(1900, 1, 2), datetime(2261, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_any_offset_names_the_same_instant(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert parse_instant(moment.isoformat(), now_ns=NOW_NS) == expected


def test_a_range_counts_since_back_from_its_end() -> None:
    assert parse_range(None, None, "1h", now_ns=NOW_NS).start_ns == NOW_NS - 3600 * NS
    assert parse_range(None, "now-1h", "1h", now_ns=NOW_NS).start_ns == NOW_NS - 7200 * NS
    whole = parse_range(None, None, None, now_ns=NOW_NS)
    assert (whole.start_ns, whole.end_ns) == (EARLIEST_NS, LATEST_NS)


@pytest.mark.parametrize(("start", "end", "since"), [("1h", "2h", None), ("1h", None, "1h"), (None, None, "soon")])
def test_a_range_that_holds_nothing_or_is_said_twice_is_refused(
    start: str | None, end: str | None, since: str | None
) -> None:
    with pytest.raises(ValueError, match=r"after the end|not both|is not a duration"):
        parse_range(start, end, since, now_ns=NOW_NS)
