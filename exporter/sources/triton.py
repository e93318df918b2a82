"""NVIDIA Triton Inference Server: counters by model and version, durations as a sum of microseconds.

Page: port 8002, `/metrics` (triton-inference-server/server `docs/user_guide/metrics.md`). There is no histogram; its
optional summaries hold quantiles of one server, which cannot be added up, so only the mean is reported. The duration
is the time of successful requests, so the count beside it is theirs.

Failures carry a `reason` since 2024 (CANCELED, REJECTED, BACKEND, OTHER); without one nobody says whose fault it was,
and it counts as the server's. A model of an ensemble is counted with the ensemble and for itself: units of their own.
"""

from __future__ import annotations

from exporter.page.observations import Traffic
from exporter.sources.series import Families, Series, grouped, of_family, total

SUCCESS = "nv_inference_request_success"
FAILURE = "nv_inference_request_failure"
DURATION = "nv_inference_request_duration_us"
FAMILIES = Families(SUCCESS, FAILURE, DURATION)

CLASS_BY_REASON = {"CANCELED": "4xx"}


def parse(page: bytes) -> list[Traffic]:
    """Return one traffic per model and version. Raises PageError."""
    found = []
    for (model, version), series in grouped(FAMILIES.gather(page), _model).items():
        succeeded = total(of_family(series, SUCCESS))
        requests = {"2xx": succeeded}
        for one in of_family(series, FAILURE):
            klass = CLASS_BY_REASON.get(one.labels.get("reason", ""), "5xx")
            requests[klass] = requests.get(klass, 0.0) + one.value
        time_s = total(of_family(series, DURATION)) / 1e6
        found.append(Traffic(requests=requests, unit=model, version=version, time_sum_s=time_s, time_count=succeeded))
    return found


def _model(one: Series) -> tuple[str, str] | None:
    model = one.labels.get("model")
    return (model, one.labels.get("version", "")) if model else None
