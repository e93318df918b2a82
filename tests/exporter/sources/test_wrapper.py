"""The Seldon Python wrapper's page: the author's metrics, summed over worker processes, and the feedback."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.page.family import Scope
from exporter.page.samples import Samples
from exporter.page.scan import PageError
from exporter.page.sink import Subject
from exporter.sources.wrapper import METRICS_MAX, Custom, add_samples, parse
from milepost.identity import Identity

PAGE = (Path(__file__).parent / "pages" / "wrapper.txt").read_bytes()


def test_workers_and_series_given_twice_are_added_up_and_a_gauge_is_the_largest() -> None:
    assert parse(PAGE) == [
        Custom("classifier", "mycounter", "counter", value=25.0),
        Custom("classifier", "mygauge", "gauge", value=100.0),
        Custom("classifier", "mytimer", "histogram", sum_s=999.5, count=1999.0),
        Custom("classifier", "seldon_api_model_feedback", "counter", value=4.0),
        Custom("classifier", "seldon_api_model_feedback_reward", "counter", value=-1.5),
    ]


def test_they_become_samples_with_the_authors_name_as_a_label() -> None:
    samples = Samples()
    add_samples(samples, Subject.of(Identity("models", "fraud", "default", "p", "classifier"), Scope.CONTAINER), PAGE)
    who = (
        'namespace="models",model="fraud",predictor="default",pod="p",container="classifier",node="",unit="classifier"'
    )
    assert "".join(line for lines in samples.lines.values() for line in lines) == (
        f'milepost_unit_custom_total{{{who},metric="mycounter"}} 25\n'
        f'milepost_unit_custom_value{{{who},metric="mygauge"}} 100\n'
        f'milepost_unit_custom_time_seconds_sum{{{who},metric="mytimer"}} 999.5\n'
        f'milepost_unit_custom_time_seconds_count{{{who},metric="mytimer"}} 1999\n'
        f"milepost_unit_feedback_total{{{who}}} 4\n"
        f"milepost_unit_feedback_reward{{{who}}} -1.5\n"
    )


def test_a_unit_with_too_many_metrics_is_refused_and_the_bound_is_named() -> None:
    page = b"".join(b"# TYPE m%d counter\n" % i for i in range(METRICS_MAX + 1))
    with pytest.raises(PageError, match=f"at most {METRICS_MAX}"):
        parse(page)


def test_a_unit_without_metrics_has_none() -> None:
    assert parse(b"\n") == []
