"""Model: requests, errors, duration, resources and log lines of one model, on one time axis."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import variables
from dashboards.frame import framed
from dashboards.infinity import LogQuery, log_lines
from dashboards.panels import (
    BAD,
    CAREFUL,
    GOOD,
    Column,
    PanelBuilder,
    Query,
    figure,
    heat,
    lines,
    states,
    table_of,
)
from dashboards.promql import OF_MODEL, OF_PREDICTOR, WINDOW, cards_used, mean, quantile, rate, ratio, sum_by

UID = "milepost-model"
REQUESTS = OF_PREDICTOR("milepost_model_requests_total")
ERRORS = OF_PREDICTOR("milepost_model_requests_total", 'code_class="5xx"')
BUCKETS = OF_PREDICTOR("milepost_model_request_duration_seconds_bucket")
POD = "pod, container"
POD_NAME = "{{pod}} {{container}}"
CARD_NAME = "{{pod}} {{container}} {{gpu}} {{source}}"


def model() -> Dashboard:
    """Return the dashboard of one model."""
    return framed(
        "Milepost / Model",
        UID,
        "One model: requests, errors, duration, resources, GPU and its log lines.",
        variables.logs_source(),
        variables.job(variables.EXPORTERS),
        variables.instance(variables.EXPORTERS),
        variables.namespace(several=False),
        variables.model(several=False),
        variables.predictor(),
        rows={
            "At a glance": _figures(),
            "Requests, errors, duration": _requests(),
            "State": _state(),
            "CPU and memory": _resources(),
            "GPU": _gpu(),
            "Inside the graph and at the Ingress": _around(),
            "Log lines": [_lines()],
        },
    )


def _figures() -> list[PanelBuilder]:
    requests, errors = sum_by("", rate(REQUESTS)), sum_by("", rate(ERRORS))
    ready, wanted = OF_PREDICTOR("milepost_model_replicas_available"), OF_PREDICTOR("milepost_model_replicas_wanted")
    return [
        figure("Requests", "Requests per second, each counted once at the front of the pod.", "reqps", requests),
        figure("Errors", "Share of requests answered 5xx.", "percentunit", ratio(errors, requests),
               steps=[(0.01, CAREFUL), (0.05, BAD)]),
        figure("p95", "95 % of requests were answered within this time.", "s", quantile(0.95, "", BUCKETS)),
        figure("Replicas missing", "Replicas wanted and not available.", "short", f"sum({wanted}) - sum({ready})",
               steps=[(1, BAD)]),
        figure("Restarts (1 h)", "Container restarts in the last hour.", "short",
               f"sum(increase({OF_PREDICTOR('milepost_container_restarts_total')}[1h]))", steps=[(1, CAREFUL)]),
        figure("Ingress", "1 when some Ingress leads to the model.", "short",
               f"max({OF_MODEL('milepost_model_ingress_present')})"),
    ]  # fmt: skip


def _requests() -> list[PanelBuilder]:
    total = OF_PREDICTOR("milepost_model_request_time_seconds_sum")
    count = OF_PREDICTOR("milepost_model_request_time_seconds_count")
    by_predictor = sum_by("predictor", rate(REQUESTS))
    return [
        lines("Requests by code class", "Requests per second by class of answer.", "reqps",
              Query(sum_by("code_class", rate(REQUESTS)), "{{code_class}}"), stacked=True),
        lines("Error ratio by predictor", "Share of 5xx answers.", "percentunit",
              Query(ratio(sum_by("predictor", rate(ERRORS)), by_predictor), "{{predictor}}")),
        lines("Duration", "Quantiles from the histogram, and the mean, which every model server gives.", "s",
              Query(quantile(0.5, "", BUCKETS), "p50"), Query(quantile(0.95, "", BUCKETS), "p95"),
              Query(quantile(0.99, "", BUCKETS), "p99"), Query(mean("", total, count), "mean")),
        heat("Duration, all requests", "How many requests per second took how long.",
             sum_by("le", rate(BUCKETS))),
        lines("p95 by predictor", "95 % of the predictor's requests were answered within this time.", "s",
              Query(quantile(0.95, "predictor", BUCKETS), "{{predictor}}")),
        lines("Requests by pod", "Requests per second by pod: uneven where callers keep connections open.", "reqps",
              Query(sum_by("pod", rate(REQUESTS)), "{{pod}}")),
    ]  # fmt: skip


def _state() -> list[PanelBuilder]:
    state = sum_by("state", OF_MODEL("milepost_model_state"))
    wanted = sum_by("predictor", OF_PREDICTOR("milepost_model_replicas_wanted"))
    available = sum_by("predictor", OF_PREDICTOR("milepost_model_replicas_available"))
    ended = OF_PREDICTOR("milepost_container_last_termination_info")
    reasons = OF_PREDICTOR("milepost_pod_not_ready_reason")
    return [
        states("State", "The SeldonDeployment's state over time.", Query(state, "{{state}}"),
               colours={"Available": GOOD, "Creating": CAREFUL, "Failed": BAD}),
        lines("Replicas", "Replicas asked for and available.", "short", Query(wanted, "{{predictor}} wanted"),
              Query(available, "{{predictor}} available")),
        table_of("Pods not ready", "Why a pod is not ready.", ["pod", "reason"],
                 Column("Pods", sum_by("pod, reason", reasons), "short", bad_from=1), span=12, height=7),
        table_of("Last terminations", "How containers last ended; 132 is an instruction the CPU does not have.",
                 ["pod", "container", "reason", "exit_code"],
                 Column("Containers", sum_by("pod, container, reason, exit_code", ended), "short"),
                 span=12, height=7),
    ]  # fmt: skip


def _resources() -> list[PanelBuilder]:
    cpu = sum_by(POD, rate(OF_PREDICTOR("milepost_container_cpu_usage_seconds_total")))
    throttled = sum_by(POD, rate(OF_PREDICTOR("milepost_container_cpu_throttled_periods_total")))
    periods = sum_by(POD, rate(OF_PREDICTOR("milepost_container_cpu_periods_total")))
    memory = sum_by(POD, OF_PREDICTOR("milepost_container_memory_working_set_bytes"))
    memory_limit = f"max({OF_PREDICTOR('milepost_container_memory_limit_bytes')})"
    restarts = sum_by("pod", f"increase({OF_PREDICTOR('milepost_container_restarts_total')}[{WINDOW}])")
    kills = sum_by("pod", f"increase({OF_PREDICTOR('milepost_container_oom_events_total')}[{WINDOW}])")
    return [
        lines("CPU", "CPU seconds per second by container.", "short", Query(cpu, POD_NAME),
              Query(f"max({OF_PREDICTOR('milepost_container_cpu_limit_cores')})", "greatest limit")),
        lines("CPU throttled", "Share of scheduling periods in which the container had to wait for its limit.",
              "percentunit", Query(ratio(throttled, periods), POD_NAME), top=1),
        lines("Memory", "Working set by container: the kernel kills on this.", "bytes", Query(memory, POD_NAME),
              Query(memory_limit, "greatest limit")),
        lines("Memory over its limit", "Working set over the limit; 1 is an out-of-memory kill.", "percentunit",
              Query(OF_PREDICTOR("milepost_container_memory_limit_ratio"), POD_NAME), top=1),
        lines("Restarts and OOM events", "Restarts of containers, and out-of-memory events in their cgroups.",
              "short", Query(restarts, "{{pod}} restarts"), Query(kills, "{{pod}} OOM"), span=24),
    ]  # fmt: skip


def _gpu() -> list[PanelBuilder]:
    used = OF_PREDICTOR("milepost_gpu_container_utilization_ratio")
    memory = OF_PREDICTOR("milepost_gpu_container_memory_used_bytes")
    cards = cards_used(POD, OF_PREDICTOR("milepost_gpu_container_seconds_total"))
    limit = sum_by(POD, OF_PREDICTOR("milepost_gpu_container_limit_cards"))
    memory_limit = sum_by(POD, OF_PREDICTOR("milepost_gpu_container_memory_limit_bytes"))
    return [
        lines("GPU time", "Share of each card's time, by container and source of the figure.", "percentunit",
              Query(used, CARD_NAME), span=8),
        lines("Cards used and allowed", "Cards in use from the card-seconds counter, against the limit.", "short",
              Query(cards, POD_NAME), Query(limit, f"{POD_NAME} limit"), span=8),
        lines("GPU memory used and allowed", "Card memory held, against what GpuManager allows.", "bytes",
              Query(memory, CARD_NAME), Query(memory_limit, f"{POD_NAME} limit"), span=8),
    ]  # fmt: skip


def _around() -> list[PanelBuilder]:
    unit = OF_PREDICTOR("milepost_unit_requests_total")
    total = OF_PREDICTOR("milepost_unit_request_time_seconds_sum")
    count = OF_PREDICTOR("milepost_unit_request_time_seconds_count")
    ingress = OF_PREDICTOR("milepost_ingress_requests_total")
    ingress_buckets = OF_PREDICTOR("milepost_ingress_request_duration_seconds_bucket")
    return [
        lines("Requests by unit", "Requests per second at each server of the graph.", "reqps",
              Query(sum_by("unit", rate(unit)), "{{unit}}"), span=6),
        lines("Mean duration by unit", "Mean time at each server of the graph.", "s",
              Query(mean("unit", total, count), "{{unit}}"), span=6),
        lines("Requests at the Ingress", "Requests per second by class of answer, as the caller saw it.", "reqps",
              Query(sum_by("ingress, code_class", rate(ingress)), "{{ingress}} {{code_class}}"), span=6),
        lines("p95 at the Ingress", "Includes the network and the caller's own speed.", "s",
              Query(quantile(0.95, "ingress", ingress_buckets), "{{ingress}}"), span=6),
    ]  # fmt: skip


def _lines() -> PanelBuilder:
    query = LogQuery(
        url="/api/v1/logs",
        params={
            "namespace": "${namespace}",
            "model": "${model}",
            "start": "${__from:date:iso}",
            "end": "${__to:date:iso}",
            "direction": "backward",
            "limit": "500",
        },
        root="lines",
        columns={
            "ts": ("timestamp", "timestamp"),
            "id": ("id", "string"),
            "message": ("body", "string"),
            "level": ("severity", "string"),
            "pod": ("pod", "string"),
            "container": ("container", "string"),
        },
    )
    return log_lines("Log lines", "The newest 500 lines of all pods of the model, dead or alive, in the time range. "
                     "Needs the Infinity data source with the log-server as its base URL.", query)  # fmt: skip
