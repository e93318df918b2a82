"""Counts of each predictor at every point of the ring, to be added up over any window of it. Pure.

The ring's points are figures, and those of a window cannot be made of them (`exporter.page.counts`); for whoever judges
a predictor over a window the counts behind them are kept. A row is one array of float32, in which the counts of one
interval are exact up to sixteen million; sums are taken in double precision.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

from exporter.history.traffic import ModelKey, PredictorTraffic
from exporter.page.counts import Counts

_FIXED = 5
"""Columns before the buckets: seconds, requests, errors, time, timed."""


@dataclass(slots=True)
class _Track:
    bounds_s: tuple[float, ...]
    values: array[float]
    heard: int

    @property
    def width(self) -> int:
        """The columns of one point; without bounds there are no buckets."""
        return _FIXED + (len(self.bounds_s) + 1 if self.bounds_s else 0)


@dataclass(frozen=True, slots=True)
class Window:
    """What a model or predictor did in the `seconds` of a window in which it was heard."""

    seconds: float
    total: Counts


class TrafficWindows:
    """The last `points` intervals of at most `rows_max` predictors. Caller: the ring, with its own ticks."""

    def __init__(self, points: int, rows_max: int) -> None:
        self._points = points
        self._rows_max = rows_max
        self._tracks: dict[ModelKey, _Track] = {}
        self._predictors: dict[tuple[str, str], set[str]] = {}

    def write(self, tick: int, predictors: Mapping[ModelKey, PredictorTraffic]) -> None:
        """Take the intervals that ended at this tick; a predictor unheard of for a whole turn is forgotten."""
        heard = {key: traffic for key, traffic in predictors.items() if traffic.seconds}
        for key, track in list(self._tracks.items()):
            if tick - track.heard >= self._points:
                self._forget(key)
            elif key not in heard:
                self._put(track, tick, [nan] * track.width)
        for key, traffic in heard.items():
            new, kept = traffic.new, self._track(key, traffic.new.bounds_s, tick)
            if kept is not None:
                counts = [traffic.seconds, new.requests, new.errors, new.time_s, new.timed]
                blank = [nan] * (kept.width - _FIXED)
                self._put(kept, tick, [*counts, *(new.buckets or blank)])
                kept.heard = tick

    def read(self, key: ModelKey, ticks: Iterable[int]) -> Window | None:
        """Return the sums over these ticks, of the whole model when the predictor is empty; None: nothing was heard."""
        namespace, model, predictor = key
        names = [predictor] if predictor else sorted(self._predictors.get((namespace, model), ()))
        tracks = [track for name in names if (track := self._tracks.get((namespace, model, name))) is not None]
        seconds, total = 0.0, Counts()
        for tick in ticks:
            heard = [(track, values) for track in tracks if not isnan((values := self._get(track, tick))[0])]
            seconds += max((values[0] for _, values in heard), default=0.0)
            for track, values in heard:
                total.merge(_counts(track.bounds_s, values))
        return Window(seconds, total) if seconds else None

    def _track(self, key: ModelKey, bounds_s: tuple[float, ...], tick: int) -> _Track | None:
        """Return the row of a predictor; None when there are too many."""
        before = self._tracks.get(key)
        if before is not None and bounds_s in (before.bounds_s, ()):
            return before
        if before is None and len(self._tracks) >= self._rows_max:
            return None
        track = _Track(bounds_s, array("f"), tick)
        track.values = array("f", [nan] * (self._points * track.width))
        if before is not None:  # First requests, or another server now: the counts go on, the buckets begin anew.
            blank = [nan] * (track.width - _FIXED)
            for older in range(self._points):
                self._put(track, older, [*self._get(before, older)[:_FIXED], *blank])
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


def _counts(bounds_s: tuple[float, ...], values: Sequence[float]) -> Counts:
    _, requests, errors, time_s, timed, *buckets = values
    known = bool(buckets) and not isnan(buckets[-1])
    return Counts(requests, errors, time_s, timed, bounds_s if known else (), array("d", buckets) if known else None)
