"""Gathers the series of a few families from a page, histograms put together.

`exporter/page/scan.py` yields samples; a model server's page is mostly histograms, whose samples belong together and
differ by `le` alone. Only lines that begin with the families' common prefix are looked at. The first line of a series
goes through a compiled pattern; with `le` cut out of the label text what remains is the key of the series, so that
labels are decoded once per series and not once per bucket. The next buckets, the sum and the count begin with bytes
that are known from then on (`_Run`), so all they cost is a comparison and a number: a quarter of what the pattern
takes.

Rules:
- Every quantifier of the pattern is possessive: no input can make it backtrack, the time is linear in the page.
- A page that does not end with a line feed was cut off and is refused, as is one with more than `samples_max` wanted
  samples: half a page is a wrong count.
- A sample whose value is no number, or NaN, is skipped.
- A series that a page gives twice is added up: the Seldon Python wrapper prints one series per server process with the
  same labels (seldon-core#3968).
- Timestamps and exemplars behind the value are ignored. A counter may end in `_total` where its server's own page
  has none: some clients and proxies rename it.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
"""

from __future__ import annotations

import math
import os.path
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from exporter.page.scan import PageError, parse_labels
from exporter.page.sink import Histogram

Key = TypeVar("Key")

SAMPLES_MAX = 100_000
"""Wanted samples a page may hold: a thousand times those of an executor's page."""

_LABELS = rb'\{([^"}\n]*+(?:"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"[^"}\n]*+)*+)\}'
_SAMPLE_TAIL = rb"(_bucket|_sum|_count|_total)?(?:" + _LABELS + rb")?[ \t]++([^\s]{1,64}+)"
_ATTRIBUTES = {b"": "value", b"_total": "value", b"_sum": "sum", b"_count": "count"}


@dataclass(slots=True)
class Series:
    """One series of a page: a plain value, or the parts of a histogram or summary with their `le` taken out.

    `buckets` maps the upper bound, in the page's own unit, to the cumulative count.
    """

    family: str
    labels: Mapping[str, str]
    value: float = 0.0
    sum: float = 0.0
    count: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)

    def add(self, part: str, value: float) -> None:
        """Add to `value`, `sum` or `count`; what is not a number is left out."""
        if value == value:  # noqa: PLR0124 - not NaN
            setattr(self, part, getattr(self, part) + value)


class Families:
    """The families wanted from one kind of page, compiled once and used for every page of that kind."""

    def __init__(self, *names: str) -> None:
        if not names:
            raise ValueError("Families needs at least one name")
        self.names = names
        prefix = os.path.commonprefix(names)  # noqa: RUF071 - character by character is what is wanted
        rests = b"|".join(re.escape(name[len(prefix) :].encode()) for name in sorted(names, key=len, reverse=True))
        self._prefix = prefix.encode()
        self._pattern = re.compile(re.escape(self._prefix) + b"(" + rests + b")" + _SAMPLE_TAIL)
        self._names = {name[len(prefix) :].encode(): name for name in names}

    def gather(self, page: bytes, *, samples_max: int = SAMPLES_MAX) -> list[Series]:
        """Return the wanted series in the order of the page. Raises PageError."""
        if page and not page.endswith(b"\n"):
            raise PageError(f"the page of {len(page)} bytes does not end with a line feed: it was cut off")
        found: dict[tuple[bytes, bytes], Series] = {}
        run, samples = _Run(), 0
        for line in [line for line in page.split(b"\n") if line.startswith(self._prefix)]:
            if not run.take(line):
                match = self._pattern.match(line)
                if match is None:
                    continue
                run = self._begin(match, found)
            samples += 1
            if samples > samples_max:
                raise PageError(f"the page has more than {samples_max} samples of {', '.join(self.names)}")
        return list(found.values())

    def _begin(self, match: re.Match[bytes], found: dict[tuple[bytes, bytes], Series]) -> _Run:
        """Take a sample whose series is not known yet, and return what its next samples begin with."""
        rest, suffix, labels, text = match.groups(b"")
        try:
            value = float(text)
            bound, bare = _take_le(labels) if suffix == b"_bucket" else (0.0, labels)
        except ValueError:
            return _Run()
        if value != value or bound != bound:  # noqa: PLR0124 - NaN, at a tenth of the price of math.isnan
            return _Run()
        one = found.get((rest, bare))
        if one is None:
            decoded = parse_labels(bare.decode(errors="replace")) if bare else {}
            one = found[rest, bare] = Series(self._names[rest], decoded)
        if suffix != b"_bucket":
            one.add(_ATTRIBUTES[suffix], value)
            return _Run()
        one.buckets[bound] = one.buckets.get(bound, 0.0) + value
        if not bare or not labels.startswith(bare + b',le="'):
            return _Run()
        name = self._prefix + rest
        return _Run(one, *(name + part % bare for part in (b'_bucket{%b,le="', b"_sum{%b} ", b"_count{%b} ")))


@dataclass(frozen=True, slots=True)
class _Run:
    """The series of the line before, and what its further lines begin with; by itself it takes none."""

    series: Series = field(default_factory=lambda: Series("", {}))
    bucket: bytes = b"\n"
    sum: bytes = b"\n"
    count: bytes = b"\n"

    def take(self, line: bytes) -> bool:
        """Take the line if it is one more of the series and a plain one: name, labels, value."""
        try:
            if line.startswith(self.bucket):
                bound, _, text = line[len(self.bucket) :].partition(b'"} ')
                self._add_bucket(float(bound), float(text))
            elif line.startswith(self.sum):
                self.series.add("sum", float(line[len(self.sum) :]))
            elif line.startswith(self.count):
                self.series.add("count", float(line[len(self.count) :]))
            else:
                return False
        except ValueError:  # a timestamp or an exemplar behind the value, or no number at all
            return False
        return True

    def _add_bucket(self, bound: float, value: float) -> None:
        if bound == bound and value == value:  # noqa: PLR0124 - not NaN
            self.series.buckets[bound] = self.series.buckets.get(bound, 0.0) + value


def grouped(series: Iterable[Series], key: Callable[[Series], Key | None]) -> dict[Key, list[Series]]:
    """Return the series by their key, in the order of the page; a key of None leaves a series out."""
    groups: dict[Key, list[Series]] = {}
    for one in series:
        if (group := key(one)) is not None:
            groups.setdefault(group, []).append(one)
    return groups


def of_family(series: Iterable[Series], family: str) -> list[Series]:
    """Return the series of one family."""
    return [one for one in series if one.family == family]


def total(series: Iterable[Series]) -> float:
    """Return the sum of their values."""
    return math.fsum(one.value for one in series)


def counts_by(series: Iterable[Series], key: Callable[[Series], str], amount: Callable[[Series], float]) -> dict[
    str, float
]:  # fmt: skip
    """Return the sum of `amount` by `key`."""
    counts: dict[str, float] = {}
    for one in series:
        counts[key(one)] = counts.get(key(one), 0.0) + amount(one)
    return counts


def histogram(series: Sequence[Series], *, per_second: float = 1.0) -> Histogram | None:
    """Return the sum of histograms in seconds, or None when no series has buckets.

    `per_second` is how many of the page's units make a second. Where bounds differ, those that all have are kept:
    cumulative counts add up exactly there, and nowhere else.
    """
    withbuckets = [one for one in series if one.buckets]
    if not withbuckets:
        return None
    shared = set.intersection(*({bound for bound in one.buckets if bound < math.inf} for one in withbuckets))
    bounds = sorted(shared)
    cumulative = [math.fsum(one.buckets[bound] for one in withbuckets) for bound in bounds]
    cumulative.append(math.fsum(one.buckets.get(math.inf, one.count) for one in withbuckets))
    return Histogram(
        bounds_s=tuple(_scaled(bound, per_second) for bound in bounds),
        cumulative=tuple(cumulative),
        sum_s=math.fsum(one.sum for one in withbuckets) / per_second,
    )


def _scaled(bound: float, per_second: float) -> float:
    # Twelve digits, so that 104.976 µs is `le="0.000104976"` and not `0.00010497599999999999`.
    return bound if per_second == 1.0 else float(f"{bound / per_second:.12g}")


def _take_le(labels: bytes) -> tuple[float, bytes]:
    """Return the bucket's bound and the labels without `le`; raises ValueError when there is none.

    A quote inside a value is escaped, so `le="` begins a label unless it ends a longer name such as `role="`.
    """
    before, found, after = labels.rpartition(b'le="')
    while found and before and before[-1] not in b", ":
        before, found, longer = before.rpartition(b'le="')
        after = longer + b'le="' + after
    bound, _, after = after.partition(b'"')
    if not before:
        return float(bound), after.lstrip(b", ")
    if not after and before[-1] == 44:  # a comma: `le` is last, as Go's client writes it
        return float(bound), before[:-1]
    return float(bound), before.rstrip(b", ") + after
