"""TorchServe: requests by model, and the sum of their durations in microseconds.

Page: port 8082, `/metrics`, on localhost unless `metrics_address` says otherwise and with `metrics_mode=prometheus`
(pytorch/serve `docs/metrics_api.md`). There is no histogram. `Requests4XX` and `Requests5XX` know no model and count
health checks too, so how a model's requests ended is unknown: `other`. The label set ends with a comma.
"""

from __future__ import annotations

from exporter.page.observations import Traffic
from exporter.sources.series import Families, Series, grouped, of_family, total

REQUESTS = "ts_inference_requests"
LATENCY = "ts_inference_latency_microseconds"
FAMILIES = Families(REQUESTS, LATENCY)


def parse(page: bytes) -> list[Traffic]:
    """Return one traffic per model and version. Raises PageError."""
    found = []
    for (model, version), series in grouped(FAMILIES.gather(page), _model).items():
        requests = total(of_family(series, REQUESTS))
        time_s = total(of_family(series, LATENCY)) / 1e6
        found.append(
            Traffic(requests={"other": requests}, unit=model, version=version, time_sum_s=time_s, time_count=requests)
        )
    return found


def _model(one: Series) -> tuple[str, str] | None:
    model, version = one.labels.get("model_name"), one.labels.get("model_version", "")
    return (model, "" if version == "default" else version) if model else None
