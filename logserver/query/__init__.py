"""From a Selection to SQL: pure, and no text of a caller ever becomes SQL text.

Every value is a bound parameter `{name:Type}`; names are counted here (`p0`, `p1`…), field names come from the closed
list `STREAM_FIELDS`. What the engine can use to skip data (exact and prefix conditions on the sorting key, whole
words for the index of words) stands beside the exact predicate, never instead of it.

The order of work is ours, since the engine's optimizer takes a search of text for cheaper and more selective than it is
(measured: it ran RE2 before it looked at the time), and to work the order out takes it a millisecond. Times and names
go into PREWHERE: the message is read where they hold. Texts go into WHERE, the cheap tests first, and RE2 last and only
on lines that have the literals it needs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from logserver.query.cursor import PageCursor, Vector
from logserver.query.filters import STREAM_FIELDS, FieldFilter, Pattern, Selection, whole_words
from logserver.query.literals import requirement
from logserver.times import EARLIEST_NS, LATEST_NS, TimeRange

Direction = Literal["backward", "forward"]

LINE_COLUMNS = "ts, origin, stream, level, message, trace_id, flags, file_id, file_offset, topic, partition, offset"
"""What a reader of lines gets, in this order; see `logserver/read/lines.py`."""

_MATCHED_COLUMNS = ", ".join(dict.fromkeys([*LINE_COLUMNS.split(", "), *STREAM_FIELDS, "container_id"]))
"""The same, and what a Matcher needs besides (`logserver/query/match.py`)."""

_BOUNDARY = r"[\x{00}-\x{2F}\x{3A}-\x{40}\x{5B}-\x{60}\x{7B}-\x{7F}]"
"""A character that is in no word."""


@dataclass(slots=True)
class Statement:
    """Conditions under construction, joined by AND, with the values they are bound to."""

    conditions: list[str] = field(default_factory=list)
    params: dict[str, object] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    """Conditions on the message, the cheapest first."""

    def bind(self, kind: str, value: object) -> str:
        """Return the placeholder of a new parameter of this engine type."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"{{{name}:{kind}}}"

    def add(self, condition: str) -> None:
        """Add a condition."""
        self.conditions.append(condition)

    @property
    def where(self) -> str:
        """The clauses PREWHERE and WHERE, empty when everything is wanted."""
        before = self._clause("PREWHERE")
        return f"{before}WHERE {_each_if_the_one_before(self.texts)}" if self.texts else before

    @property
    def where_final(self) -> str:
        """The clause of a statement with FINAL, which must merge rows before it filters them."""
        return self._clause("WHERE")

    def _clause(self, word: str) -> str:
        return f"{word} {' AND '.join(self.conditions)} " if self.conditions else ""


def conditions(selection: Selection, time: TimeRange = TimeRange()) -> Statement:  # noqa: B008 - frozen
    """Return the statement that keeps the selected lines of this range."""
    statement = Statement()
    if selection.namespaces is not None:
        statement.add(f"namespace IN ({statement.bind('Array(String)', list(selection.namespaces))})")
    for item in selection.fields:
        _add_field(statement, item)
    add_time(statement, time)
    if selection.arrived_before is not None:
        _add_arrived_before(statement, selection.arrived_before)
    if selection.trace_id:
        statement.add(f"trace_id = {statement.bind('String', selection.trace_id)}")
    if selection.container_id:
        statement.add(f"container_id = {statement.bind('String', selection.container_id)}")
    _add_text(statement, selection)
    return statement


def add_time(statement: Statement, time: TimeRange) -> None:
    """Keep the lines of a range."""
    if time.start_ns > EARLIEST_NS:
        statement.add(f"ts >= {_instant(statement, time.start_ns)}")
    if time.end_ns < LATEST_NS:
        statement.add(f"ts < {_instant(statement, time.end_ns)}")


def add_cursor(statement: Statement, cursor: PageCursor, direction: Direction) -> None:
    """Keep the lines after `cursor` in this direction. The plain bound on ts is what the engine can skip data by."""
    sign = "<" if direction == "backward" else ">"
    at = _instant(statement, cursor.ts_ns)
    file_id = statement.bind("UInt64", cursor.file_id)
    file_offset = statement.bind("UInt64", cursor.file_offset)
    statement.add(f"ts {sign}= {at}")
    statement.add(
        f"(ts {sign} {at} OR file_id {sign} {file_id} OR (file_id = {file_id} AND file_offset {sign} {file_offset}))"
    )


def page(
    selection: Selection, time: TimeRange, *, cursor: PageCursor | None, direction: Direction, limit: int
) -> tuple[str, dict[str, object]]:
    """Return the SQL of one page of lines in the total order, and its parameters."""
    statement = conditions(selection, time)
    if cursor is not None:
        add_cursor(statement, cursor, direction)
    rows = statement.bind("UInt64", limit)
    sql = f"SELECT {LINE_COLUMNS} FROM lines {statement.where} {order(direction)} LIMIT {rows}"  # noqa: S608 (bound)
    return sql, statement.params


def arrivals(selection: Selection, start: Vector, end: Vector, limit: int) -> tuple[str, dict[str, object]]:
    """Return the SQL of the lines that arrived from `start` until before `end`, in the order of their positions.

    They can be matched too.
    A partition that `start` does not know begins at its first line; one that `end` does not know has none.
    """
    statement = conditions(selection)
    spans = [(place, start.get(place, 0), end[place]) for place in sorted(end) if start.get(place, 0) < end[place]]
    parts = [
        f"(topic = {statement.bind('String', place.topic)} AND partition = {statement.bind('UInt32', place.partition)} "
        f"AND offset >= {statement.bind('UInt64', first)} AND offset < {statement.bind('UInt64', last)})"
        for place, first, last in spans
    ]
    statement.add(f"({' OR '.join(parts)})" if parts else "false")
    rows = statement.bind("UInt64", limit)
    ending = f"ORDER BY topic, partition, offset LIMIT {rows}"
    sql = f"SELECT {_MATCHED_COLUMNS} FROM lines {statement.where} {ending}"  # noqa: S608 (names of ours, values bound)
    return sql, statement.params


def order(direction: Direction) -> str:
    """Return the ORDER BY of the total order."""
    way = "DESC" if direction == "backward" else "ASC"
    return f"ORDER BY ts {way}, file_id {way}, file_offset {way}"


def word_regex(word: str) -> str:
    """Return the RE2 expression that finds a whole word."""
    return rf"(?:\A|{_BOUNDARY}){re2_quote(word)}(?:\z|{_BOUNDARY})"


def re2_quote(text: str) -> str:
    """Return the RE2 expression that matches exactly this text."""
    return re.sub(r"([^0-9A-Za-z_\u0080-\U0010ffff])", r"\\\1", text)


def text_regexes(selection: Selection) -> list[tuple[str, bool]]:
    """Return (RE2 expression, whether it must match) for every text condition that is evaluated as one."""
    expressions = [(regex, True) for regex in selection.regexes]
    if selection.ignore_case:
        expressions += [(re2_quote(text), True) for text in selection.contains]
        expressions += [(re2_quote(text), False) for text in selection.excludes]
        expressions += [(word_regex(word), True) for word in selection.words]
        return [(f"(?i){expression}", wanted) for expression, wanted in expressions]
    return expressions


def _add_arrived_before(statement: Statement, places: tuple[tuple[str, int, int], ...]) -> None:
    names = statement.bind("Array(String)", [f"{topic}/{partition}" for topic, partition, _ in places])
    offsets = statement.bind("Array(UInt64)", [next_offset for *_, next_offset in places])
    # An unknown partition has index 0, whose element is 0: no offset is before it.
    statement.add(f"offset < arrayElement({offsets}, indexOf({names}, concat(topic, '/', toString(partition))))")


def _instant(statement: Statement, value_ns: int) -> str:
    return f"fromUnixTimestamp64Nano({statement.bind('Int64', value_ns)}, 'UTC')"


def _add_field(statement: Statement, item: FieldFilter) -> None:
    assert item.field in STREAM_FIELDS
    if item.wanted:
        statement.add(_any_of(statement, item.field, item.wanted))
    if item.excluded:
        statement.add(f"NOT {_any_of(statement, item.field, item.excluded)}")


def _each_if_the_one_before(tests: list[str]) -> str:
    """Return the tests joined by and, as `if`: unlike AND, it keeps their order."""
    whole = tests[-1]
    for test in reversed(tests[:-1]):
        whole = f"if({test}, {whole}, 0)"
    return whole


def _any_of(statement: Statement, column: str, patterns: tuple[Pattern, ...]) -> str:
    exact = [pattern.exact for pattern in patterns if pattern.exact is not None]
    parts = []
    if len(exact) == 1:
        parts.append(f"{column} = {statement.bind('String', exact[0])}")
    elif exact:
        parts.append(f"{column} IN ({statement.bind('Array(String)', exact)})")
    parts += [
        f"{column} LIKE {statement.bind('String', pattern.like)}" for pattern in patterns if pattern.exact is None
    ]
    return f"({' OR '.join(parts)})"


def _add_text(statement: Statement, selection: Selection) -> None:
    words: list[str] = []  # which a line must have whole: for the index alone, the exact test follows
    if not selection.ignore_case:
        words += [*selection.words, *(word for text in selection.contains for word in whole_words(text))]
        statement.texts += [f"hasToken(message, {statement.bind('String', word)})" for word in selection.words]
        statement.texts += [f"position(message, {statement.bind('String', text)}) > 0" for text in selection.contains]
        statement.texts += [f"position(message, {statement.bind('String', text)}) = 0" for text in selection.excludes]
    for expression, wanted in text_regexes(selection):
        matches = f"match(message, {statement.bind('String', expression)})"
        if not wanted:
            statement.texts.append(f"NOT {matches}")
            continue
        needs = requirement(expression)
        words += [word for literal in needs.certain for word in whole_words(literal)]
        if needs.strongest:
            search = "multiSearchAnyCaseInsensitive" if needs.fold_case else "multiSearchAny"
            literals = statement.bind("Array(String)", sorted(needs.strongest))
            matches = f"if({search}(message, {literals}), {matches}, 0)"
        statement.texts.append(matches)
    for word in dict.fromkeys(words):
        statement.add(f"indexHint(hasToken(message, {statement.bind('String', word)}))")
