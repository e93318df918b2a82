"""Read the few families one needs out of a metrics page, without reading the rest of it.

A page of cAdvisor holds dozens of megabyte-sized families; a stock parser spends about 40 microseconds on every sample.
Here each wanted sample name is searched for with `bytes.find`, from where the one before ended, and its lines are read
up to the first that is another's: the format has all lines of a metric in one group, and Go's client has the groups in
alphabetical order, so names given in that order cost one memory scan of the page together, and each wanted sample
about a microsecond.

Accepted: the Prometheus text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), with or
without timestamps, names with a leading colon (TF Serving), a trailing comma in the label set (TorchServe), `}` and
escapes inside label values. A line that is not a sample raises `PageError` with the line: a truncated or foreign page
is a failed source, never half of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

_SAMPLE = re.compile(rb"(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+(-?\d+))?[ \t]*\r?")
_NAME = re.compile(r"\s*+,\s*+([a-zA-Z_][a-zA-Z0-9_]*+)\s*+=\s*+")
_VALUE = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_UNESCAPE = re.compile(r'\\([\\"n])')
_LINE_SHOWN_MAX = 200
_BRACE = ord("{")
_AFTER_NAME = b"{ \t"


class PageError(ValueError):
    """The page is not in the text format; the message shows the line."""


class Scanned(NamedTuple):
    """One sample: `labels` is what is between the braces, still escaped; `timestamp_ms` is None when not given."""

    name: str
    labels: bytes
    value: float
    timestamp_ms: int | None


def scan(page: bytes, names: Iterable[str]) -> Iterator[Scanned]:
    """Yield the samples of these names, which are not a histogram's parts (those come mixed), name by name.

    Raises PageError at a line that starts like a sample of that name and is none, and for a page whose last line has
    no end: its last number may have lost digits.
    """
    if page and not page.endswith(b"\n"):
        raise PageError(f"the page has no end: {page[-_LINE_SHOWN_MAX:]!r}")
    at = 0
    for name in names:
        prefix = name.encode()
        start = _first(page, prefix, at)
        while start >= 0 and page.startswith(prefix, start) and page[start + len(prefix)] in _AFTER_NAME:
            end = page.index(b"\n", start)
            yield _sample(page[start:end], name, len(prefix))
            start = at = end + 1


def parse_labels(text: bytes | str) -> dict[str, str]:
    """Return the labels of `Scanned.labels`. Raises PageError when the text is no label set."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    # Without escapes every second piece between the quotes is a value; the others are few, and known after a page.
    *pieces, rest = _VALUE.split(f",{text}") if "\\" in text else f",{text}".split('"')
    if len(pieces) % 2 or rest.strip(" ,"):
        raise PageError(f"not a label set: {text[:_LINE_SHOWN_MAX]!r}")
    labels = dict(zip(map(_label_name, pieces[::2]), pieces[1::2], strict=True))
    return {name: _unescape(value) for name, value in labels.items()} if "\\" in text else labels


@lru_cache(maxsize=1024)
def _label_name(piece: str) -> str:
    """Return the name in what stands before a label's value, as in `,pod=`."""
    match = _NAME.fullmatch(piece)
    if match is None:
        raise PageError(f"not a label's name: {piece[:_LINE_SHOWN_MAX]!r}")
    return match[1]


def _first(page: bytes, prefix: bytes, at: int) -> int:
    """Return where the first line of this name starts, behind `at` or else anywhere; -1 when there is none."""
    needle = b"\n" + prefix
    for begin, end in ((max(0, at - 1), len(page)), (0, at)):
        if begin == 0 and page.startswith(prefix) and page[len(prefix)] in _AFTER_NAME:
            return 0
        found = page.find(needle, begin, end)
        while found != -1:
            if page[found + len(needle)] in _AFTER_NAME:
                return found + 1
            found = page.find(needle, found + 1, end)
    return -1


def _sample(line: bytes, name: str, name_length: int) -> Scanned:
    if line[name_length] == _BRACE:
        # The usual line, and what the pattern below would say of it: no brace is behind the last one but its own.
        labels, found, rest = line[name_length + 1 :].rpartition(b"} ")
        number, _, stamp = rest.partition(b" ")
        try:
            if found:
                return Scanned(name, labels, float(number), int(stamp) if stamp else None)
        except ValueError:
            pass  # an unusual line: more blanks, or no sample at all
    match = _SAMPLE.fullmatch(line, name_length)
    if match is None:
        raise PageError(f"not a sample: {line[:_LINE_SHOWN_MAX]!r}")
    labels, number, timestamp = match.groups()
    try:
        value = float(number)
    except ValueError as error:
        raise PageError(f"not a number: {line[:_LINE_SHOWN_MAX]!r}") from error
    return Scanned(name, labels or b"", value, int(timestamp) if timestamp else None)


def _unescape(value: str) -> str:
    return _UNESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], value)
