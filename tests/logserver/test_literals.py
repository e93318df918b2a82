"""What an expression requires is in every text it matches: else a search would lose lines."""

from __future__ import annotations

import re2
from hypothesis import assume, given
from hypothesis import strategies as st

from logserver.query.literals import Requirement, requirement

CHARS = "abkKsS \n{},-]:_é🙂\u212a\u017f1"
TEXT = st.text(st.sampled_from(CHARS), max_size=12)
LITERAL = st.text(st.sampled_from(CHARS), min_size=1, max_size=4)
Written = tuple[str, str]
"""An expression and a text it matches whole."""


def quoted(text: str) -> str:
    return "".join(
        rf"\x{{{ord(char):x}}}" if char in "{\n" else rf"\{char}" if char in "}-]" else char for char in text
    )


def literal() -> st.SearchStrategy[Written]:
    return LITERAL.map(lambda text: (quoted(text), text))


def character() -> st.SearchStrategy[Written]:
    return st.sampled_from(
        [
            (".", "a"), (r"\w", "k"), (r"\D", "a"), ("[ab]", "b"), ("[^]a]", "k"), ("[]a]", "]"), ("[[:alpha:]]", "s"),
            (r"[\]a]", "]"), (r"\pL", "é"), (r"\p{L}", "k"), (r"[^\d\s]", "b"), (r"\x61", "a"), ("{", "{"),
            ("a{,2}", "a{,2}"), (r"\n", "\n"), ("$|x", "x"), ("", ""), (r"[[:^alpha:]-]", "-"),
            (r"\Qab\E", "ab"), (r"\141", "a"),
        ]
    )  # fmt: skip


def larger(part: st.SearchStrategy[Written]) -> st.SearchStrategy[Written]:
    def repeat(pair: Written, how: tuple[str, int]) -> Written:
        return f"(?:{pair[0]}){how[0]}", pair[1] * how[1]

    times = [
        ("*", 0),
        ("*", 2),
        ("+", 1),
        ("+?", 2),
        ("?", 0),
        ("?", 1),
        ("{2}", 2),
        ("{0,2}", 0),
        ("{1,}", 3),
        ("{2,3}?", 2),
    ]
    opened = st.sampled_from(["(", "(?:", "(?P<name>", "(?<n>", "(?s:", "(?-i:", "(?i:", "(?U:"])
    return st.one_of(
        st.tuples(part, part).map(lambda two: (two[0][0] + two[1][0], two[0][1] + two[1][1])),
        st.tuples(part, part).map(lambda two: (f"(?:{two[0][0]}|{two[1][0]})", two[0][1])),
        st.tuples(part, part).map(lambda two: (f"({two[0][0]}|{two[1][0]})", two[1][1])),
        st.tuples(part, st.sampled_from(times)).map(lambda two: repeat(*two)),
        st.tuples(opened, part).map(lambda two: (f"{two[0]}{two[1][0]})", two[1][1])),
        st.tuples(literal(), st.sampled_from(["*", "+", "?", "{2,}"])).map(
            lambda two: (two[0][0] + two[1], two[0][1] + (two[0][1][-1] if two[1] == "{2,}" else ""))
        ),
    )


WRITTEN = st.recursive(literal() | character(), larger, max_leaves=8)


def holds(needs: Requirement, text: str) -> bool:
    """Look for the literals as the store does: byte for byte, or folding ASCII letters alone."""

    def folded(one: str) -> bytes:
        return one.encode().lower() if needs.fold_case else one.encode()

    return all(any(folded(literal) in folded(text) for literal in clause) for clause in needs.clauses)


def compiled(expression: str) -> object:
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        return re2.compile(expression, options)
    except re2.error:
        return None


@given(WRITTEN, TEXT, TEXT, st.booleans())
def test_every_matching_text_has_what_the_expression_requires(
    written: Written, before: str, after: str, ignore_case: bool
) -> None:
    expression, inside = written
    text = before + (inside.swapcase() if ignore_case else inside) + after
    found = compiled(f"(?i){expression}" if ignore_case else expression)
    assume(found is not None and found.search(text))  # type: ignore[attr-defined]
    assert holds(requirement(expression, ignore_case=ignore_case), text)
    assert holds(requirement(f"(?i){expression}" if ignore_case else expression), text)


@given(st.text(st.sampled_from(r"abk(|)[]^-:?*+{1,2}.\dQEPi<>$s"), max_size=14), TEXT)
def test_no_accepted_expression_requires_too_much(expression: str, text: str) -> None:
    found = compiled(expression)
    assume(found is not None)
    if found.search(text):  # type: ignore[attr-defined]
        assert holds(requirement(expression), text)


def test_what_is_required_of_usual_expressions() -> None:
    assert requirement(r"latency_us=77\d\d").certain == ("latency_us=77",)
    assert requirement(r"Predict (failed|timed out) after \d+ ms").strongest == {"Predict "}
    assert requirement("(timed out|OutOfMemory).*GiB").strongest == {"timed out", "OutOfMemory"}
    assert requirement("(?i)OutOfMemory").strongest == {"outofmemory"}
    assert requirement("(?i)task").strongest == frozenset()
    assert requirement("ab*c|def").strongest == frozenset()
    assert requirement(r"\d+").clauses == ()
