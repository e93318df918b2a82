"""The query parameters, declared once: parsed, bounded and documented in OpenAPI from here."""

from __future__ import annotations

import time
from datetime import tzinfo
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from logserver.api.examples import LINE
from logserver.api.faults import bad_parameter
from logserver.query import Direction
from logserver.query.cursor import (
    CursorError,
    PageCursor,
    RejectCursor,
    Vector,
    decode_page,
    decode_reject,
    decode_tail,
)
from logserver.query.filters import STREAM_FIELDS, TEXT_CHARS_MAX, Selection, parse_pattern, select, write_literal
from logserver.read.formats import Prefix, TextStyle
from logserver.record import LEVELS
from logserver.times import TimeRange, parse_range, parse_zone

_PATTERNS = "Repeatable; `*` and `?` are wildcards, a leading `!` excludes, empty means lines that lack it."

Names = Annotated[list[str], Field(default_factory=list, description=_PATTERNS)]
Compression = Literal["none", "gzip", "zstd"]


def zone_of(name: str) -> tzinfo:
    """Return the zone of the parameter `tz`; raises Problem."""
    try:
        return parse_zone(name)
    except ValueError as error:
        raise bad_parameter("tz", str(error)) from error


class SelectionParams(BaseModel):
    """Which lines."""

    namespace: Annotated[list[str], Field(default_factory=list, description=_PATTERNS, examples=[["risk", "team-*"]])]
    model: Annotated[list[str], Field(default_factory=list, description=f"The SeldonDeployment. {_PATTERNS}")]
    predictor: Names
    pod: Names
    container: Names
    node: Names
    stream: Annotated[list[str], Field(default_factory=list, description=f"stdout or stderr. {_PATTERNS}")]
    level: Annotated[
        list[str],
        Field(
            default_factory=list,
            description=f"trace, debug, info, warn, error, fatal or unknown. {_PATTERNS}",
            examples=[["error", "fatal"]],
        ),
    ]
    q: Annotated[
        list[str], Field(default_factory=list, description="Substrings the message must contain, all of them.")
    ]
    exclude: Annotated[list[str], Field(default_factory=list, description="Substrings the message must not contain.")]
    words: Annotated[
        list[str], Field(default_factory=list, description="Whole words the message must have, all of them.")
    ]
    regex: Annotated[
        list[str], Field(default_factory=list, description="RE2 expressions the message must match, all of them.")
    ]
    trace_id: Annotated[str, Field(description="The line's trace id, exactly.")] = ""
    ignore_case: Annotated[bool, Field(description="Match q, exclude, words and regex without regard to case.")] = False

    def selection(self, **fixed: str) -> Selection:
        """Return the selection; `fixed` names fields that the path binds. Raises FilterError, Problem."""
        _check_levels(self.level)
        fields = [
            (name, [write_literal(fixed[name])] if name in fixed else getattr(self, name)) for name in STREAM_FIELDS
        ]
        for name in fixed:
            if getattr(self, name):
                raise bad_parameter(name, "the path names it already")
        return select(
            fields,
            contains=self.q,
            excludes=self.exclude,
            words=self.words,
            regexes=self.regex,
            trace_id=self.trace_id,
            ignore_case=self.ignore_case,
        )


def _check_levels(values: list[str]) -> None:
    """Raise Problem for a level that no line can have: the answer would be empty for a slip of the pen."""
    for value in values:
        level = parse_pattern(value).exact
        if level and level not in LEVELS:
            raise bad_parameter("level", f"{value!r} is not a level; there are {', '.join(LEVELS)}")


class TimeParams(BaseModel):
    """From when until when."""

    start: Annotated[
        str | None,
        Field(
            description="From, inclusive: RFC 3339, Unix s/ms/us/ns, or a duration back from now.",
            examples=["2026-03-04T09:00:00Z"],
        ),
    ] = None
    end: Annotated[str | None, Field(description="Until, exclusive; written as `start`.")] = None
    since: Annotated[str | None, Field(description="How far back from `end`, or from now.", examples=["15m"])] = None
    tz: Annotated[str, Field(description="IANA zone of times without an offset and of plain text.")] = "UTC"

    @property
    def zone(self) -> tzinfo:
        """The zone; raises Problem."""
        return zone_of(self.tz)

    def range(self) -> TimeRange:
        """Return the range; raises Problem."""
        try:
            return parse_range(self.start, self.end, self.since, now_ns=time.time_ns(), zone=self.zone)
        except ValueError as error:
            name = next((name for name in ("start", "end", "since") if getattr(self, name)), "start")
            raise bad_parameter(name, str(error)) from error


class TextParams(BaseModel):
    """How plain text looks."""

    timestamps: Annotated[bool, Field(description="Plain text: begin each line with its time.")] = False
    prefix: Annotated[Prefix, Field(description="Plain text: say where each line comes from.")] = "none"
    color: Annotated[bool, Field(description="Plain text: a colour per pod and level, as ANSI escapes.")] = False

    def style(self, zone: tzinfo) -> TextStyle:
        """Return the style of plain text."""
        return TextStyle(self.timestamps, self.prefix, self.color, zone)


class PageParams(SelectionParams, TimeParams, TextParams):
    """One page of lines."""

    limit: Annotated[int, Field(ge=1, description="Lines at most; bounded by query.lines_max.")] = 100
    direction: Annotated[
        Direction | None,
        Field(description="backward: the newest first (the default); forward: the oldest first. Plain text without it "
              "shows the newest lines in the order of time."),
    ] = None  # fmt: skip
    cursor: Annotated[str | None, Field(description="`next` of the page before, or the id of a line.")] = None
    format: Annotated[Literal["json", "ndjson", "text"] | None, Field(description="Overrides `Accept`.")] = None

    def place(self) -> PageCursor | None:
        """Return the cursor; raises CursorError."""
        return decode_page(self.cursor) if self.cursor else None


class ExportParams(SelectionParams, TimeParams):
    """A whole result."""

    direction: Annotated[Direction, Field(description="The order of the lines.")] = "forward"
    cursor: Annotated[str | None, Field(description="Go on after this line: the id of the last line received.")] = None
    compression: Annotated[Compression, Field(description="Compress the NDJSON.")] = "none"


class TailParams(SelectionParams, TextParams):
    """What to follow."""

    lines: Annotated[int, Field(ge=0, description="Lines of the past to begin with; bounded by query.lines_max.")] = 100
    start: Annotated[str | None, Field(description="The past begins here; written as in /logs.")] = None
    end: Annotated[str | None, Field(description="Lines of the past end here; new lines come regardless.")] = None
    since: Annotated[str | None, Field(description="The past begins this long ago.")] = None
    tz: Annotated[str, Field(description="IANA zone of times without an offset and of plain text.")] = "UTC"
    cursor: Annotated[
        str | None, Field(description="Resume here: an SSE id or a note's cursor. The header Last-Event-ID wins.")
    ] = None
    until: Annotated[
        str | None, Field(description="End here instead of following: with `cursor`, fetches what was dropped.")
    ] = None
    format: Annotated[Literal["sse", "ndjson", "text"] | None, Field(description="Overrides `Accept`.")] = None

    def time(self) -> TimeParams:
        """Return the time parameters."""
        return TimeParams(start=self.start, end=self.end, since=self.since, tz=self.tz)


class HistogramParams(SelectionParams, TimeParams):
    """Counts over time."""

    by: Annotated[
        Literal["namespace", "model", "predictor", "pod", "container", "node", "stream", "level"],
        Field(description="Split each bar by this field."),
    ] = "level"
    buckets: Annotated[int, Field(ge=1, description="About how many bars; bounded by query.buckets_max.")] = 60
    step: Annotated[str | None, Field(description="The length of a bar instead.", examples=["1m"])] = None


class ValuesParams(SelectionParams, TimeParams):
    """Values of a field."""

    prefix: Annotated[str, Field(max_length=TEXT_CHARS_MAX, description="Only values that begin with this.")] = ""
    limit: Annotated[int, Field(ge=1, description="Values at most, the most frequent first.")] = 100


class FieldsParams(SelectionParams, TimeParams):
    """Fields of a selection."""


class RejectsParams(TimeParams):
    """Rejected documents."""

    reason: Annotated[list[str], Field(default_factory=list, description="Only these reasons.")]
    topic: Annotated[list[str], Field(default_factory=list, description="Only these topics.")]
    limit: Annotated[int, Field(ge=1, le=1000, description="Documents at most, the newest first.")] = 100
    cursor: Annotated[str | None, Field(description="`next` of the page before.")] = None

    def place(self) -> RejectCursor | None:
        """Return the cursor; raises CursorError."""
        return decode_reject(self.cursor) if self.cursor else None


class ContextParams(TextParams):
    """Lines around a line."""

    id: Annotated[str, Field(description="The id of the line in the middle.", examples=[LINE["id"]])]
    before: Annotated[int, Field(ge=0, le=1000, description="Lines before it.")] = 10
    after: Annotated[int, Field(ge=0, le=1000, description="Lines after it.")] = 10
    tz: Annotated[str, Field(description="IANA zone of plain text.")] = "UTC"
    format: Annotated[Literal["json", "ndjson", "text"] | None, Field(description="Overrides `Accept`.")] = None

    def place(self) -> PageCursor:
        """Return the place of the line in the middle; raises Problem."""
        try:
            return decode_page(self.id)
        except CursorError as error:
            raise bad_parameter("id", str(error)) from error


def tail_cursor(parameter: str, text: str | None) -> Vector | None:
    """Return the vector of a parameter; raises Problem."""
    try:
        return decode_tail(text) if text else None
    except CursorError as error:
        raise bad_parameter(parameter, str(error)) from error


def literal_filter(**values: str) -> Selection:
    """Return the selection of exactly these values."""
    return select([(name, [write_literal(value)]) for name, value in values.items()])
