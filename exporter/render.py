"""The page: from a collection to text or OpenMetrics, chunk by chunk, gzipped on the way. Pure.

The families come in the order of the table. The page is never held as a whole: a page of thousands of pods is tens of
megabytes of text, one family of it one or two. A page has at most `series_max` series: those of the families that come
last are left out and counted, the exporter's own never.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from exporter.families import FAMILIES, SERIES, SERIES_DROPPED, Family, Kind, Mode
from exporter.samples import EXPORTER, Samples

GZIP_WBITS = 31


@dataclass(slots=True)
class SeriesBound:
    """Most series of a page, and how many were left out for it since the start."""

    series_max: int
    dropped: int = 0


def page(samples: Samples, own: Samples, bound: SeriesBound, *, openmetrics: bool) -> Iterator[str]:
    """Yield the page family by family; `own` are the exporter's own families, which no bound cuts."""
    series = 0
    for family in FAMILIES:
        lines = samples.lines.get(family)
        if lines and family.mode is not Mode.BOTH:
            text = "".join(lines)
            count = text.count("\n")
            if count > bound.series_max - series:
                text, kept = _cut(lines, bound.series_max - series)
                bound.dropped += count - kept
                count = kept
            series += count
            if text:
                yield header(family, openmetrics=openmetrics) + text
    own.add(SERIES_DROPPED, EXPORTER, bound.dropped, "scrape.series_max")
    own_series = sum(line.count("\n") for lines in own.lines.values() for line in lines) + 1
    own.add(SERIES, EXPORTER, series + own_series)
    for family in FAMILIES:
        if lines := own.lines.get(family):
            yield header(family, openmetrics=openmetrics) + "".join(lines)


def header(family: Family, *, openmetrics: bool) -> str:
    """Return the HELP and TYPE lines; OpenMetrics names a counter's family without its `_total`."""
    name = family.name
    if openmetrics and family.kind is Kind.COUNTER:
        name = name.removesuffix("_total")
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.kind.value}\n"


def compressed(chunks: Iterable[str], level: int) -> Iterator[bytes]:
    """Yield the gzip stream of the text."""
    packer = zlib.compressobj(level, wbits=GZIP_WBITS)
    for chunk in chunks:
        if packed := packer.compress(chunk.encode()):
            yield packed
    yield packer.flush()


def _cut(lines: Iterable[str], room: int) -> tuple[str, int]:
    """Return the first items that fit into `room` series, and how many series those are; no histogram is cut."""
    kept: list[str] = []
    series = 0
    for line in lines:
        series += line.count("\n")
        if series > room:
            return "".join(kept), series - line.count("\n")
        kept.append(line)
    return "".join(kept), series
