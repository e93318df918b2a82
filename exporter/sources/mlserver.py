"""MLServer: counters of success and failure by model, and the sum of durations in seconds.

Page: port 8082, `/metrics`; Seldon Core's operator moves it by MLSERVER_METRICS_PORT and MLSERVER_METRICS_ENDPOINT.
REST and gRPC meet in MLServer's data plane, where these counters are, so each request is in them once
(SeldonIO/MLServer v1.7 `mlserver/handlers/dataplane.py`). Its REST histogram has no model and misses gRPC: not used.

Requests in flight are known of its REST server as a whole (POST is inference), so they belong to a model only where the
server has one; its gRPC server counts calls that begin and not, on every version, those that end.

Quirks: labels are `model` and `version` although its documentation says otherwise; a request that names no version
gives the text `None`. The summary has no quantiles, and its count includes failures.
"""

from __future__ import annotations

from exporter.page.observations import Traffic
from exporter.sources.series import Families, Series, grouped, of_family, total

SUCCESS = "model_infer_request_success"
FAILURE = "model_infer_request_failure"
DURATION = "model_infer_request_duration"
FAMILIES = Families(SUCCESS, FAILURE, DURATION)

REST_IN_FLIGHT = Families("rest_server_requests_in_progress")


def parse(page: bytes) -> list[Traffic]:
    """Return one traffic per model and version. Raises PageError."""
    found = []
    for (model, version), series in grouped(FAMILIES.gather(page), _model).items():
        durations = of_family(series, DURATION)
        requests = {"2xx": total(of_family(series, SUCCESS)), "5xx": total(of_family(series, FAILURE))}
        found.append(
            Traffic(
                requests=requests,
                unit=model,
                version=version,
                time_sum_s=sum(one.sum for one in durations),
                time_count=sum(one.count for one in durations),
            )
        )
    flying = [one.value for one in REST_IN_FLIGHT.gather(page) if one.labels.get("method") == "POST"]
    if flying and len({one.unit for one in found}) == 1:
        found.append(Traffic({}, unit=found[0].unit, transport="rest", in_flight=sum(flying)))
    return found


def _model(one: Series) -> tuple[str, str] | None:
    model, version = one.labels.get("model"), one.labels.get("version", "")
    return (model, "" if version == "None" else version) if model else None
