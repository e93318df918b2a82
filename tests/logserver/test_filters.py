from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logserver.query import page
from logserver.query.filters import (
    TEXT_CHARS_MAX,
    FilterError,
    parse_pattern,
    select,
    split_words,
    whole_words,
    write_literal,
)
from logserver.times import TimeRange

TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=30)


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("web", "web", "web-1"),
        ("web-*", "web-1", "aweb-1"),
        ("web-?", "web-1", "web-12"),
        ("a.b", "a.b", "axb"),
        (r"a\*b", "a*b", "axb"),
        (r"\!x", "!x", "x"),
        ("*", "", None),
        ("", "", "x"),
        ("a\\", "a\\", "a"),
        ("50%_*", "50%_x", "500x"),
    ],
)
def test_a_pattern_means_what_a_shell_user_expects(text: str, matching: str, other: str | None) -> None:
    expression = re.compile(parse_pattern(text).regex, re.DOTALL)
    assert expression.fullmatch(matching)
    assert other is None or not expression.fullmatch(other)


@given(TEXT)
def test_a_written_literal_matches_itself_alone(value: str) -> None:
    pattern = parse_pattern(write_literal(value))
    assert (pattern.exact, pattern.negated) == (value, False)


def test_a_leading_exclamation_mark_excludes() -> None:
    [pod] = select([("pod", ["!a-*", "b"])]).fields
    assert [p.exact for p in pod.wanted] == ["b"]
    assert [p.like for p in pod.excluded] == ["a-%"]


@pytest.mark.parametrize(
    ("arguments", "parameter"),
    [
        ({"regexes": ["a("]}, "regex"),
        ({"regexes": ["(?P<x>a)(?P=x)"]}, "regex"),
        ({"regexes": ["((a{100}){100}){100}"]}, "regex"),
        ({"contains": ["x" * (TEXT_CHARS_MAX + 1)]}, "q"),
        ({"contains": ["a\x00b"]}, "q"),
        ({"words": [" ".join(map(str, range(50)))]}, "words"),
    ],
)
def test_a_filter_that_cannot_be_used_names_its_parameter(arguments: dict[str, list[str]], parameter: str) -> None:
    with pytest.raises(FilterError) as caught:
        select(**arguments)  # type: ignore[arg-type]
    assert caught.value.parameter == parameter


def test_words_are_split_as_the_index_splits_them() -> None:
    assert split_words(["GET /v1/models status=500", "straße_x GET"]) == [
        "GET", "v1", "models", "status", "500", "straße", "x",
    ]  # fmt: skip
    assert whole_words("atus=500 err") == ["500"]


@given(TEXT.filter(lambda text: len(text) > 3), st.booleans())
def test_no_text_of_the_caller_ever_appears_in_the_sql(text: str, ignore_case: bool) -> None:
    marked = f"zq{text}qz"
    selection = select(
        [("pod", [marked, "!" + marked, marked + "*"]), ("namespace", [marked])],
        contains=[marked],
        excludes=[marked],
        words=[marked],
        regexes=[re.escape("zq")],
        trace_id=marked,
        ignore_case=ignore_case,
    )
    sql, params = page(selection, TimeRange(), cursor=None, direction="backward", limit=10)
    assert "zq" not in sql
    assert "qz" not in sql
    assert all(f"{{{name}:" in sql for name in params)
