"""One page of every source, in its exact shape, and what it means: the contract of the parsers.

The pages are written by hand after each server's documentation and source; those of MLServer and of the Seldon wrapper
are also met for real in `test_real_pages.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from exporter.page.observations import IngressTraffic, Traffic
from exporter.page.scan import PageError
from exporter.page.sink import Histogram
from exporter.sources import executor, kserve, mlserver, nginx, tfserving, torchserve, triton

PAGES = Path(__file__).parent / "pages"

EXECUTOR_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
NGINX_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# 10 µs x 1.8^k with the six digits that TF Serving prints, as seconds.
TF_S = (
    1e-05, 1.8e-05, 3.24e-05, 5.832e-05, 0.000104976, 0.000188957, 0.000340122, 0.00061222, 0.001102, 0.00198359,
    0.00357047, 0.00642684, 0.0115683, 0.020823, 0.0374813, 0.0674664, 0.12144, 0.218591, 0.393464, 0.708235, 1.27482,
    2.29468, 4.13043, 7.43477, 13.3826, 24.0887, 43.3596, 78.0473, 140.485, 252.873, 455.172, 819.309, 1474.76,
)  # fmt: skip

TRAFFIC: dict[str, tuple[Callable[[bytes], list[Traffic]], list[Traffic]]] = {
    "executor.txt": (
        executor.parse,
        [
            Traffic(
                {"2xx": 100.0, "5xx": 4.0}, unit="classifier", version="1.18.2", transport="rest",
                duration=Histogram(EXECUTOR_S, (10, 20, 30, 40, 41, 42, 90, 95, 96, 97, 102, 103, 103, 103, 104), 20.5),
            ),
            Traffic(
                {"2xx": 104.0}, unit="clean", version="", transport="rest",
                duration=Histogram(EXECUTOR_S, (100, *[104] * 14), 0.4),
            ),
            Traffic(
                {"2xx": 7.0}, unit="classifier", version="1.18.2", transport="grpc",
                duration=Histogram(EXECUTOR_S, (*[0] * 6, *[7] * 9), 1.4),
            ),
            Traffic(
                {"2xx": 100.0, "5xx": 4.0}, transport="rest", front=True,
                duration=Histogram(EXECUTOR_S, (5, 10, 20, 30, 35, 40, 85, 95, 96, 97, 102, 103, 103, 103, 104), 22.0),
            ),
            Traffic(
                {"2xx": 7.0, "5xx": 1.0}, transport="grpc", front=True,
                duration=Histogram(EXECUTOR_S, (*[0] * 6, *[7] * 8, 8), 31.5),
            ),
        ],
    ),
    "tfserving.txt": (
        tfserving.parse,
        [
            Traffic(
                {"2xx": 30.0, "4xx": 2.0, "5xx": 1.0}, unit="resnet",
                duration=Histogram(TF_S, (*[0] * 10, 10, 10, *[30] * 22), 0.45),
            )
        ],
    ),
    "triton.txt": (
        triton.parse,
        [
            Traffic(
                {"2xx": 161.0, "5xx": 3.0, "4xx": 4.0}, unit="my_model", version="1", time_sum_s=3.22, time_count=161.0
            ),
            Traffic({"2xx": 5.0, "5xx": 7.0}, unit="other", version="3", time_sum_s=0.25, time_count=5.0),
        ],
    ),
    "mlserver.txt": (
        mlserver.parse,
        [
            Traffic({"2xx": 40.0, "5xx": 2.0}, unit="classifier", version="v1", time_sum_s=1.7, time_count=42.0),
            Traffic({"2xx": 2.0, "5xx": 0.0}, unit="classifier", version="", time_sum_s=0.5, time_count=2.0),
            Traffic({}, unit="classifier", transport="rest", in_flight=1.0),
        ],
    ),
    "kserve.txt": (
        kserve.parse,
        [
            Traffic(
                {"other": 9.0}, unit="sklearn-iris",
                duration=Histogram(EXECUTOR_S, (0, 0, 0, 7, *[9] * 11), 0.45),
            )
        ],
    ),
    "torchserve.txt": (
        torchserve.parse,
        [Traffic({"other": 4.0}, unit="resnet18", version="", time_sum_s=0.290371129, time_count=4.0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAFFIC)
def test_a_page_says_what_the_contract_says(name: str) -> None:
    parse, expected = TRAFFIC[name]
    assert parse((PAGES / name).read_bytes()) == expected


@pytest.mark.parametrize("name", TRAFFIC)
def test_requests_and_histogram_agree(name: str) -> None:
    parse, _ = TRAFFIC[name]
    for traffic in parse((PAGES / name).read_bytes()):
        if traffic.duration is not None and name != "tfserving.txt":  # which counts latency of accepted requests only
            assert sum(traffic.requests.values()) == traffic.duration.cumulative[-1]


@pytest.mark.parametrize("name", TRAFFIC)
def test_a_page_that_was_cut_off_is_refused(name: str) -> None:
    parse, _ = TRAFFIC[name]
    page = (PAGES / name).read_bytes()
    for length in (len(page) - 1, len(page) // 2 + 1):
        if page[length - 1 : length] != b"\n":
            with pytest.raises(PageError, match="cut off"):
                parse(page[:length])


def test_a_server_that_has_answered_nothing_yet_has_no_traffic() -> None:
    for parse, _ in TRAFFIC.values():
        assert parse(b"# TYPE go_goroutines gauge\ngo_goroutines 42\n") == []
        assert parse(b"") == []


INGRESS = [
    IngressTraffic(
        "models", "fraud", "fraud-default", "", {"2xx": 9.0, "5xx": 1.0},
        Histogram(NGINX_S, (1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 10), 9.0),
    ),
    # Only the upstream's share is known of this one.
    IngressTraffic("models", "iris", "iris-default", "", {"2xx": 2.0}, Histogram(NGINX_S, (2,) * 12, 0.002)),
    IngressTraffic("models", "fraud", "fraud-default", "models-fraud-canary-http", {"2xx": 3.0}),
]  # fmt: skip


def test_nginx_counts_requests_by_ingress_and_leaves_unmatched_ones_out() -> None:
    assert nginx.parse((PAGES / "ingress-nginx.txt").read_bytes()) == INGRESS


def test_two_nginx_controllers_are_added_up() -> None:
    page = nginx.parse((PAGES / "ingress-nginx.txt").read_bytes())
    both = nginx.merged([page, page[:1], []])
    assert [one.requests for one in both] == [{"2xx": 18.0, "5xx": 2.0}, {"2xx": 2.0}, {"2xx": 3.0}]
    assert both[0].duration == Histogram(NGINX_S, (2, 4, 6, 8, 10, 12, 14, 16, 18, 18, 20, 20), 18.0)
    assert both[1] == page[1]


VARIANTS: dict[str, tuple[Callable[[bytes], Sequence[object]], str, list[object]]] = {
    "TF Serving with a status on its histogram": (
        tfserving.parse,
        "".join(
            f':tensorflow:serving:request_latency{suffix}{{model_name="m",API="predict",{labels}}} {value}\n'
            for suffix, labels, value in (
                ("_bucket", 'entrypoint="REST",status="OK",le="10"', 1),
                ("_bucket", 'entrypoint="REST",status="OK",le="+Inf"', 2),
                ("_sum", 'entrypoint="REST",status="OK"', 30),
                ("_bucket", 'entrypoint="GRPC",status="INTERNAL",le="10"', 0),
                ("_bucket", 'entrypoint="GRPC",status="INTERNAL",le="+Inf"', 1),
                ("_sum", 'entrypoint="GRPC",status="INTERNAL"', 20),
            )
        ),
        [Traffic({"other": 3.0}, unit="m", duration=Histogram((1e-05,), (1, 3), 5e-05))],
    ),
    "TF Serving 2.1, which counts runs of the graph alone": (
        tfserving.parse,
        "# TYPE :tensorflow:core:graph_runs counter\n:tensorflow:core:graph_runs{} 5\n"
        ":tensorflow:core:graph_run_time_usecs{} 90\n",
        [],
    ),
    "TF Serving behind something that renames counters": (
        tfserving.parse,
        ':tensorflow:serving:request_count_total{model_name="m",status="OK"} 4\n',
        [Traffic({"2xx": 4.0}, unit="m")],
    ),
    "Triton before failures had reasons, with its own quantiles": (
        triton.parse,
        'nv_inference_request_success{model="m",version="1"} 4\nnv_inference_request_failure{model="m",version="1"} 1\n'
        'nv_inference_request_duration_us{model="m",version="1"} 2000000\n'
        'nv_inference_request_summary_us{model="m",version="1",quantile="0.99"} 700000\n'
        'nv_gpu_utilization{gpu_uuid="GPU-1"} 0.5\n',
        [Traffic({"2xx": 4.0, "5xx": 1.0}, unit="m", version="1", time_sum_s=2.0, time_count=4.0)],
    ),
    "an executor that was asked for nothing but its status, metadata and feedback": (
        executor.parse,
        "".join(
            f'seldon_api_executor_server_requests_seconds_count{{code="200",method="post",service="{service}"}} 9\n'
            for service in ("status", "metadata", "feedback", "/seldon.protos.Seldon/SendFeedback")
        ),
        [],
    ),
    "an executor whose gRPC clients waited in vain": (
        executor.parse,
        'seldon_api_executor_server_requests_seconds_count{code="DeadlineExceeded",method="unary",'
        'service="/seldon.protos.Seldon/Predict"} 2\n',
        [Traffic({"5xx": 2.0}, transport="grpc", front=True)],
    ),
    "ingress-nginx that reports classes of statuses": (
        nginx.parse,
        'nginx_ingress_controller_requests{canary="",ingress="i",namespace="n",service="s",status="2xx"} 7\n'
        'nginx_ingress_controller_requests{canary="",ingress="i",namespace="n",service="s",status="5xx"} 1\n',
        [IngressTraffic("n", "i", "s", "", {"2xx": 7.0, "5xx": 1.0})],
    ),
    "ingress-nginx behind something that renames counters": (
        nginx.parse,
        'nginx_ingress_controller_requests_total{canary="",ingress="i",namespace="n",service="s",status="404"} 7\n',
        [IngressTraffic("n", "i", "s", "", {"4xx": 7.0})],
    ),
    "TorchServe beside its gauges in camel case": (
        torchserve.parse,
        'PredictionTime{ModelName="m",Level="Model",Hostname="h",} 3\nRequests5XX{Level="Host",Hostname="h",} 2\n'
        'ts_inference_requests_total{model_name="m",model_version="2.0",hostname="h",} 1\n',
        [Traffic({"other": 1.0}, unit="m", version="2.0", time_sum_s=0.0, time_count=1.0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_versions_and_settings_of_a_server_change_is_read_all_the_same(variant: str) -> None:
    parse, page, expected = VARIANTS[variant]
    assert parse(page.encode()) == expected
