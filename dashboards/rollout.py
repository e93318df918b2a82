"""Rollout and migration: canary against stable, old serving address against new."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import variables
from dashboards.frame import framed
from dashboards.panels import BAD, CAREFUL, PanelBuilder, Query, figure, lines
from dashboards.promql import OF_MODEL, Selection, quantile, rate, ratio, sum_by

UID = "milepost-rollout"
STABLE = 'predictor="$stable"'
CANARY = 'predictor="$predictor"'
AT_INGRESS = Selection(("job", "instance", "namespace", "ingress"))
REQUESTS = "milepost_model_requests_total"
BUCKETS = "milepost_model_request_duration_seconds_bucket"
FAILED = 'code_class="5xx"'


def rollout() -> Dashboard:
    """Return the dashboard that a rollout or a migration is watched on."""
    ingresses = 'label_values(milepost_ingress_requests_total{job=~"$job",namespace=~"$namespace"}, ingress)'
    return framed(
        "Milepost / Rollout",
        UID,
        "Canary against stable, and the old serving address against the new.",
        variables.job(variables.EXPORTERS),
        variables.instance(variables.EXPORTERS),
        variables.namespace(several=False),
        variables.model(several=False),
        variables.predictor("stable", label="stable predictor", several=False),
        variables.predictor(label="canary predictor", several=False),
        variables.choice("ingress", ingresses),
        rows={
            "Verdict": _verdict(),
            "Canary against stable": _compared(),
            "Resources": _resources(),
            "Migration: by backend, as callers see it": _migration(),
        },
    )


def _requests(which: str, *matchers: str) -> str:
    return sum_by("", rate(OF_MODEL(REQUESTS, which, *matchers)))


def _error_ratio(which: str) -> str:
    return ratio(_requests(which, FAILED), _requests(which))


def _p99(which: str) -> str:
    return quantile(0.99, "", OF_MODEL(BUCKETS, which))


def _verdict() -> list[PanelBuilder]:
    weight = OF_MODEL("milepost_model_traffic_weight_ratio", CANARY)
    return [
        figure("Canary's share", "Share of the model's requests that the canary answers now.", "percentunit",
               f"{_requests(CANARY)} / ({sum_by('', rate(OF_MODEL(REQUESTS)))} > 0)"),
        figure("Share set", "Share that the SeldonDeployment gives the canary.", "percentunit", f"max({weight})"),
        figure("Canary's errors", "Share of the canary's requests answered 5xx.", "percentunit", _error_ratio(CANARY),
               steps=[(0.01, CAREFUL), (0.05, BAD)]),
        figure("More errors than stable", "Canary's error ratio minus stable's: above 0 it is worse.", "percentunit",
               f"{_error_ratio(CANARY)} - {_error_ratio(STABLE)}", steps=[(0.005, CAREFUL), (0.01, BAD)]),
        figure("Slower than stable", "Canary's p99 over stable's: 1 is alike.", "none",
               f"{_p99(CANARY)} / {_p99(STABLE)}", steps=[(1.2, CAREFUL), (1.5, BAD)]),
        figure("Canary's replicas", "Replicas of the canary that are available.", "short",
               f"sum({OF_MODEL('milepost_model_replicas_available', CANARY)})"),
    ]  # fmt: skip


def _compared() -> list[PanelBuilder]:
    by = sum_by("predictor", rate(OF_MODEL(REQUESTS)))
    failed = sum_by("predictor", rate(OF_MODEL(REQUESTS, FAILED)))
    return [
        lines("Requests", "Requests per second by predictor.", "reqps", Query(by, "{{predictor}}"), stacked=True),
        lines("Error ratio", "Share of 5xx answers by predictor.", "percentunit",
              Query(ratio(failed, by), "{{predictor}}")),
        lines("p50", "Half of the requests were answered within this time.", "s",
              Query(quantile(0.5, "predictor", OF_MODEL(BUCKETS)), "{{predictor}}")),
        lines("p99", "99 % of the requests were answered within this time.", "s",
              Query(quantile(0.99, "predictor", OF_MODEL(BUCKETS)), "{{predictor}}")),
    ]  # fmt: skip


def _resources() -> list[PanelBuilder]:
    def per(metric: str) -> str:
        return sum_by("predictor", metric)

    restarts = f"increase({OF_MODEL('milepost_container_restarts_total')}[$__rate_interval])"
    wanted, available = OF_MODEL("milepost_model_replicas_wanted"), OF_MODEL("milepost_model_replicas_available")
    return [
        lines("CPU", "CPU seconds per second by predictor.", "short",
              Query(per(rate(OF_MODEL("milepost_container_cpu_usage_seconds_total"))), "{{predictor}}"), span=6),
        lines("Memory", "Working set by predictor.", "bytes",
              Query(per(OF_MODEL("milepost_container_memory_working_set_bytes")), "{{predictor}}"), span=6),
        lines("Replicas", "Replicas asked for and available.", "short", Query(per(wanted), "{{predictor}} wanted"),
              Query(per(available), "{{predictor}} available"), span=6),
        lines("Restarts", "Container restarts by predictor.", "short", Query(per(restarts), "{{predictor}}"), span=6),
    ]  # fmt: skip


def _migration() -> list[PanelBuilder]:
    requests = AT_INGRESS("milepost_ingress_requests_total")
    failed = AT_INGRESS("milepost_ingress_requests_total", FAILED)
    buckets = AT_INGRESS("milepost_ingress_request_duration_seconds_bucket")
    by, name = "ingress, backend", "{{ingress}} to {{backend}}"
    return [
        lines("Requests by backend", "The old serving address is a backend like the new one: as the switch moves, one "
              "falls and the other rises.", "reqps", Query(sum_by(by, rate(requests)), name), stacked=True, span=8),
        lines("Error ratio by backend", "Share of 5xx answers, as callers saw them.", "percentunit",
              Query(ratio(sum_by(by, rate(failed)), sum_by(by, rate(requests))), name), span=8),
        lines("p99 by backend", "99 % of the requests were answered within this time.", "s",
              Query(quantile(0.99, by, buckets), name), span=8),
    ]  # fmt: skip
