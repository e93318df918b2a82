"""Samples as the text formats write them: whom they are about, their labels and numbers, and where they go. Pure."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.page.family import Family, Scope
from milepost.identity import Identity

_ESCAPED = re.compile(r'[\\"\n]')
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_SPECIAL = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}


def escape(value: str) -> str:
    """Return a label value as the text format writes it (backslash, quote and line feed escaped)."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], value)


def render_labels(names: Sequence[str], values: Sequence[str]) -> str:
    """Return `a="1",b="2"`, without braces."""
    return ",".join([f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True)])


def number(value: float) -> str:
    """Return a sample's value as the text formats write it, so that it reads back as the same number."""
    text = repr(value)
    return text[:-2] if text[-2:] == ".0" else _SPECIAL.get(text, text)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """Whom samples are about, with its label text rendered once and reused by all of them."""

    identity: Identity
    scope: Scope
    text: str

    @classmethod
    def of(cls, identity: Identity, scope: Scope) -> Subject:
        """Return the subject of this scope: its labels are the scope's fields of the identity."""
        return cls(identity, scope, render_labels(scope.labels, [getattr(identity, name) for name in scope.labels]))


EXPORTER = Subject.of(Identity(), Scope.EXPORTER)


@dataclass(frozen=True, slots=True)
class Histogram:
    """A cumulative histogram: `cumulative[i]` requests took at most `bounds_s[i]`; the last one is +Inf, the count."""

    bounds_s: tuple[float, ...]
    cumulative: tuple[float, ...]
    sum_s: float

    def __post_init__(self) -> None:
        if len(self.cumulative) != len(self.bounds_s) + 1:
            raise ValueError(f"{len(self.bounds_s)} bounds need one more count, not {len(self.cumulative)}")


Row = tuple[str, str, float]
"""Suffix of the name (`_bucket`), the labels that its like shares (`le="0.1"`), and the value."""


class Sink(ABC):
    """Where samples go. The labels of one sample are its subject's, its *own*, and those *shared* with its like.

    Which are own and which are shared only matters to what a sink keeps; a line has them in this order.
    """

    __slots__ = ()

    def add(self, family: Family, subject: Subject, value: float, *labels: str) -> None:
        """Add one sample; `labels` are the values of `family.labels`, in order."""
        if len(labels) != len(family.labels):
            raise ValueError(f"{family.name} has the labels {family.labels}, not {len(labels)}")
        own = render_labels(family.labels[:-1], labels[:-1]) if len(labels) > 1 else ""
        shared = render_labels(family.labels[-1:], labels[-1:]) if labels else ""
        self._take(family, subject, own, [("", shared, value)])

    def add_own(self, family: Family, subject: Subject, value: float, *labels: str) -> None:
        """Add one sample with labels that hardly another object has."""
        self._take(family, subject, render_labels(family.labels, labels), [("", "", value)])

    def add_histogram(self, family: Family, subject: Subject, value: Histogram, *labels: str) -> None:
        """Add the buckets, sum and count of one histogram."""
        bounds = (*[repr(float(bound)) for bound in value.bounds_s], "+Inf")
        rows = [("_bucket", f'le="{bound}"', count) for bound, count in zip(bounds, value.cumulative, strict=True)]
        rows += [("_sum", "", value.sum_s), ("_count", "", value.cumulative[-1])]
        self._take(family, subject, render_labels(family.labels, labels), rows)

    def add_summary(self, family: Family, subject: Subject, total: float, count: float, *labels: str) -> None:
        """Add the sum and the count of a summary without quantiles."""
        rows = [("_sum", "", total), ("_count", "", count)]
        self._take(family, subject, render_labels(family.labels, labels), rows)

    def _take(self, family: Family, subject: Subject, own: str, rows: Sequence[Row]) -> None:
        if subject.scope is not family.scope:
            raise ValueError(f"{family.name} is about a {family.scope.name}, not a {subject.scope.name}")
        self._add_rows(family, f"{subject.text},{own}" if subject.text and own else subject.text or own, rows)

    @abstractmethod
    def _add_rows(self, family: Family, text: str, rows: Sequence[Row]) -> None:
        """Take the rows of one metric; `text` is the subject's and their own labels."""
