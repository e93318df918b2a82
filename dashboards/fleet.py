"""Fleet: every model at a glance, worst first."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import variables
from dashboards.frame import framed
from dashboards.panels import BAD, CAREFUL, Column, PanelBuilder, Query, figure, lines, table_of
from dashboards.promql import OF_MODEL, cards_used, quantile, rate, ratio, sum_by, top

UID = "milepost-fleet"
MODEL = "namespace, model"
NAME = "{{namespace}}/{{model}}"
SERVING = 'model!=""'

REQUESTS = OF_MODEL("milepost_model_requests_total")
ERRORS = OF_MODEL("milepost_model_requests_total", 'code_class="5xx"')
BUCKETS = OF_MODEL("milepost_model_request_duration_seconds_bucket")
CPU = OF_MODEL("milepost_container_cpu_usage_seconds_total", SERVING)
MEMORY = OF_MODEL("milepost_container_memory_working_set_bytes", SERVING)
GPU_SECONDS = OF_MODEL("milepost_gpu_container_seconds_total", SERVING)
RESTARTS = OF_MODEL("milepost_container_restarts_total", SERVING)
LINK = (
    "Open the model",
    "/d/milepost-model?var-datasource=${datasource}&var-namespace=${__data.fields.namespace}"
    "&var-model=${__data.fields.model}&${__url_time_range}",
)


def fleet() -> Dashboard:
    """Return the dashboard of all models."""
    return framed(
        "Milepost / Fleet",
        UID,
        "Every model of the cluster: state, traffic, errors, latency, resources.",
        variables.job(variables.EXPORTERS),
        variables.instance(variables.EXPORTERS),
        variables.namespace(),
        variables.model(),
        rows={
            "At a glance": _figures(),
            "Models": [_models()],
            "Requests, at the front of the models' pods": _traffic(),
            "Resources": _resources(),
            "Trouble": _trouble(),
        },
    )


def _figures() -> list[PanelBuilder]:
    state = OF_MODEL("milepost_model_state", 'state!="Available"')
    all_requests, all_errors = sum_by("", rate(REQUESTS)), sum_by("", rate(ERRORS))
    return [
        figure("Models", "SeldonDeployments in the chosen namespaces.", "short",
               f"count(sum by ({MODEL}) ({OF_MODEL('milepost_model_state')}))"),
        figure("Not available", "Models whose SeldonDeployment is in a state other than Available.", "short",
               f"sum({state})", steps=[(1, BAD)]),
        figure("Pods not ready", "Pods of models that do not answer their readiness probe.", "short",
               f"sum(1 - {OF_MODEL('milepost_pod_ready', SERVING)})", steps=[(1, CAREFUL)]),
        figure("Requests", "Requests per second to all models, each counted once.", "reqps", all_requests),
        figure("Errors", "Share of requests answered 5xx (or a gRPC code of that class).", "percentunit",
               ratio(all_errors, all_requests), steps=[(0.01, CAREFUL), (0.05, BAD)]),
        figure("GPU requested", "Cards requested by models, whole ones and GpuManager shares.", "short",
               f"sum({OF_MODEL('milepost_gpu_container_request_cards', SERVING)})"),
    ]  # fmt: skip


def _models() -> PanelBuilder:
    requests, errors = sum_by(MODEL, rate(REQUESTS)), sum_by(MODEL, rate(ERRORS))
    return table_of(
        "Models",
        "One row a model. Latency is empty where the model server gives no histogram. The model's name opens it.",
        ["namespace", "model"],
        Column("Wanted", sum_by(MODEL, OF_MODEL("milepost_model_replicas_wanted")), "short"),
        Column("Available", sum_by(MODEL, OF_MODEL("milepost_model_replicas_available")), "short"),
        Column("Requests", requests, "reqps"),
        Column("Errors", ratio(errors, requests), "percentunit", bad_from=0.01),
        Column("p95", quantile(0.95, MODEL, BUCKETS), "s", bad_from=1),
        Column("CPU", sum_by(MODEL, rate(CPU)), "short"),
        Column("Memory", sum_by(MODEL, MEMORY), "bytes"),
        Column("GPU used", cards_used(MODEL, GPU_SECONDS), "short"),
        Column("Restarts (1 h)", sum_by(MODEL, f"increase({RESTARTS}[1h])"), "short", bad_from=1),
        link=LINK,
        height=11,
    )


def _traffic() -> list[PanelBuilder]:
    requests, errors = sum_by(MODEL, rate(REQUESTS)), sum_by(MODEL, rate(ERRORS))
    return [
        lines("Requests", "The 20 busiest models.", "reqps", Query(top(20, requests), NAME), span=8),
        lines("Error ratio", "The 20 models with the greatest share of 5xx answers.", "percentunit",
              Query(top(20, ratio(errors, requests)), NAME), span=8),
        lines("p95 latency", "The 20 slowest models that give a histogram. The executor's last bucket is 10 s: "
              "above it nothing can be told.", "s", Query(top(20, quantile(0.95, MODEL, BUCKETS)), NAME), span=8),
    ]  # fmt: skip


def _resources() -> list[PanelBuilder]:
    return [
        lines("CPU", "CPU seconds per second of the 20 greatest models.", "short",
              Query(top(20, sum_by(MODEL, rate(CPU))), NAME), span=8),
        lines("Memory", "Working set of the 20 greatest models.", "bytes",
              Query(top(20, sum_by(MODEL, MEMORY)), NAME), span=8),
        lines("GPU", "Cards in use by the 20 greatest models, from the card-seconds counter.", "short",
              Query(top(20, cards_used(MODEL, GPU_SECONDS)), NAME), span=8),
    ]  # fmt: skip


def _trouble() -> list[PanelBuilder]:
    reasons = sum_by(f"{MODEL}, reason", OF_MODEL("milepost_pod_not_ready_reason", SERVING))
    ended = OF_MODEL("milepost_container_last_termination_info", SERVING)
    return [
        table_of("Pods not ready, by reason", "Why pods of models are not ready.", [*MODEL.split(", "), "reason"],
                 Column("Pods", reasons, "short", bad_from=1), span=12),
        table_of("Last terminations", "How containers of models last ended. Exit code 132 is an instruction the CPU "
                 "does not have (TensorFlow without AVX), 137 mostly memory.",
                 [*MODEL.split(", "), "container", "reason", "exit_code"],
                 Column("Containers", sum_by(f"{MODEL}, container, reason, exit_code", ended), "short"), span=12),
    ]  # fmt: skip
