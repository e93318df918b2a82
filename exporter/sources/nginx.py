"""ingress-nginx: requests by Ingress, backend Service and canary, as the caller met them.

Page: port 10254, `/metrics`, only with `--enable-metrics` (kubernetes/ingress-nginx `pkg/flags/flags.go`,
`internal/ingress/metric/collectors/socket.go`). The counter has no `_total`; with `--report-status-classes` the status
is `2xx` already. The duration is `request_duration_seconds`, which holds the client's share of the time; a controller
that was told to leave it out has `response_duration_seconds`, the upstream's share, which is taken then.

`path`, `host` and `method` are added up: a model's Ingress has one path, and hosts are a caller's choice. A request
that met no Ingress rule has an empty `ingress` and belongs to no model: left out. Each controller pod counts its own
requests, so the pages of several are added up by `merged`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporter.page.codes import code_class
from exporter.page.observations import IngressTraffic
from exporter.page.sink import Histogram
from exporter.sources.series import Families, Series, counts_by, grouped, histogram, of_family

REQUESTS = "nginx_ingress_controller_requests"
REQUEST_DURATION = "nginx_ingress_controller_request_duration_seconds"
RESPONSE_DURATION = "nginx_ingress_controller_response_duration_seconds"
FAMILIES = Families(REQUESTS, REQUEST_DURATION, RESPONSE_DURATION)

Key = tuple[str, str, str, str]


def parse(page: bytes) -> list[IngressTraffic]:
    """Return one traffic per namespace, Ingress, backend and canary. Raises PageError."""
    found = []
    for (namespace, ingress, backend, canary), series in grouped(FAMILIES.gather(page), _key).items():
        counted = of_family(series, REQUESTS)
        requests = counts_by(counted, lambda one: code_class(one.labels.get("status", "")), lambda one: one.value)
        duration = histogram(of_family(series, REQUEST_DURATION) or of_family(series, RESPONSE_DURATION))
        found.append(IngressTraffic(namespace, ingress, backend, canary, requests, duration))
    return found


def merged(pages: Iterable[Sequence[IngressTraffic]]) -> list[IngressTraffic]:
    """Return the traffic of several controller pods added up by namespace, Ingress, backend and canary."""
    by_key: dict[Key, IngressTraffic] = {}
    for page in pages:
        for one in page:
            key = (one.namespace, one.ingress, one.backend, one.canary)
            by_key[key] = _added(by_key[key], one) if key in by_key else one
    return list(by_key.values())


def _added(left: IngressTraffic, right: IngressTraffic) -> IngressTraffic:
    requests = {
        klass: left.requests.get(klass, 0.0) + right.requests.get(klass, 0.0)
        for klass in (*left.requests, *(klass for klass in right.requests if klass not in left.requests))
    }
    return IngressTraffic(
        left.namespace, left.ingress, left.backend, left.canary, requests,
        added_histogram(left.duration, right.duration),
    )  # fmt: skip


def added_histogram(left: Histogram | None, right: Histogram | None) -> Histogram | None:
    """Return the sum of two histograms over the bounds that both have."""
    if left is None or right is None:
        return left or right
    ours = dict(zip(left.bounds_s, left.cumulative, strict=False))
    theirs = dict(zip(right.bounds_s, right.cumulative, strict=False))
    bounds = tuple(bound for bound in left.bounds_s if bound in theirs)
    counts = (*(ours[bound] + theirs[bound] for bound in bounds), left.cumulative[-1] + right.cumulative[-1])
    return Histogram(bounds, counts, left.sum_s + right.sum_s)


def _key(one: Series) -> Key | None:
    ingress = one.labels.get("ingress", "")
    if not ingress:
        return None
    labels = one.labels
    return labels.get("namespace", ""), ingress, labels.get("service", ""), labels.get("canary", "")
