"""What happened between two readings of request counters: rate, error ratio, quantiles. Pure.

Counters of one server only grow until it restarts, so differences are taken for each server by itself and then added
up. A server seen for the first time contributes from its second reading on; one whose counters went back restarted, and
what it counts now happened since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

from exporter.observed import front_traffic, time_of
from exporter.samples import ModelTraffic, Traffic

ModelKey = tuple[str, str, str]
"""Namespace, model, predictor; the predictor is empty for the whole model."""
_SeriesKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class TrafficPoint:
    """One model or predictor over one interval; not a number where there is nothing to tell.

    The quantiles are interpolated within a bucket, as Prometheus does, and are not a number when one of the servers
    keeps no histogram: none is invented.
    """

    requests_per_second: float
    error_ratio: float
    mean_s: float
    p50_s: float
    p95_s: float
    p99_s: float


@dataclass(slots=True)
class _Sum:
    requests: float = 0.0
    errors: float = 0.0
    time_s: float = 0.0
    timed: float = 0.0
    bounds_s: tuple[float, ...] | None = None
    buckets: list[float] | None = None
    honest: bool = True

    def add(self, delta: Traffic) -> None:
        """Add one server's share."""
        self.requests += sum(delta.requests.values())
        self.errors += delta.requests.get("5xx", 0.0)
        if (time := time_of(delta)) is not None:
            self.time_s += time[0]
            self.timed += time[1]
        if delta.duration is None or self.bounds_s not in (None, delta.duration.bounds_s):
            self.honest = False
        elif self.buckets is None:
            self.bounds_s, self.buckets = delta.duration.bounds_s, list(delta.duration.cumulative)
        else:
            self.buckets = [a + b for a, b in zip(self.buckets, delta.duration.cumulative, strict=True)]

    def point(self, elapsed_s: float) -> TrafficPoint:
        """Return the figures of an interval of this length."""
        bounds, buckets = (self.bounds_s, self.buckets) if self.honest else (None, None)
        p50, p95, p99 = (quantile(q, bounds or (), buckets or ()) for q in (0.5, 0.95, 0.99))
        return TrafficPoint(
            self.requests / elapsed_s,
            self.errors / self.requests if self.requests else nan,
            self.time_s / self.timed if self.timed else nan,
            p50,
            p95,
            p99,
        )


class TrafficMeter:
    """Remembers the last reading of every server's front. Caller: the ring, once for each of its points."""

    def __init__(self) -> None:
        self._last: dict[_SeriesKey, Traffic] = {}
        self._last_at = nan

    def update(self, at: float, observed: Iterable[ModelTraffic]) -> Mapping[ModelKey, TrafficPoint]:
        """Return every model's and predictor's figures since the update before; `at` is Unix seconds."""
        sums: dict[ModelKey, _Sum] = {}
        readings: dict[_SeriesKey, Traffic] = {}
        for one in observed:
            who = one.subject.identity
            for transport, traffic in front_traffic(one).items():
                key = (one.subject.text, one.source, transport)
                readings[key] = traffic
                before = self._last.get(key)
                if before is not None and who.model:
                    delta = difference(before, traffic)
                    for predictor in {"", who.predictor}:
                        sums.setdefault((who.namespace, who.model, predictor), _Sum()).add(delta)
        elapsed_s = at - self._last_at
        self._last, self._last_at = readings, at
        if isnan(elapsed_s) or elapsed_s <= 0:
            return {}
        return {key: total.point(elapsed_s) for key, total in sums.items()}


def difference(before: Traffic, now: Traffic) -> Traffic:
    """Return what `now` counts beyond `before`; all of `now` when the server restarted in between."""
    if any(now.requests.get(code, 0.0) < count for code, count in before.requests.items()):
        return now
    duration = now.duration
    if duration is not None and before.duration is not None and duration.bounds_s == before.duration.bounds_s:
        cumulative = tuple(b - a for a, b in zip(before.duration.cumulative, duration.cumulative, strict=True))
        duration = type(duration)(duration.bounds_s, cumulative, duration.sum_s - before.duration.sum_s)
    time, time_before = time_of(now), time_of(before) or (0.0, 0.0)
    return Traffic(
        {code: count - before.requests.get(code, 0.0) for code, count in now.requests.items()},
        transport=now.transport,
        front=True,
        duration=duration,
        time_sum_s=None if time is None else time[0] - time_before[0],
        time_count=None if time is None else time[1] - time_before[1],
    )


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
