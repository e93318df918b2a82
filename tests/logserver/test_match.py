"""Python predicates and SQL select the same lines: the property that lets followers be served before any query."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logserver.engines.embedded import EmbeddedStore
from logserver.query import conditions
from logserver.query.filters import STREAM_FIELDS, FilterError, Selection, select
from logserver.query.match import Matcher, StreamNumbers, matching_rows
from logserver.read.lines import values_of
from tests.logserver.rows import line_rows

NAMES = ("iris", "iris-2", "Iris", "a%b", "a_b", "a\\b", "!x", "", "wide-straße", "50*")
PIECES = (
    "GET", "get", "status=500", "500", "_500", "straße", "STRASSE", "\n", "\t", " ", ".", "K", "k", "K", "\u017f", "s",
    "100%", "a\\b", "ü", "🙂", "x" * 40, "'", '"', "ERROR", "/v1/models", "{p0:String}", "é",
)  # fmt: skip
MESSAGES = st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20
)
PATTERNS = st.sampled_from(
    [*NAMES, "!iris", "iris*", "!*2", "*", "!*", "a?b", "?ris", "*-*", r"a\\b", r"\!x", r"50\*", "a%b", "!a_b", "!"]
)
REGEXES = st.sampled_from(
    [
        "GET.status",
        "^GET",
        "500$",
        r"\d{3}",
        "(?i)error",
        "a.b",
        r"\bget\b",
        "K",
        r"[^ ]+=\d+",
        r"\pL+ß",
        "",
        "(?-s)T.s",
        "status=5+00|GET",
        "(get|ERROR)+.?status",
        "(?i)/V1/MODELS|straße",
        r"/v1/mod[e]ls?\b",
        r"\QGET\Estatus",
    ]
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "message": MESSAGES,
            "pod": st.sampled_from(NAMES),
            "level": st.sampled_from(["info", "error", "unknown"]),
            "namespace": st.sampled_from(NAMES[:3]),
            "trace_id": st.sampled_from(["", "4bf9"]),
        }
    ),
    min_size=1,
    max_size=20,
)


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    texts = st.lists(st.sampled_from(PIECES) | MESSAGES, max_size=2)
    try:
        made = select(
            [(name, draw(st.lists(PATTERNS, max_size=3))) for name in ("pod", "namespace", "level")],
            contains=draw(texts),
            excludes=draw(texts),
            words=draw(texts),
            regexes=draw(st.lists(REGEXES, max_size=1)),
            trace_id=draw(st.sampled_from(["", "", "4bf9"])),
            ignore_case=draw(st.booleans()),
        )
    except FilterError:
        return Selection()
    return made


def sql_rows(store: EmbeddedStore, selection: Selection) -> list[object]:
    statement = conditions(selection)
    sql = f"SELECT offset FROM lines {statement.where} ORDER BY offset"  # noqa: S608
    return list(values_of(store.select(sql, statement.params).column("offset")))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, data=st.data())
def test_sql_and_python_select_the_same_lines(
    lines_store: EmbeddedStore, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    lines = line_rows(rows)
    lines_store.execute("TRUNCATE TABLE lines")
    lines_store.insert("lines", lines)
    for _ in range(8):
        selection = data.draw(selections())
        assert matching_rows(selection, lines).tolist() == sql_rows(lines_store, selection)


@pytest.mark.parametrize(
    ("wanted", "messages", "expected"),
    [
        ({"contains": ["a.b"]}, ["a.b", "axb"], [0]),
        ({"excludes": ["b"]}, ["a", "b"], [0]),
        ({"words": ["get 500"]}, ["GET 500", "get=500", "get 5000", "500;get"], [1, 3]),
        ({"words": ["straße"]}, ["die straße!", "straßen"], [0]),
        ({"regexes": ["a.b"]}, ["a\nb", "ab"], [0]),
        ({"contains": ["Error"], "ignore_case": True}, ["an ERROR", "err"], [0]),
    ],
)
def test_text_filters_mean_what_they_say(
    lines_store: EmbeddedStore, wanted: dict[str, Any], messages: list[str], expected: list[int]
) -> None:
    lines = line_rows([{"message": message} for message in messages])
    lines_store.insert("lines", lines)
    selection = select(**wanted)
    assert matching_rows(selection, lines).tolist() == expected
    assert sql_rows(lines_store, selection) == expected


def test_a_matcher_survives_that_stream_numbers_start_again() -> None:
    known, matcher = StreamNumbers(streams_max=3), Matcher(select([("pod", ["p-1", "p-7"])]))
    for start in (0, 2, 4, 6, 0):
        lines = line_rows([{"pod": f"p-{number}"} for number in (start, start + 1)])
        kept = matcher.rows(lines, known.of(lines), known)
        assert [f"p-{start + row}" for row in kept] == [f"p-{n}" for n in (start, start + 1) if n in (1, 7)]


def test_streams_are_told_apart_by_every_field() -> None:
    lines = line_rows([{}, *({name: "other"} for name in STREAM_FIELDS), {}])
    numbers = StreamNumbers().of(lines)
    assert len(set(numbers.tolist())) == len(STREAM_FIELDS) + 1
    assert numbers[0] == numbers[-1]
