"""Samples kept between scrapes in little memory: the numbers of one thing beside the text that many share. Pure.

A finished line takes about 200 bytes, and most of it is said again in the next line. A `Block` holds an object's own
texts (label sets such as `namespace="a",model="b",pod="c"`) once, and its numbers; its `Shape`, the heads and tails of
its lines (`milepost_x_bucket{`, `,le="0.1"} `), is shared by all blocks of that shape and lives as long as one of them.
Lines are made when they are rendered, at less than half a microsecond each.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from exporter.page.family import Family
from exporter.page.sink import Row, Sink, number

_Row = tuple[Family, str, int, str]
"""Family, head of the line, which of the block's texts follows, tail up to the value."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Shape:
    """The lines of a block without what is its own: by family, where its numbers start, and its rows."""

    rows: dict[Family, tuple[int, tuple[_Row, ...]]]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The samples of one object."""

    shape: Shape
    texts: tuple[str, ...]
    values: array[float]

    def lines(self, family: Family) -> str:
        """Return its lines of one family, "" when it has none."""
        start, rows = self.shape.rows.get(family, (0, ()))
        texts, values = self.texts, self.values[start : start + len(rows)]
        return "".join(
            [
                f"{head}{texts[at]}{tail}{number(value)}\n"
                for (_, head, at, tail), value in zip(rows, values, strict=True)
            ]
        )


class Shapes:
    """All shapes in use. One for all blocks of a kind, or nothing is shared."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[_Row, ...], Shape] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._known)

    def shape(self, rows: tuple[_Row, ...]) -> Shape:
        """Return the shape of these rows, in which each family's stand together."""
        known = self._known.get(rows)
        if known is None:
            known = self._known[rows] = Shape(dict(_by_family(rows)))
        return known


class BlockBuilder(Sink):
    """Collects the samples of one object."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._texts: dict[str, int] = {}
        self._rows: list[tuple[_Row, float]] = []

    def build(self) -> Block:
        """Return what was added."""
        # A stable sort: the lines of one series, such as a histogram's, stay in their order.
        order: dict[Family, int] = {}
        for (family, *_), _ in self._rows:
            order.setdefault(family, len(order))
        rows = sorted(self._rows, key=lambda row: order[row[0][0]])
        shape = self._shapes.shape(tuple(row for row, _ in rows))
        return Block(shape, tuple(self._texts), array("d", [value for _, value in rows]))

    def _add_rows(self, family: Family, text: str, rows: Sequence[Row]) -> None:
        if not text:
            raise ValueError(f"{family.name} is about nobody; a block is about one object")
        at = self._texts.setdefault(text, len(self._texts))
        for suffix, shared, value in rows:
            tail = f",{shared}}} " if shared else "} "
            self._rows.append(((family, sys.intern(f"{family.name}{suffix}{{"), at, sys.intern(tail)), value))


def by_shape(blocks: Iterable[Block]) -> dict[Shape, list[Block]]:
    """Return the blocks by their shapes."""
    found: dict[Shape, list[Block]] = {}
    for block in blocks:
        found.setdefault(block.shape, []).append(block)
    return found


def _by_family(rows: tuple[_Row, ...]) -> Iterator[tuple[Family, tuple[int, tuple[_Row, ...]]]]:
    start = 0
    while start < len(rows):
        family, end = rows[start][0], start
        while end < len(rows) and rows[end][0] is family:
            end += 1
        yield family, (start, rows[start:end])
        start = end
