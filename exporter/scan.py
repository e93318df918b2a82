"""Read the few families one needs out of a metrics page, without reading the rest of it.

A page of cAdvisor or of a model server holds hundreds of families; a stock parser spends about 40 microseconds on
every sample. Here each wanted sample name is searched for with `bytes.find`, and only its lines are looked at, so the
cost is that of a few memory scans plus about a microsecond for each wanted sample.

Accepted: the Prometheus text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), with or
without timestamps, names with a leading colon (TF Serving), a trailing comma in the label set (TorchServe), `}` and
escapes inside label values. A line that is not a sample raises `PageError` with the line: a truncated or foreign page
is a failed source, never half of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_SAMPLE = re.compile(rb"(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+(-?\d+))?[ \t]*\r?")
_LABEL = re.compile(r'\s*+([a-zA-Z_][a-zA-Z0-9_]*+)\s*+=\s*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"\s*+(?:,|$)')
_UNESCAPE = re.compile(r'\\([\\"n])')
_LINE_SHOWN_MAX = 200


class PageError(ValueError):
    """The page is not in the text format; the message shows the line."""


class Scanned(NamedTuple):
    """One sample: `labels` is the text between the braces, still escaped; `timestamp_ms` is None when not given."""

    name: str
    labels: str
    value: float
    timestamp_ms: int | None


def scan(page: bytes, names: Iterable[str]) -> Iterator[Scanned]:
    """Yield the samples with one of these names (a histogram's are `x_bucket`, `x_sum`, `x_count`), name by name.

    Raises PageError at a line that starts like a sample of that name and is none, and for a page whose last line has
    no end: its last number may have lost digits.
    """
    if page and not page.endswith(b"\n"):
        raise PageError(f"the page has no end: {page[-_LINE_SHOWN_MAX:]!r}")
    for name in names:
        prefix = name.encode()
        for start in _line_starts(page, prefix):
            after = start + len(prefix)
            if page[after : after + 1] in (b"{", b" ", b"\t"):
                yield _sample(page[start : page.index(b"\n", after)], name, len(prefix))


def parse_labels(text: str) -> dict[str, str]:
    """Return the labels of `Scanned.labels`. Raises PageError when the text is no label set."""
    labels: dict[str, str] = {}
    at = 0
    while match := _LABEL.match(text, at):
        value = match[2]
        labels[match[1]] = _unescape(value) if "\\" in value else value
        at = match.end()
    if text[at:].strip(" ,"):
        raise PageError(f"not a label set: {text[:_LINE_SHOWN_MAX]!r}")
    return labels


def _line_starts(page: bytes, prefix: bytes) -> Iterator[int]:
    if page.startswith(prefix):
        yield 0
    needle = b"\n" + prefix
    at = page.find(needle)
    while at != -1:
        yield at + 1
        at = page.find(needle, at + 1)


def _sample(line: bytes, name: str, name_length: int) -> Scanned:
    match = _SAMPLE.fullmatch(line, name_length)
    if match is None:
        raise PageError(f"not a sample: {line[:_LINE_SHOWN_MAX]!r}")
    labels, number, timestamp = match.groups()
    try:
        value = float(number)
    except ValueError as error:
        raise PageError(f"not a number: {line[:_LINE_SHOWN_MAX]!r}") from error
    return Scanned(name, (labels or b"").decode(errors="replace"), value, int(timestamp) if timestamp else None)


def _unescape(value: str) -> str:
    return _UNESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], value)
