"""Figures over a window are made of summed counts: what a rollout is judged by."""

from __future__ import annotations

import random
from math import inf, isnan

import pytest

from exporter.collector import Collection
from exporter.history.ring import Ring
from exporter.history.traffic import front_counts
from exporter.history.windows import Window
from exporter.page.family import Scope
from exporter.page.observations import FrontReading, ModelTraffic, Traffic
from exporter.page.samples import SourceResult
from exporter.page.sink import Histogram, Subject
from milepost.identity import Identity

BOUNDS = (0.1, 0.5, 1.0)
STABLE, CANARY, WHOLE = ("models", "fraud", "default"), ("models", "fraud", "canary"), ("models", "fraud", "")


class Server:
    """One server whose counters grow by what it is told."""

    def __init__(self, predictor: str, *, pod: str = "0", bounds: tuple[float, ...] | None = BOUNDS) -> None:
        self.subject = Subject.of(
            Identity("models", "fraud", predictor, f"{predictor}-{pod}", "server", "n"), Scope.CONTAINER
        )
        self.bounds = bounds
        self.durations: list[float] = []
        self.failed = 0

    def answer(self, *durations: float, failed: int = 0) -> None:
        self.durations += durations
        self.failed += failed

    def reading(self) -> ModelTraffic:
        requests = {"2xx": float(len(self.durations) - self.failed), "5xx": float(self.failed)}
        spent = sum(self.durations)
        if self.bounds is None:
            traffic = Traffic(requests, time_sum_s=spent, time_count=len(self.durations))
        else:
            counts = tuple(float(sum(d <= bound for d in self.durations)) for bound in (*self.bounds, inf))
            traffic = Traffic(requests, duration=Histogram(self.bounds, counts, spent))
        return ModelTraffic(self.subject, "test", True, [traffic])


def ring_of(points: int = 6) -> Ring:
    return Ring(window_s=10.0 * points, interval_s=10.0, pods_max=10, models_max=10)


def offer(ring: Ring, at: float, *servers: Server) -> None:
    observed = []
    for server in servers:
        reading = server.reading()
        counts = front_counts(reading)
        assert counts is not None
        observed.append(FrontReading(reading.subject, reading.source, at, counts))
    ring.offer(at, Collection((SourceResult("test", 0.0, observations=observed),), {}))


def window(ring: Ring, key: tuple[str, str, str], seconds: float) -> Window:
    found = ring.window(key, seconds)
    assert found is not None
    return found


def test_a_quantile_over_a_window_is_that_of_all_its_requests() -> None:
    ring, server = ring_of(), Server("default")
    offer(ring, 0.0, server)
    server.answer(*[0.05] * 90)
    offer(ring, 10.0, server)
    server.answer(*[0.9] * 10, failed=5)
    offer(ring, 20.0, server)
    both = window(ring, STABLE, 20.0)
    assert (both.seconds, both.total.requests, both.total.errors) == (20.0, 100.0, 5.0)
    point = both.total.point(both.total.requests / both.seconds)
    assert (point.requests_per_second, point.error_ratio) == (5.0, 0.05)
    assert point.mean_s == pytest.approx(0.135)
    # 90 of 100 within 0.1 s, the rest between 0.5 s and 1 s. The mean of both intervals' p99 would be 0.55 s.
    assert point.p99_s == pytest.approx(0.5 + 0.5 * 9 / 10)
    last = window(ring, STABLE, 10.0)
    assert (last.seconds, last.total.requests) == (10.0, 10.0)


def test_predictors_are_told_apart_and_the_model_is_their_sum() -> None:
    ring, stable, replica, canary = ring_of(), Server("default"), Server("default", pod="1"), Server("canary")
    offer(ring, 0.0, stable, replica, canary)
    for server, failed in ((stable, 0), (replica, 0), (canary, 2)):
        server.answer(*[0.05] * 10, failed=failed)
    offer(ring, 10.0, stable, replica, canary)
    told = {key: window(ring, key, 60.0).total for key in (STABLE, CANARY, WHOLE)}
    assert {key: (total.requests, total.errors) for key, total in told.items()} == {
        STABLE: (20.0, 0.0), CANARY: (10.0, 2.0), WHOLE: (30.0, 2.0),
    }  # fmt: skip
    assert window(ring, WHOLE, 60.0).seconds == 10.0


def test_one_that_was_never_heard_has_no_window_and_one_unheard_for_a_while_covers_less() -> None:
    ring, stable, canary = ring_of(), Server("default"), Server("canary")
    offer(ring, 0.0, stable)
    stable.answer(0.05)
    offer(ring, 10.0, stable)
    assert ring.window(CANARY, 60.0) is None
    offer(ring, 20.0, stable, canary)
    canary.answer(0.05, 0.05)
    offer(ring, 30.0, stable, canary)
    found = window(ring, CANARY, 60.0)
    assert (found.seconds, found.total.requests) == (10.0, 2.0)
    assert window(ring, STABLE, 60.0).seconds == 30.0


def test_what_left_the_ring_is_not_counted_and_a_silent_predictor_is_forgotten() -> None:
    ring, server = ring_of(points=3), Server("default")
    for tick in range(6):
        server.answer(0.05)
        offer(ring, tick * 10.0, server)
    assert window(ring, STABLE, 1000.0).total.requests == 3.0
    for tick in range(6, 9):
        offer(ring, tick * 10.0)
    assert ring.window(STABLE, 1000.0) is None
    offer(ring, 90.0)
    assert ring.window(WHOLE, 1000.0) is None


def test_with_other_buckets_the_counts_go_on_and_quantiles_wait_until_the_old_ones_are_out() -> None:
    ring, old, new = ring_of(), Server("default"), Server("default", pod="1", bounds=(0.2, 2.0))
    offer(ring, 0.0, old, new)
    old.answer(0.05)
    offer(ring, 10.0, old)
    offer(ring, 20.0, new)
    new.answer(*[0.1] * 4)
    offer(ring, 30.0, new)
    both, last = window(ring, STABLE, 60.0), window(ring, STABLE, 10.0)
    assert both.total.requests == 5.0
    assert isnan(both.total.point(0.0).p99_s)
    assert last.total.point(1.0).p50_s == pytest.approx(0.1)


def test_a_server_without_a_histogram_hides_the_quantiles_only_while_it_has_requests() -> None:
    ring, timed, sums = ring_of(), Server("default"), Server("default", pod="1", bounds=None)
    offer(ring, 0.0, timed, sums)
    timed.answer(*[0.05] * 10)
    offer(ring, 10.0, timed, sums)
    assert window(ring, STABLE, 60.0).total.point(1.0).p50_s == pytest.approx(0.05)
    sums.answer(3.0)
    offer(ring, 20.0, timed, sums)
    point = window(ring, STABLE, 60.0).total.point(1.0)
    assert isnan(point.p50_s)
    assert point.mean_s == pytest.approx(3.5 / 11)


def test_any_window_counts_exactly_the_requests_that_happened_in_it() -> None:
    chance, ring, server = random.Random(7), ring_of(points=20), Server("default")
    made: list[int] = []
    offer(ring, 0.0, server)
    for tick in range(1, 20):
        made.append(chance.randrange(50))
        server.answer(*[chance.random() for _ in range(made[-1])])
        offer(ring, tick * 10.0, server)
    for ticks in range(1, 19):
        assert window(ring, STABLE, ticks * 10.0).total.requests == sum(made[-ticks:])
