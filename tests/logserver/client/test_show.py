"""Lines in a terminal: time, level, origin, message; colours only where they are wanted."""

import re

import pytest

from logserver.client.http import ClientLine
from logserver.client.show import Style, local_time, show, show_note

LINE = ClientLine(
    id="x",
    ts="2026-03-04T09:15:27.481999999Z",
    message="boom in predict",
    pod="iris-0",
    container="classifier",
    level="error",
)


def test_a_line_says_when_how_bad_where_and_what() -> None:
    assert show(LINE, Style(color=False, utc=True)) == "2026-03-04 09:15:27.481Z ERR iris-0/classifier boom in predict"


def test_without_time_and_prefix_the_level_and_the_message_are_left() -> None:
    assert show(LINE, Style(color=False, timestamps=False, prefix=False)) == "ERR boom in predict"


def test_matches_are_highlighted_only_in_colour() -> None:
    hit = re.compile("boom")
    assert "\x1b[7mboom\x1b[0m" in show(LINE, Style(color=True, highlight=hit))
    assert "\x1b" not in show(LINE, Style(color=False, highlight=hit))


def test_nanoseconds_are_cut_to_milliseconds_not_rounded() -> None:
    assert local_time("2026-03-04T09:15:27.999999999Z", utc=True) == "2026-03-04 09:15:27.999Z"


@pytest.mark.parametrize(
    ("note", "shown"),
    [
        ({"cursor": "abc"}, None),
        ({"heartbeat": True, "cursor": "abc"}, None),
        ({"dropped": 12, "cursor": "abc"}, "# milepost: dropped 12"),
        ({"end": True, "detail": "the server stops", "cursor": "abc"}, "# milepost: end, the server stops"),
        ({"refused_namespaces": ["a", "b"]}, "# milepost: refused namespaces a, b"),
    ],
)
def test_a_note_is_shown_only_when_it_says_something(note: dict[str, object], shown: str | None) -> None:
    assert show_note(note, Style(color=False)) == shown
