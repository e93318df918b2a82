"""Counts of requests that add up over servers and over time, and the figures they make. Pure.

Rates may be averaged, quantiles may not: the 99th percentile of two servers, or of five minutes, is no function of
their own percentiles. So counts are what is added up, requests, errors, time and histogram buckets, and figures come
last. Where parts with requests have different buckets, or none, their sum has none: no quantile is invented.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from operator import add, sub


@dataclass(frozen=True, slots=True)
class TrafficPoint:
    """What a model or predictor did; not a number where there is nothing to tell.

    The quantiles are interpolated within a bucket, as Prometheus does.
    """

    requests_per_second: float
    error_ratio: float
    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float


@dataclass(slots=True)
class Counts:
    """Requests, those answered 5xx, and the seconds of those that were timed.

    `buckets[i]` requests took at most `bounds_s[i]`, the last one is all of them; None where no histogram is kept.
    """

    requests: float = 0.0
    errors: float = 0.0
    time_s: float = 0.0
    timed: float = 0.0
    bounds_s: tuple[float, ...] = ()
    buckets: array[float] | None = None

    @property
    def busy(self) -> bool:
        """True when anything was counted at all."""
        return bool(self.requests or self.timed)

    def merge(self, other: Counts) -> None:
        """Add the counts of other servers, or of another time."""
        if other.busy and not self.busy:
            self.bounds_s, self.buckets = other.bounds_s, other.buckets
        elif other.busy:
            self._merge_buckets(other)
        self.requests += other.requests
        self.errors += other.errors
        self.time_s += other.time_s
        self.timed += other.timed

    def since(self, before: Counts) -> Counts:
        """Return what was counted since; all of it when the server restarted in between."""
        if self.requests < before.requests or self.errors < before.errors or self.timed < before.timed:
            return self
        buckets = self.buckets
        if before.busy and buckets is not None:
            same = before.buckets is not None and before.bounds_s == self.bounds_s
            buckets = array("d", map(sub, buckets, before.buckets or ())) if same else None
        return Counts(
            self.requests - before.requests,
            self.errors - before.errors,
            self.time_s - before.time_s,
            self.timed - before.timed,
            self.bounds_s if buckets is not None else (),
            buckets,
        )

    def point(self, requests_per_second: float) -> TrafficPoint:
        """Return the figures."""
        p50, p95, p99 = (quantile(q, self.bounds_s, self.buckets or ()) for q in (0.5, 0.95, 0.99))
        return TrafficPoint(
            requests_per_second,
            self.errors / self.requests if self.requests else nan,
            self.time_s / self.timed if self.timed else nan,
            p50,
            p95,
            p99,
        )

    def _merge_buckets(self, other: Counts) -> None:
        if self.buckets is None or other.buckets is None or self.bounds_s != other.bounds_s:
            self.bounds_s, self.buckets = (), None
        else:
            self.buckets = array("d", map(add, self.buckets, other.buckets))


def quantile(q: float, bounds_s: Sequence[float], cumulative: Sequence[float]) -> float:
    """Return the q-quantile in seconds by linear interpolation; not a number without requests or finite buckets.

    In the last bucket, which has no upper bound, it is the highest bound known, as Prometheus' histogram_quantile.
    """
    if not bounds_s or not cumulative or cumulative[-1] <= 0:
        return nan
    rank = q * cumulative[-1]
    below_s, below = 0.0, 0.0
    for bound_s, count in zip(bounds_s, cumulative, strict=False):
        if count >= rank:
            return below_s + (bound_s - below_s) * (rank - below) / (count - below) if count > below else bound_s
        below_s, below = bound_s, count
    return bounds_s[-1]
