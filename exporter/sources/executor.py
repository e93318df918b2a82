"""Seldon Core v1's service orchestrator (`seldon-container-engine`): whole requests, and each unit's part of them.

Page: port 8000, `/prometheus` under the operator. Two histograms in seconds with the same buckets (5 ms to 10 s; what
is slower is only known to be slower than 10 s): `…server_requests_seconds` at the front of the predictor and
`…client_requests_seconds` for every call to a unit. Their `…_summary` twins hold the executor's own quantiles, which
cannot be added up over pods and are left out.

Quirks, all of Seldon Core v1.17 `executor/api/metric/` and `executor/api/rest/client.go`:
- The label is `code`, not `status`: an HTTP status for REST, a gRPC code name such as `OK` for gRPC.
- `service` also names calls that are no predictions (status, metadata, feedback); they are not counted here.
- `model_version` is split from the image at ":", so an image with a registry port has an empty one and `model_image`
  is the registry's host. It is dropped here when it cannot be right; discovery fills it in from the pod's image.
- `predictor_version` is an annotation that is nearly always empty: the predictor is known from the pod instead.
- REST and gRPC are different `method`s of one histogram, so a request is in exactly one of them.
"""

from __future__ import annotations

from exporter.page.codes import code_class
from exporter.page.observations import Traffic
from exporter.sources.series import Families, Series, counts_by, grouped, histogram

SERVER = "seldon_api_executor_server_requests_seconds"
CLIENT = "seldon_api_executor_client_requests_seconds"
FAMILIES = Families(SERVER, CLIENT)

TRANSPORT_BY_METHOD = {"post": "rest", "get": "rest", "unary": "grpc"}

NO_PREDICTION = frozenset(
    {
        "status", "metadata", "feedback", "send-feedback", "ready", "live", "health", "ping",
        "sendfeedback", "modelmetadata", "modelready", "servermetadata", "serverready", "serverlive",
        "graphmetadata", "getmodelmetadata", "getmodelstatus", "metadatagraph",
    }
)  # fmt: skip
"""Last parts of `service`, in lower case: REST paths, and methods of Seldon's, KServe's and TF Serving's gRPC APIs."""


def parse(page: bytes) -> list[Traffic]:
    """Return the predictor's traffic (`front`) and that of its units. Raises PageError."""
    groups = grouped(FAMILIES.gather(page), _group)
    return [
        Traffic(
            requests=counts_by(series, lambda one: code_class(one.labels.get("code", "")), lambda one: one.count),
            unit=unit,
            version=version,
            transport=transport,
            front=family == SERVER,
            duration=histogram(series),
        )
        for (family, unit, version, transport), series in groups.items()
    ]


def _group(one: Series) -> tuple[str, str, str, str] | None:
    if one.labels.get("service", "").rpartition("/")[2].lower() in NO_PREDICTION:
        return None
    method = one.labels.get("method", "")
    transport = TRANSPORT_BY_METHOD.get(method, method)
    if one.family == SERVER:
        return SERVER, "", "", transport
    return CLIENT, one.labels.get("model_name", ""), one.labels.get("model_version", ""), transport
