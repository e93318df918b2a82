"""The page: from a collection to text or OpenMetrics, piece by piece, gzipped on the way. Pure.

The families come in the order of the table. The page is never held as a whole: a page of thousands of pods is tens of
megabytes of text, and its lines are made while they are sent. A page has at most `series_max` series: those that come
last are left out and counted, the exporter's own never.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from exporter.page.blocks import Block, Shape, by_shape
from exporter.page.families import FAMILIES, SERIES, SERIES_DROPPED
from exporter.page.family import Family, Kind, Mode
from exporter.page.samples import Samples
from exporter.page.sink import EXPORTER

GZIP_WBITS = 31
_PIECE = 128 * 1024
"""About how many characters are made at once; the event loop does nothing else meanwhile."""


@dataclass(slots=True)
class SeriesBound:
    """Most series of a page, and how many were left out for it since the start."""

    series_max: int
    dropped: int = 0


@dataclass(slots=True)
class _Room:
    """What is left of the bound while a page is made."""

    bound: SeriesBound
    series: int = 0
    full: bool = False

    def fitting(self, items: Iterable[str]) -> Iterator[str]:
        """Yield the items up to the first that does not fit; no item (a histogram, say) is cut."""
        for item in items:
            count = item.count("\n")
            self.full = self.full or self.series + count > self.bound.series_max
            if self.full:
                self.bound.dropped += count
            else:
                self.series += count
                yield item


def page(samples: Samples, own: Samples, bound: SeriesBound, *, openmetrics: bool) -> Iterator[str]:
    """Yield the page in pieces; `own` are the exporter's own families, which no bound cuts."""
    room, shapes = _Room(bound), by_shape(samples.blocks)
    for family in FAMILIES:
        if family.mode is not Mode.BOTH:
            yield from _pieces(header(family, openmetrics=openmetrics), room.fitting(_items(family, samples, shapes)))
    own.add(SERIES_DROPPED, EXPORTER, bound.dropped, "scrape.series_max")
    own_series = sum(line.count("\n") for lines in own.lines.values() for line in lines) + 1
    own.add(SERIES, EXPORTER, room.series + own_series)
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
        yield packer.compress(chunk.encode())
    yield packer.flush()


def _items(family: Family, samples: Samples, shapes: Mapping[Shape, Sequence[Block]]) -> Iterator[str]:
    yield from samples.lines.get(family, ())
    for shape, blocks in shapes.items():
        if family in shape.rows:
            for block in blocks:
                yield block.lines(family)


def _pieces(head: str, items: Iterable[str]) -> Iterator[str]:
    """Yield the items, joined to pieces, behind the head; nothing when there are none."""
    part, size = [head], 0
    for item in items:
        part.append(item)
        size += len(item)
        if size > _PIECE:
            yield "".join(part)
            part, size = [], 0
    if size:
        yield "".join(part)
