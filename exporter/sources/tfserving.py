"""TensorFlow Serving: requests by status and their duration in microseconds.

Page: the REST port, `/monitoring/prometheus/metrics`, only with a `--monitoring_config_file` that enables it. Names
are paths written with colons, a leading one included; counters have no `_total`; there are no HELP lines
(tensorflow/serving `tensorflow_serving/util/prometheus_exporter.cc`). Buckets are 10 µs x 1.8^k up to 24 minutes,
printed with six digits (`tensorflow_serving/servables/tensorflow/util.cc`).

Quirks:
- `request_count` says how a request ended but not whether it was REST or gRPC; `request_latency` the reverse. A
  request enters at one entry point and is recorded once, so both are added up over `entrypoint` and `API`.
- Some builds have a `status` label on the histogram: also added up.
- Version 2.1, which Seldon Core v1 installs by default, has neither family, only the graph runs: no traffic is
  reported then, since a run of the graph is not a request. The executor's page has it.
"""

from __future__ import annotations

from exporter.page.codes import code_class
from exporter.page.observations import Traffic
from exporter.sources.series import Families, counts_by, grouped, histogram, of_family

REQUESTS = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"
FAMILIES = Families(REQUESTS, LATENCY)
MICROSECONDS = 1e6


def parse(page: bytes) -> list[Traffic]:
    """Return one traffic per model. Raises PageError."""
    found = []
    for model, series in grouped(FAMILIES.gather(page), lambda one: one.labels.get("model_name")).items():
        duration = histogram(of_family(series, LATENCY), per_second=MICROSECONDS)
        statuses = of_family(series, REQUESTS)
        requests = counts_by(statuses, lambda one: code_class(one.labels.get("status", "")), lambda one: one.value)
        if not statuses and duration is not None:
            requests = {"other": duration.cumulative[-1]}
        found.append(Traffic(requests=requests, unit=model, duration=duration))
    return found
