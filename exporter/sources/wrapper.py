"""Seldon Core's Python wrapper: the metrics that a model's author returns, and the feedback that it got.

Page: the unit's `metrics` port (6000 and up), `/prometheus` under the operator. The wrapper itself measures nothing:
there is no request count and no latency on its page (SeldonIO/seldon-core v1.17 `python/seldon_core/metrics.py`).
What is there are the author's COUNTER, GAUGE and TIMER metrics under the author's names, and two counters of feedback.
They become four families with the author's name as the label `metric`, so that one query serves every model.

Quirks: every worker process has series of its own (`worker_id`), which a restart leaves behind, and REST and gRPC
servers of one unit may print the same series twice (seldon-core#3968): counters and timers are added up over all of
them, and a gauge, for which no sum is right, is the largest. A TIMER arrives in milliseconds and is printed in
seconds. Tags of the author are added up too: their names and number are unbounded. So is `method`: the author's code is
asked for its metrics at every prediction and at every feedback.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exporter.page.families import (
    UNIT_CUSTOM,
    UNIT_CUSTOM_SECONDS,
    UNIT_CUSTOM_VALUE,
    UNIT_FEEDBACK,
    UNIT_FEEDBACK_REWARD,
)
from exporter.page.scan import PageError
from exporter.page.sink import Sink, Subject
from exporter.sources.series import Families, Series, grouped, total

FEEDBACK = "seldon_api_model_feedback"
REWARD = "seldon_api_model_feedback_reward"
METRICS_MAX = 100
"""Metrics of its author that one unit may have."""

_TYPE = re.compile(rb"^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*+) (counter|gauge|histogram)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Custom:
    """A metric of a model's author: a `counter` or `gauge` has a value, a `histogram` a sum of seconds and a count."""

    unit: str
    name: str
    kind: str
    value: float = 0.0
    sum_s: float = 0.0
    count: float = 0.0


def parse(page: bytes) -> list[Custom]:
    """Return the custom metrics and the feedback counters of a wrapper's page. Raises PageError."""
    kinds = {match[1].decode(): match[2].decode() for match in _TYPE.finditer(page)}
    if len(kinds) > METRICS_MAX:
        raise PageError(f"the page has {len(kinds)} metrics of the model's author; at most {METRICS_MAX} are read")
    if not kinds:
        return []
    # The counter's TYPE line names it with `_total`, its samples too.
    names = {name.removesuffix("_total") if kind == "counter" else name: kind for name, kind in kinds.items()}
    series = [one for one in Families(*names).gather(page) if "model_name" in one.labels]
    groups = grouped(series, lambda one: (one.labels["model_name"], one.family))
    return [_custom(unit, name, names[name], found) for (unit, name), found in groups.items()]


def add_samples(samples: Sink, subject: Subject, page: bytes) -> None:
    """Add the samples of a wrapper's page to those of its container. Raises PageError."""
    for one in parse(page):
        if one.kind == "histogram":
            samples.add_summary(UNIT_CUSTOM_SECONDS, subject, one.sum_s, one.count, one.unit, one.name)
        elif one.name == FEEDBACK:
            samples.add(UNIT_FEEDBACK, subject, one.value, one.unit)
        elif one.name == REWARD:
            samples.add(UNIT_FEEDBACK_REWARD, subject, one.value, one.unit)
        else:
            family = UNIT_CUSTOM if one.kind == "counter" else UNIT_CUSTOM_VALUE
            samples.add(family, subject, one.value, one.unit, one.name)


def _custom(unit: str, name: str, kind: str, series: list[Series]) -> Custom:
    if kind == "histogram":
        return Custom(unit, name, kind, sum_s=sum(one.sum for one in series), count=sum(one.count for one in series))
    value = total(series) if kind == "counter" else max(one.value for one in series)
    return Custom(unit, name, kind, value=value)
