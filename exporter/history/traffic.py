"""What happened between readings of request counters: the requests of each predictor, now and lately. Pure.

Counters of one server only grow until it restarts, so differences are taken for each server by itself and then added
up. A server seen for the first time contributes from its second reading on. Pages are read one after the other all the
time, so each reading has a time of its own: a rate is that between the server's own readings, and a server that was not
read again meanwhile keeps the rate it had, but its requests are not counted twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from exporter.history.observed import front_traffic, time_of
from exporter.page.counts import Counts, TrafficPoint
from exporter.page.observations import FrontReading, ModelTraffic, Traffic

ModelKey = tuple[str, str, str]
"""Namespace, model, predictor; the predictor is empty for the whole model."""


@dataclass(slots=True)
class _Server:
    reading: FrontReading
    delta: Counts | None = None
    rate: float = 0.0


@dataclass(slots=True)
class PredictorTraffic:
    """One predictor: `latest` adds up each server's newest interval, `new` those that ended since the last update.

    `seconds` is how long the longest of the new ones was; 0 says that there is none.
    """

    rate: float = 0.0
    latest: Counts = field(default_factory=Counts)
    new: Counts = field(default_factory=Counts)
    seconds: float = 0.0


class TrafficMeter:
    """Remembers the last reading of every server's front. Caller: the ring, once for each of its points."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, str], _Server] = {}

    def update(self, observed: Iterable[FrontReading]) -> Mapping[ModelKey, PredictorTraffic]:
        """Return what each predictor's servers told; those not among `observed` any more are forgotten."""
        servers: dict[tuple[str, str], _Server] = {}
        predictors: dict[ModelKey, PredictorTraffic] = {}
        for reading in observed:
            key = (reading.subject.text, reading.source)
            before = self._servers.get(key)
            servers[key] = server = before if before and before.reading.at == reading.at else _next(before, reading)
            who = reading.subject.identity
            if server.delta is not None and who.model:
                predictor = predictors.setdefault((who.namespace, who.model, who.predictor), PredictorTraffic())
                predictor.rate += server.rate
                predictor.latest.merge(server.delta)
                if before is not None and server is not before:
                    predictor.new.merge(server.delta)
                    predictor.seconds = max(predictor.seconds, reading.at - before.reading.at)
        self._servers = servers
        return predictors


def points(predictors: Mapping[ModelKey, PredictorTraffic]) -> Mapping[ModelKey, TrafficPoint]:
    """Return the figures of every predictor, and of every model as a whole under the empty predictor."""
    totals: dict[ModelKey, PredictorTraffic] = {}
    for (namespace, model, _), part in predictors.items():
        total = totals.setdefault((namespace, model, ""), PredictorTraffic())
        total.rate += part.rate
        total.latest.merge(part.latest)
    return {key: each.latest.point(each.rate) for key, each in ({**predictors, **totals}).items()}


def front_counts(observed: ModelTraffic) -> Counts | None:
    """Return the whole requests that a page saw, over all transports; None when it sees no whole requests."""
    fronts = front_traffic(observed)
    if not fronts:
        return None
    total = Counts()
    for traffic in fronts.values():
        total.merge(_counts(traffic))
    return total


def _counts(traffic: Traffic) -> Counts:
    time_s, timed = time_of(traffic) or (0.0, 0.0)
    requests, errors, duration = sum(traffic.requests.values()), traffic.requests.get("5xx", 0.0), traffic.duration
    if duration is None:
        return Counts(requests, errors, time_s, timed)
    bounds_s = _held_once(duration.bounds_s)
    return Counts(requests, errors, time_s, timed, bounds_s, array("d", duration.cumulative))


@lru_cache(maxsize=256)
def _held_once(bounds_s: tuple[float, ...]) -> tuple[float, ...]:
    """Return equal bounds as one object: every server of a kind has the same."""
    return bounds_s


def _next(before: _Server | None, reading: FrontReading) -> _Server:
    if before is None or reading.at <= before.reading.at:
        return _Server(reading)
    delta = reading.counts.since(before.reading.counts)
    return _Server(reading, delta, delta.requests / (reading.at - before.reading.at))
