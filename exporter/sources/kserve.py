"""KServe's Python server: a histogram of the predict step by model.

Page: port 8080, `/metrics` (kserve/kserve `python/kserve/kserve/metrics.py`), or where the pod's annotations
`prometheus.kserve.io/port` and `/path` say. Pre- and postprocessing have histograms of their own; adding them up would
count a request three times, so a request is a predict step here. It does not say how a request ended: `other`.

With more than one worker process each scrape meets one of them at random (kserve#2979): figures then jump, and
nothing on the page tells.
"""

from __future__ import annotations

from exporter.page.observations import Traffic
from exporter.sources.series import Families, grouped, histogram

FAMILIES = Families("request_predict_seconds")


def parse(page: bytes) -> list[Traffic]:
    """Return one traffic per model. Raises PageError."""
    found = []
    for model, series in grouped(FAMILIES.gather(page), lambda one: one.labels.get("model_name")).items():
        duration = histogram(series)
        if duration is not None:
            found.append(Traffic(requests={"other": duration.cumulative[-1]}, unit=model, duration=duration))
    return found
