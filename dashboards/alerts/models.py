"""Models that are down, not ready, flapping or crashing, and rollouts that go wrong."""

from __future__ import annotations

from dashboards.alerts.rule import Alert, Group, Recording

MODEL = "[namespace]/[model]"
POD = "[namespace]/[pod]"
CONTAINER = "container [container] of [namespace]/[pod]"
BY_MODEL = "sum by (namespace, model)"
WANTED, AVAILABLE = "milepost_model_replicas_wanted", "milepost_model_replicas_available"
ENDED = "milepost_container_last_termination_info"
ENDED_LATELY = "on (namespace, pod, container) (time() - milepost_container_last_termination_time_seconds < 900)"
NOT_READY = "milepost_pod_not_ready_reason"
PULL_REASONS = "ImagePullBackOff|ErrImagePull|InvalidImageName|ErrImageNeverPull|ImageInspectError|RegistryUnavailable"

STATE = Group(
    "milepost-models",
    (
        Alert(
            "MilepostModelDown", "critical",
            f"{BY_MODEL} ({AVAILABLE}) == 0 and {BY_MODEL} ({WANTED}) > 0", "5m",
            f"{MODEL} has no replica that answers",
            f"None of the replicas that {MODEL} wants is available.",
        ),
        Alert(
            "MilepostModelFailed", "critical",
            'max by (namespace, model) (milepost_model_state{state="Failed"}) == 1', "5m",
            f"The SeldonDeployment {MODEL} has failed",
            f"Seldon reports the state Failed for {MODEL}; its status.description says why.",
        ),
        Alert(
            "MilepostModelReplicasMissing", "warning",
            f"sum by (namespace, model, predictor) ({WANTED}) - sum by (namespace, model, predictor) ({AVAILABLE}) > 0",
            "15m",
            f"{MODEL} [predictor] runs with fewer replicas than it wants",
            f"[value] replicas of predictor [predictor] of {MODEL} are not available.",
        ),
        Alert(
            "MilepostModelFlapping", "warning",
            'sum by (namespace, model, predictor) (changes(milepost_pod_ready{model!=""}[30m])) >= 6', "0m",
            f"Pods of {MODEL} keep getting ready and not ready",
            f"Pods of predictor [predictor] of {MODEL} changed their readiness [value] times in "
            "30 minutes.",
        ),
        Alert(
            "MilepostContainerRestarting", "warning",
            'sum by (namespace, model, predictor, pod, container) '
            '(increase(milepost_container_restarts_total{model!=""}[30m])) > 3', "5m",
            f"The {CONTAINER} keeps restarting",
            f"The {CONTAINER} ({MODEL}) restarted [value|humanize] times in 30 minutes.",
        ),
        Alert(
            "MilepostIllegalInstruction", "critical",
            f'{ENDED}{{exit_code="132"}} == 1 and {ENDED_LATELY}', "0m",
            f"The {CONTAINER} needs an instruction that node [node] does not have",
            f"The {CONTAINER} ended with exit code 132 (SIGILL) on [node]: mostly a TensorFlow built "
            "for AVX or AVX2 on a CPU without it.",
        ),
        Alert(
            "MilepostOutOfMemoryKill", "warning",
            f'{ENDED}{{reason="OOMKilled"}} == 1 and {ENDED_LATELY}', "0m",
            f"The {CONTAINER} was killed for its memory",
            f"The kernel killed the {CONTAINER} on [node] because it reached its memory limit.",
        ),
        Alert(
            "MilepostImagePull", "warning",
            f'max by (namespace, model, predictor, pod, reason) ({NOT_READY}{{reason=~"{PULL_REASONS}"}}) == 1', "5m",
            f"The image of {POD} cannot be pulled",
            f"{POD} ({MODEL}) waits with [reason].",
        ),
    ),
)  # fmt: skip

BY = "namespace, model, predictor"
REQUESTS = "namespace_model_predictor:milepost_model_requests:rate10m"
ERRORS = "namespace_model_predictor:milepost_model_errors:ratio_rate10m"
P99 = "namespace_model_predictor:milepost_model_request_duration_seconds:p99_rate10m"
WEIGHT = f"max by ({BY}) (milepost_model_traffic_weight_ratio)"
GREATEST = "on (namespace, model) group_left () max by (namespace, model) (milepost_model_traffic_weight_ratio)"
LEAST_CANARY_RATE = 0.05


def _canary(series: str) -> str:
    """The predictors that get some traffic, but less than another one of their model."""
    return f"({series} and on ({BY}) (({WEIGHT} > 0) < {GREATEST}) and on ({BY}) {REQUESTS} > {LEAST_CANARY_RATE:g})"


def _stable(series: str) -> str:
    """The predictor with the most traffic of each model."""
    return f"max by (namespace, model) ({series} and on ({BY}) ({WEIGHT} == {GREATEST}))"


ROLLOUT = Group(
    "milepost-rollout",
    (
        Recording(REQUESTS, f"sum by ({BY}) (rate(milepost_model_requests_total[10m]))"),
        Recording(
            ERRORS,
            f'(sum by ({BY}) (rate(milepost_model_requests_total{{code_class="5xx"}}[10m])) or {REQUESTS} * 0) '
            f"/ ({REQUESTS} > 0)",
        ),
        Recording(
            P99,
            f"histogram_quantile(0.99, sum by (le, {BY}) (rate(milepost_model_request_duration_seconds_bucket[10m])))",
        ),
        Alert(
            "MilepostCanaryFailing", "critical",
            f"{_canary(ERRORS)} - on (namespace, model) group_left () {_stable(ERRORS)} > 0.01", "5m",
            f"Predictor [predictor] (the canary) of {MODEL} fails more often than the stable predictor",
            f"Predictor [predictor] fails [value|humanizePercentage] of its requests more than the stable predictor of "
            f"{MODEL}, over ten minutes.",
        ),
        Alert(
            "MilepostCanarySlower", "warning",
            f"{_canary(P99)} / on (namespace, model) group_left () {_stable(P99)} > 1.5", "10m",
            f"Predictor [predictor] (the canary) of {MODEL} is slower than the stable predictor",
            f"The p99 of [predictor] is [value|humanize] times that of the stable predictor of "
            f"{MODEL}, over ten minutes.",
        ),
    ),
)  # fmt: skip

GROUPS = (STATE, ROLLOUT)
