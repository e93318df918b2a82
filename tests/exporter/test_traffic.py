"""Rates, error ratios and quantiles between two readings, and the ring that keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collector import Collection
from exporter.history.ring import Ring, Rows
from exporter.history.traffic import ModelKey, TrafficMeter, front_counts, points
from exporter.page.counts import TrafficPoint, quantile
from exporter.page.family import Scope
from exporter.page.observations import ContainerUsage, FrontReading, GpuUsage, ModelTraffic, Observation, Traffic
from exporter.page.samples import SourceResult
from exporter.page.sink import Histogram, Subject
from milepost.identity import Identity
from tests.exporter.workload import ENGINE

BOUNDS = (0.1, 0.5, 1.0)


def server(pod: str = "pod-0", predictor: str = "default", container: str = ENGINE) -> Subject:
    return Subject.of(Identity("models", "fraud", predictor, pod, container, "n"), Scope.CONTAINER)


def traffic(ok: float, failed: float, cumulative: tuple[float, ...], sum_s: float) -> Traffic:
    return Traffic({"2xx": ok, "5xx": failed}, front=True, duration=Histogram(BOUNDS, cumulative, sum_s))


def at_front(reading: Traffic, **where: str) -> ModelTraffic:
    return ModelTraffic(server(**where), "executor", True, [reading])


def front(at: float, observed: ModelTraffic) -> FrontReading:
    counts = front_counts(observed)
    assert counts is not None
    return FrontReading(observed.subject, observed.source, at, counts)


def update(meter: TrafficMeter, at: float, observed: list[ModelTraffic]) -> Mapping[ModelKey, TrafficPoint]:
    return points(meter.update([front(at, each) for each in observed]))


def test_rate_errors_and_quantiles_are_those_of_the_interval() -> None:
    meter = TrafficMeter()
    assert update(meter, 100.0, [at_front(traffic(1000, 1000, (1000, 1500, 1900, 2000), 700.0))]) == {}
    found = update(meter, 110.0, [at_front(traffic(1090, 1010, (1050, 1590, 2000, 2100), 750.0))])
    point = found["models", "fraud", ""]
    assert point.requests_per_second == pytest.approx(10.0)
    assert point.error_ratio == pytest.approx(0.1)
    assert point.mean_s == pytest.approx(0.5)
    # 50 of 100 within 0.1 s, 90 within 0.5 s, all within 1 s.
    assert [point.p50_s, point.p95_s, point.p99_s] == pytest.approx([0.1, 0.75, 0.95])
    assert found["models", "fraud", "default"] == point


def test_replicas_are_added_up_each_from_its_own_second_reading() -> None:
    meter = TrafficMeter()
    first = at_front(traffic(100, 0, (100, 100, 100, 100), 5.0))
    update(meter, 0.0, [first])
    new = at_front(traffic(5000, 0, (5000, 5000, 5000, 5000), 50.0), pod="pod-1")
    found = update(meter, 10.0, [at_front(traffic(150, 0, (150, 150, 150, 150), 7.5)), new])
    assert found["models", "fraud", ""].requests_per_second == pytest.approx(5.0)


def test_a_restarted_server_counts_what_it_has_since() -> None:
    before, now = (
        front(0.0, at_front(traffic(count, 0, (count,) * 4, 1.0))).counts for count in (100, 7)
    )  # fmt: skip
    assert now.since(before) is now
    assert before.since(now).requests == 93


def test_a_server_that_was_not_read_again_keeps_its_rate_and_adds_no_requests() -> None:
    meter = TrafficMeter()
    slow, quick = (at_front(traffic(0, 0, (0, 0, 0, 0), 0.0), pod=pod) for pod in ("slow", "quick"))
    meter.update([front(0.0, slow), front(0.0, quick)])
    later = front(10.0, at_front(traffic(50, 0, (50, 50, 50, 50), 1.0), pod="slow"))
    meter.update([later, front(10.0, at_front(traffic(10, 0, (10, 10, 10, 10), 1.0), pod="quick"))])
    found = meter.update([later, front(20.0, at_front(traffic(40, 0, (40, 40, 40, 40), 1.0), pod="quick"))])
    (told,) = found.values()
    assert (told.rate, told.latest.requests, told.new.requests, told.seconds) == (8.0, 80.0, 30.0, 10.0)


def test_each_servers_rate_is_that_between_its_own_readings() -> None:
    meter = TrafficMeter()
    idle = traffic(0, 0, (0, 0, 0, 0), 0.0)
    meter.update([front(0.0, at_front(idle, pod="a")), front(5.0, at_front(idle, pod="b"))])
    ten = traffic(10, 0, (10, 10, 10, 10), 1.0)
    found = points(meter.update([front(10.0, at_front(ten, pod="a")), front(10.0, at_front(ten, pod="b"))]))
    assert found["models", "fraud", ""].requests_per_second == pytest.approx(1.0 + 2.0)


def test_a_server_that_was_lost_from_sight_begins_anew() -> None:
    meter = TrafficMeter()
    ten, twenty = (at_front(traffic(count, 0, (count,) * 4, 1.0)) for count in (10, 20))
    assert (update(meter, 0.0, [ten]), update(meter, 10.0, []), update(meter, 20.0, [twenty])) == ({}, {}, {})


def test_canary_and_stable_have_points_of_their_own() -> None:
    meter = TrafficMeter()
    zero, ten = traffic(0, 0, (0, 0, 0, 0), 0.0), traffic(10, 0, (10, 10, 10, 10), 1.0)
    readings = {"default": 1, "canary": 3}
    update(
        meter,
        0.0,
        [at_front(zero, predictor=name, pod=f"{name}-{n}") for name, c in readings.items() for n in range(c)],
    )
    found = update(
        meter,
        10.0,
        [at_front(ten, predictor=name, pod=f"{name}-{n}") for name, c in readings.items() for n in range(c)],
    )
    rates = {key[2]: point.requests_per_second for key, point in found.items()}
    assert rates == {"default": pytest.approx(1.0), "canary": pytest.approx(3.0), "": pytest.approx(4.0)}


def test_without_a_histogram_there_is_a_mean_and_no_quantile() -> None:
    meter = TrafficMeter()
    update(meter, 0.0, [at_front(Traffic({"2xx": 0}, front=True, time_sum_s=0.0, time_count=0))])
    found = update(meter, 10.0, [at_front(Traffic({"2xx": 20}, front=True, time_sum_s=5.0, time_count=20))])
    point = found["models", "fraud", ""]
    assert (point.mean_s, point.error_ratio) == (0.25, 0.0)
    assert isnan(point.p50_s)
    assert isnan(point.p99_s)


def test_units_behind_an_orchestrator_are_not_the_models_requests() -> None:
    unit = ModelTraffic(server(container="classifier"), "mlserver", False, [Traffic({"2xx": 10}, unit="classifier")])
    assert front_counts(unit) is None


def test_no_requests_are_no_errors_and_no_latency() -> None:
    meter = TrafficMeter()
    idle = at_front(traffic(10, 0, (10, 10, 10, 10), 1.0))
    update(meter, 0.0, [idle])
    point = update(meter, 10.0, [idle])["models", "fraud", ""]
    assert point.requests_per_second == 0.0
    assert all(map(isnan, (point.error_ratio, point.mean_s, point.p50_s)))


def test_beyond_the_last_bound_a_quantile_is_that_bound() -> None:
    assert quantile(0.99, BOUNDS, (0, 0, 0, 5)) == 1.0


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4), st.floats(0, 1))
def test_a_quantile_lies_within_the_bounds_and_grows_with_q(steps: list[int], q: float) -> None:
    cumulative = tuple(float(sum(steps[: n + 1])) for n in range(4))
    value = quantile(q, BOUNDS, cumulative)
    assert isnan(value) == (cumulative[-1] == 0)
    assert isnan(value) or 0.0 <= value <= quantile(1.0, BOUNDS, cumulative) <= BOUNDS[-1]


def collection(*observed: Observation, cores: dict[str, float] | None = None) -> Collection:
    return Collection((SourceResult("test", 0.0, observations=observed),), cores or {})


def small_ring(points: int = 3) -> Ring:
    return Ring(window_s=10.0 * points, interval_s=10.0, pods_max=10, models_max=10)


def test_the_ring_keeps_the_newest_points_and_says_null_where_nothing_was_heard() -> None:
    ring, container = small_ring(), server()
    for tick in range(5):
        seen = [ContainerUsage(container, 0.0, 1.0, memory_bytes=float(tick))] if tick != 3 else []
        assert ring.offer(tick * 10.0, collection(*seen, cores={container.text: tick / 10}))
    assert ring.times() == [20.0, 30.0, 40.0]
    figures = ring.pods.read(("models", "pod-0"), ring.ticks())
    assert figures["memory_bytes"] == [2.0, None, 4.0]
    assert figures["cpu_cores"] == [pytest.approx(0.2), None, pytest.approx(0.4)]
    assert figures["gpu_cards"] == [None, None, None]


def test_collections_more_frequent_than_the_interval_are_not_points() -> None:
    ring = small_ring()
    assert [ring.offer(at, collection()) for at in (0.0, 3.0, 8.0, 9.5, 20.0)] == [True, False, False, True, True]


def test_one_card_told_by_two_sources_counts_once() -> None:
    ring, container = small_ring(), server()
    told = (
        GpuUsage(container, "GPU-1", "gpumanager", 0.0, 0.0),
        GpuUsage(container, "GPU-1", "nvml", 0.5, 2.0),
        GpuUsage(container, "GPU-2", "nvml", 0.25, 1.0),
    )
    ring.offer(0.0, collection(*told))
    figures = ring.pods.read(("models", "pod-0"), ring.ticks())
    assert (figures["gpu_cards"], figures["gpu_memory_bytes"]) == ([0.75], [3.0])


def test_rows_are_bounded_and_a_silent_one_makes_room_after_a_turn() -> None:
    rows: Rows[str] = Rows(("x",), points=2, rows_max=1)
    rows.write(0, {"a": (1.0,)})
    rows.write(1, {"b": (2.0,)})
    assert (len(rows), rows.refused) == (1, 1)
    rows.write(2, {"b": (3.0,)})
    assert rows.read("b", range(1, 3)) == {"x": [None, 3.0]}
    assert rows.read("a", range(1, 3)) == {"x": [None, None]}


def test_a_value_is_not_a_number_only_where_nothing_was_heard() -> None:
    rows: Rows[str] = Rows(("x", "y"), points=1, rows_max=1)
    rows.write(0, {"a": (nan, 0.0)})
    assert rows.read("a", range(1)) == {"x": [None], "y": [0.0]}
