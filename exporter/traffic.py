"""What happened between two readings of request counters: requests, errors, time and buckets of each predictor. Pure.

Counters of one server only grow until it restarts, so differences are taken for each server by itself and then added
up. A server seen for the first time contributes from its second reading on; one whose counters went back restarted, and
what it counts now happened since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from operator import add

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
class TrafficSum:
    """Requests of some servers over some time; `errors` are those answered 5xx, `timed` those whose time is known.

    `buckets` counts the requests that took at most `bounds_s`, the last one all. They are None, and no quantile is
    told, once a server without a histogram, or with other bounds, was added (`mixed`).
    """

    requests: float = 0.0
    errors: float = 0.0
    time_s: float = 0.0
    timed: float = 0.0
    bounds_s: tuple[float, ...] = ()
    buckets: Sequence[float] | None = None
    mixed: bool = False

    def add(self, delta: Traffic) -> None:
        """Add one server's share."""
        time_s, timed = time_of(delta) or (0.0, 0.0)
        requests, errors, duration = sum(delta.requests.values()), delta.requests.get("5xx", 0.0), delta.duration
        if duration is None:
            self.merge(TrafficSum(requests, errors, time_s, timed, mixed=requests > 0))
        else:
            self.merge(TrafficSum(requests, errors, time_s, timed, duration.bounds_s, duration.cumulative))

    def merge(self, other: TrafficSum) -> None:
        """Add another sum, of other servers or of another time."""
        if other.mixed or (self.buckets is not None and other.buckets is not None and self.bounds_s != other.bounds_s):
            self.mixed, self.buckets = True, None
        elif not self.mixed and other.buckets is not None:
            mine = self.buckets or [0.0] * len(other.buckets)
            self.bounds_s, self.buckets = other.bounds_s, list(map(add, mine, other.buckets))
        self.requests += other.requests
        self.errors += other.errors
        self.time_s += other.time_s
        self.timed += other.timed

    def point(self, elapsed_s: float) -> TrafficPoint:
        """Return the figures, given the seconds they took to come together."""
        p50, p95, p99 = (quantile(q, self.bounds_s, self.buckets or ()) for q in (0.5, 0.95, 0.99))
        return TrafficPoint(
            self.requests / elapsed_s,
            self.errors / self.requests if self.requests else nan,
            self.time_s / self.timed if self.timed else nan,
            p50,
            p95,
            p99,
        )


@dataclass(frozen=True, slots=True)
class TrafficInterval:
    """What each predictor did in `seconds`."""

    seconds: float
    by_predictor: Mapping[ModelKey, TrafficSum]

    def points(self) -> Mapping[ModelKey, TrafficPoint]:
        """Return the figures of every predictor, and of every model as a whole under the empty predictor."""
        totals: dict[ModelKey, TrafficSum] = {}
        for (namespace, model, _), part in self.by_predictor.items():
            totals.setdefault((namespace, model, ""), TrafficSum()).merge(part)
        return {key: total.point(self.seconds) for key, total in ({**self.by_predictor, **totals}).items()}


class TrafficMeter:
    """Remembers the last reading of every server's front. Caller: the ring, once for each of its points."""

    def __init__(self) -> None:
        self._last: dict[_SeriesKey, Traffic] = {}
        self._last_at = nan

    def update(self, at: float, observed: Iterable[ModelTraffic]) -> TrafficInterval | None:
        """Return what happened since the update before, None at the first; `at` is Unix seconds."""
        sums: dict[ModelKey, TrafficSum] = {}
        readings: dict[_SeriesKey, Traffic] = {}
        for one in observed:
            who = one.subject.identity
            for transport, traffic in front_traffic(one).items():
                key = (one.subject.text, one.source, transport)
                readings[key] = traffic
                before = self._last.get(key)
                if before is not None and who.model:
                    model = (who.namespace, who.model, who.predictor)
                    sums.setdefault(model, TrafficSum()).add(difference(before, traffic))
        seconds = at - self._last_at
        self._last, self._last_at = readings, at
        return TrafficInterval(seconds, sums) if seconds > 0 else None


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
