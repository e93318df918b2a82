"""What a reader asks for: which streams, and which text; parsed from what people write.

A value of a field filter is a pattern: `*` stands for any characters, `?` for one, a leading `!` excludes, and a
backslash takes the next character literally. Several values of one field are alternatives; an exclusion always
holds. An empty value asks for lines that lack the field (a plain pod has no model).

`q` and `exclude` are substrings, `words` whole words (runs of ASCII letters and digits and of all non-ASCII
characters), `regex` RE2 in which `.` also matches a newline. All of them must hold. They are matched byte for byte;
`ignore_case` folds case as RE2 does.

A `Selection` is only data: `logserver.query` makes SQL of it, `logserver/query/match.py` Python predicates,
and both must select the same lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import re2

STREAM_FIELDS = ("namespace", "model", "predictor", "pod", "container", "node", "stream", "level")
"""Fields with few values, of which a line has one each; a follower's verdict is cached by them."""

VALUES_MAX = 100
"""Most values of one field filter."""
TEXT_CHARS_MAX = 4096
"""Longest value or text of one filter."""
TEXTS_MAX = 20
"""Most substrings, words or expressions of one kind."""
REGEX_MEMORY_BYTES = 8 << 20
"""What RE2 may use for one expression, its own default; larger ones are refused."""

_WORD = re.compile(r"[0-9A-Za-z\u0080-\U0010ffff]+")


class FilterError(ValueError):
    """A filter cannot be used; `parameter` is its name."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(f"{parameter}: {detail}")
        self.parameter = parameter
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Pattern:
    """One value of a field filter: literal texts with wildcards between them."""

    parts: tuple[str, ...]
    """Literals in even places, a wildcard (`*` or `?`) in odd places."""
    negated: bool = False

    @property
    def exact(self) -> str | None:
        """The only text that matches, None when there is a wildcard."""
        return self.parts[0] if len(self.parts) == 1 else None

    @property
    def like(self) -> str:
        """The pattern as SQL LIKE writes it."""
        return "".join(
            {"*": "%", "?": "_"}[part] if place % 2 else re.sub(r"([\\%_])", r"\\\1", part)
            for place, part in enumerate(self.parts)
        )

    @property
    def regex(self) -> str:
        """The pattern as a Python expression for `fullmatch` with DOTALL."""
        return "".join(
            {"*": ".*", "?": "."}[part] if place % 2 else re.escape(part) for place, part in enumerate(self.parts)
        )


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """The patterns of one field of STREAM_FIELDS."""

    field: str
    patterns: tuple[Pattern, ...]

    @property
    def wanted(self) -> tuple[Pattern, ...]:
        """Alternatives; when there are none, every value is wanted that is not excluded."""
        return tuple(pattern for pattern in self.patterns if not pattern.negated)

    @property
    def excluded(self) -> tuple[Pattern, ...]:
        """Patterns of which none may match."""
        return tuple(pattern for pattern in self.patterns if pattern.negated)


@dataclass(frozen=True, slots=True)
class Selection:
    """Every condition on a line but time; equal selections share one follower's work."""

    fields: tuple[FieldFilter, ...] = ()
    contains: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()
    trace_id: str = ""
    container_id: str = ""
    ignore_case: bool = False
    namespaces: tuple[str, ...] | None = None
    """The namespaces the caller may read, None for all; a condition beside the caller's own."""
    arrived_before: tuple[tuple[str, int, int], ...] | None = None
    """(topic, partition, next offset): only lines before these offsets, none of other partitions; None for all."""

    @property
    def has_text(self) -> bool:
        """Whether the message must be read to decide."""
        return bool(self.contains or self.excludes or self.words or self.regexes)

    def exact_values(self, field: str) -> tuple[str, ...]:
        """Return the values `field` is bound to, () when a wildcard, an exclusion or nothing leaves it open."""
        for item in self.fields:
            if item.field == field and item.wanted:
                values = [pattern.exact for pattern in item.wanted]
                return () if None in values else tuple(value for value in values if value is not None)
        return ()


def parse_pattern(text: str) -> Pattern:
    """Return the pattern of one value; every text is a pattern."""
    negated = text.startswith("!")
    parts, literal, escaped = [], "", False
    for char in text[1:] if negated else text:
        if escaped:
            literal, escaped = literal + char, False
        elif char == "\\":
            escaped = True
        elif char in "*?":
            parts += [literal, char]
            literal = ""
        else:
            literal += char
    parts.append(literal + "\\" if escaped else literal)
    return Pattern(tuple(parts), negated)


def literal_pattern(value: str) -> Pattern:
    """Return the pattern that matches this value alone."""
    return Pattern((value,))


def write_literal(value: str) -> str:
    """Return the text whose pattern matches this value alone: the inverse of `parse_pattern` for exact ones."""
    escaped = re.sub(r"([\\*?])", r"\\\1", value)
    return f"\\{escaped}" if escaped.startswith("!") else escaped


def field_filter(field: str, values: Sequence[str]) -> FieldFilter | None:
    """Return the filter of a field's values, None when there are none; raises FilterError."""
    if len(values) > VALUES_MAX:
        raise FilterError(field, f"{len(values)} values are more than {VALUES_MAX}; use a pattern such as web-*")
    for value in values:
        _check_length(field, value)
    patterns = dict.fromkeys(parse_pattern(value) for value in values)
    return FieldFilter(field, tuple(patterns)) if patterns else None


def select(
    fields: Iterable[tuple[str, Sequence[str]]] = (),
    *,
    contains: Sequence[str] = (),
    excludes: Sequence[str] = (),
    words: Sequence[str] = (),
    regexes: Sequence[str] = (),
    trace_id: str = "",
    ignore_case: bool = False,
) -> Selection:
    """Return the Selection of what a caller wrote; raises FilterError naming the parameter and what is allowed."""
    filters = [made for name, values in fields if (made := field_filter(name, values))]
    _check_length("trace_id", trace_id)
    for regex in regexes:
        _check_regex(regex, ignore_case=ignore_case)
    return Selection(
        fields=tuple(filters),
        contains=_texts("q", contains),
        excludes=_texts("exclude", excludes),
        words=_texts("words", split_words(words)),
        regexes=_texts("regex", regexes),
        trace_id=trace_id,
        ignore_case=ignore_case,
    )


def split_words(texts: Iterable[str]) -> list[str]:
    """Return the distinct words of the texts, as the store's index splits them."""
    return list(dict.fromkeys(word for text in texts for word in _WORD.findall(text)))


def whole_words(substring: str) -> list[str]:
    """Return the words that any message containing `substring` must have whole: those at its edges may go on."""
    return [match[0] for match in _WORD.finditer(substring) if match.start() > 0 and match.end() < len(substring)]


def _texts(parameter: str, texts: Iterable[str]) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(text for text in texts if text))
    if len(kept) > TEXTS_MAX:
        raise FilterError(parameter, f"{len(kept)} of them are more than {TEXTS_MAX}")
    for text in kept:
        _check_length(parameter, text)
    return kept


def _check_length(parameter: str, text: str) -> None:
    if len(text) > TEXT_CHARS_MAX:
        raise FilterError(parameter, f"a text of {len(text)} characters is longer than {TEXT_CHARS_MAX}")
    if "\x00" in text:
        raise FilterError(parameter, "a NUL character cannot be searched for")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FilterError(parameter, "the text is not valid Unicode") from error


def _check_regex(regex: str, *, ignore_case: bool) -> None:
    _check_length("regex", regex)
    options = re2.Options()
    options.max_mem = REGEX_MEMORY_BYTES
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        re2.compile(regex, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else error
        raise FilterError("regex", f"{regex!r} is not an RE2 expression: {reason}") from error
