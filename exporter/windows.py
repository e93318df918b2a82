"""Counts of each predictor at every point of the ring, to be added up over any window of it. Pure.

Rates may be averaged over time, quantiles may not: the p99 of five minutes is no function of twenty p99s. So the ring's
points are not enough for whoever judges a predictor over a window; here the counts behind them are kept, requests,
errors, time and histogram buckets, and figures are made of their sums. A row is one array of float32, in which the
counts of one interval are exact up to sixteen million; sums are taken in double precision.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan, nan

from exporter.traffic import ModelKey, TrafficInterval, TrafficSum

_FIXED = 5
"""Columns before the buckets: seconds, requests, errors, time, timed."""


@dataclass(slots=True)
class _Track:
    bounds_s: tuple[float, ...]
    values: array[float]
    heard: int

    @property
    def width(self) -> int:
        """The columns of one point."""
        return _FIXED + len(self.bounds_s) + 1


@dataclass(frozen=True, slots=True)
class Window:
    """What a model or predictor did in the `seconds` of a window in which it was heard."""

    seconds: float
    total: TrafficSum


class TrafficWindows:
    """The last `points` intervals of at most `rows_max` predictors. Caller: the ring, with its own ticks."""

    def __init__(self, points: int, rows_max: int) -> None:
        self._points = points
        self._rows_max = rows_max
        self._tracks: dict[ModelKey, _Track] = {}
        self._predictors: dict[tuple[str, str], set[str]] = {}

    def write(self, tick: int, interval: TrafficInterval | None) -> None:
        """Take the interval that ended at this tick; a predictor unheard of for a whole turn is forgotten."""
        found = interval.by_predictor if interval else {}
        for key, track in list(self._tracks.items()):
            if tick - track.heard >= self._points:
                self._forget(key)
            elif key not in found:
                self._put(track, tick, [nan] * track.width)
        for key, total in found.items():
            kept = self._track(key, total.bounds_s, tick)
            if kept is not None and interval is not None:
                counts = (interval.seconds, total.requests, total.errors, total.time_s, total.timed)
                self._put(kept, tick, [*counts, *(total.buckets or [nan] * (len(kept.bounds_s) + 1))])
                kept.heard = tick

    def read(self, key: ModelKey, ticks: Iterable[int]) -> Window | None:
        """Return the sums over these ticks, of the whole model when the predictor is empty; None: nothing was heard."""
        namespace, model, predictor = key
        names = [predictor] if predictor else sorted(self._predictors.get((namespace, model), ()))
        tracks = [track for name in names if (track := self._tracks.get((namespace, model, name))) is not None]
        seconds, total = 0.0, TrafficSum()
        for tick in ticks:
            heard = [(track, values) for track in tracks if not isnan((values := self._get(track, tick))[0])]
            # All predictors of a model were read at the same two moments.
            seconds += heard[0][1][0] if heard else 0.0
            for track, values in heard:
                total.merge(_sum_of(track.bounds_s, values))
        return Window(seconds, total) if seconds else None

    def _track(self, key: ModelKey, bounds_s: tuple[float, ...], tick: int) -> _Track | None:
        """Return the row of a predictor; None when there are too many."""
        before = self._tracks.get(key)
        if before is not None and bounds_s in (before.bounds_s, ()):
            return before
        if before is None and len(self._tracks) >= self._rows_max:
            return None
        track = _Track(bounds_s, array("f", [nan] * (self._points * (_FIXED + len(bounds_s) + 1))), tick)
        if before is not None:  # Another server now: the counts go on, the buckets begin anew.
            for older in range(self._points):
                self._put(track, older, [*self._get(before, older)[:_FIXED], *[nan] * (len(bounds_s) + 1)])
        self._tracks[key] = track
        self._predictors.setdefault(key[:2], set()).add(key[2])
        return track

    def _forget(self, key: ModelKey) -> None:
        del self._tracks[key]
        self._predictors[key[:2]].discard(key[2])
        if not self._predictors[key[:2]]:
            del self._predictors[key[:2]]

    def _put(self, track: _Track, tick: int, values: Sequence[float]) -> None:
        at = tick % self._points * track.width
        track.values[at : at + track.width] = array("f", values)

    def _get(self, track: _Track, tick: int) -> array[float]:
        at = tick % self._points * track.width
        return track.values[at : at + track.width]


def _sum_of(bounds_s: tuple[float, ...], values: Sequence[float]) -> TrafficSum:
    _, requests, errors, time_s, timed, *buckets = values
    known = not isnan(buckets[-1])
    return TrafficSum(
        requests, errors, time_s, timed, bounds_s if known else (), buckets if known else None,
        mixed=not known and requests > 0,
    )  # fmt: skip
