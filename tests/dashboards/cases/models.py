"""The state of models, and rollouts."""

from __future__ import annotations

from tests.dashboards.cases import CANARY, CONTAINER, DEFAULT, MODEL, POD, Case

WANTED = f"milepost_model_replicas_wanted{{{DEFAULT}}}"
AVAILABLE = f"milepost_model_replicas_available{{{DEFAULT}}}"
RESTARTS = f"milepost_container_restarts_total{{{CONTAINER}}}"
READY = f"milepost_pod_ready{{{POD}}}"


def ended(reason: str, code: int, at_s: int) -> dict[str, str]:
    """A container that ended once, at this second."""
    missing = at_s // 60
    return {
        f'milepost_container_last_termination_info{{{CONTAINER},reason="{reason}",exit_code="{code}"}}':
            f"_x{missing} 1x60",
        f"milepost_container_last_termination_time_seconds{{{CONTAINER}}}": f"_x{missing} {at_s}x60",
    }  # fmt: skip


def waiting(reason: str, values: str) -> dict[str, str]:
    return {f'milepost_pod_not_ready_reason{{{POD},reason="{reason}"}}': values}


def rollout(
    canary_bad: str,
    *,
    stable_bad: str = "0x60",
    canary_good: str = "0+60x60",
    weights: tuple[float, float] = (0.9, 0.1),
) -> dict[str, str]:
    def answers(predictor: str, good: str, bad: str) -> dict[str, str]:
        name = f'milepost_model_requests_total{{{predictor},pod="p",container="c",code_class='
        return {f'{name}"2xx"}}': good, f'{name}"5xx"}}': bad}

    weight = "milepost_model_traffic_weight_ratio"
    return {
        f"{weight}{{{DEFAULT}}}": f"{weights[0]}x60",
        f"{weight}{{{CANARY}}}": f"{weights[1]}x60",
        **answers(DEFAULT, "0+540x60", stable_bad),
        **answers(CANARY, canary_good, canary_bad),
    }


def timed(canary_under_half: str, canary_under_five: str) -> dict[str, str]:
    """Both predictors answer 60 requests a minute; stable all within half a second."""
    name = "milepost_model_request_duration_seconds_bucket"
    series = dict(rollout("0x60"))
    for predictor, under_half, under_five in (
        (DEFAULT, "0+60x60", "0+60x60"),
        (CANARY, canary_under_half, canary_under_five),
    ):
        labels = f'{predictor},pod="p",container="c"'
        series |= {
            f'{name}{{{labels},le="0.5"}}': under_half,
            f'{name}{{{labels},le="5.0"}}': under_five,
            f'{name}{{{labels},le="+Inf"}}': "0+60x60",
        }
    return series


CASES = (
    Case("MilepostModelDown", "all replicas are gone, then back", {WANTED: "2x60", AVAILABLE: "2x5 0x20 2x34"},
         {4: 0, 8: 0, 15: 1, 30: 0}),
    Case("MilepostModelDown", "scaled to zero on purpose", {WANTED: "0x30", AVAILABLE: "0x30"}, {20: 0}),
    Case("MilepostModelDown", "one replica is left", {WANTED: "2x30", AVAILABLE: "1x30"}, {20: 0}),
    Case("MilepostModelDown", "series are missing", {WANTED: "2x5 _x30", AVAILABLE: "0x5 _x30"}, {20: 0}),
    Case("MilepostModelFailed", "the state is Failed, then Available",
         {f'milepost_model_state{{{MODEL},state="Failed"}}': "1x20 0x20"}, {3: 0, 10: 1, 30: 0}),
    Case("MilepostModelFailed", "the state is Creating",
         {f'milepost_model_state{{{MODEL},state="Failed"}}': "0x20",
          f'milepost_model_state{{{MODEL},state="Creating"}}': "1x20"}, {15: 0}),
    Case("MilepostModelReplicasMissing", "one of two is missing for long, then comes",
         {WANTED: "2x60", AVAILABLE: "1x30 2x30"}, {10: 0, 20: 1, 40: 0}),
    Case("MilepostModelReplicasMissing", "a rolling update is over in time", {WANTED: "2x60", AVAILABLE: "1x10 2x50"},
         {12: 0, 30: 0}),
    Case("MilepostModelFlapping", "ready and not ready every two minutes, then calm",
         {READY: "1 1 0 0 1 1 0 0 1 1 0 0 1 1 0 0 1x60"}, {5: 0, 16: 1, 60: 0}),
    Case("MilepostModelFlapping", "one restart is no flapping", {READY: "1x5 0x3 1x30"}, {10: 0, 30: 0}),
    Case("MilepostModelFlapping", "plain pods are nobody's model",
         {'milepost_pod_ready{namespace="x",model="",predictor="",pod="p",node="n"}': "1 0 1 0 1 0 1 0 1 0"}, {9: 0}),
    Case("MilepostContainerRestarting", "a restart a minute for ten minutes, then calm", {RESTARTS: "0+1x10 10x60"},
         {2: 0, 15: 1, 50: 0}),
    Case("MilepostContainerRestarting", "one restart", {RESTARTS: "0x5 1x30"}, {20: 0}),
    Case("MilepostContainerRestarting", "a new pod starts counting at 0", {RESTARTS: "50x10 0x30"}, {15: 0, 30: 0}),
    Case("MilepostContainerRestarting", "the series is missing for a while", {RESTARTS: "7x5 _x10 7x20"}, {20: 0}),
    Case("MilepostIllegalInstruction", "exit 132, then quiet", ended("IllegalInstruction", 132, 600),
         {5: 0, 12: 1, 30: 0}),
    Case("MilepostIllegalInstruction", "exit 1 is another matter", ended("Error", 1, 600), {12: 0}),
    Case("MilepostIllegalInstruction", "no time of the end",
         {f'milepost_container_last_termination_info{{{CONTAINER},reason="x",exit_code="132"}}': "1x20"}, {12: 0}),
    Case("MilepostOutOfMemoryKill", "killed once", ended("OOMKilled", 137, 600), {5: 0, 12: 1, 30: 0}),
    Case("MilepostOutOfMemoryKill", "killed by somebody else", ended("Error", 137, 600), {12: 0}),
    Case("MilepostImagePull", "back-off, then running", waiting("ImagePullBackOff", "1x20 _x30"), {3: 0, 10: 1, 40: 0}),
    Case("MilepostImagePull", "waits for other reasons", waiting("CrashLoopBackOff", "1x20"), {10: 0}),
    Case("MilepostCanaryFailing", "one in ten of the canary's requests fails, then none",
         rollout("0+6x30 180x30"), {3: 0, 20: 1, 55: 0}),
    Case("MilepostCanaryFailing", "both fail alike", rollout("0+6x60", stable_bad="0+60x60"), {20: 0, 50: 0}),
    Case("MilepostCanaryFailing", "low traffic: a request in an hour", rollout("0x30 1x30", canary_good="0x60"),
         {35: 0, 50: 0}),
    Case("MilepostCanaryFailing", "a shadow or stopped canary has no weight", rollout("0+6x60", weights=(1, 0)),
         {20: 0}),
    Case("MilepostCanaryFailing", "the stable one fails, the canary does not", rollout("0x60", stable_bad="0+60x60"),
         {20: 0}),
    Case("MilepostCanaryFailing", "the canary's counters start again",
         rollout("300x20 0x40", canary_good="600+60x20 0+60x40"), {25: 0, 50: 0}),
    Case("MilepostCanaryFailing", "weights are missing",
         {name: values for name, values in rollout("0+6x60").items() if "weight" not in name}, {20: 0}),
    Case("MilepostCanarySlower", "half of the canary's requests take over half a second, then none",
         timed("0+30x30 900+60x30", "0+60x60"), {5: 0, 25: 1, 55: 0}),
    Case("MilepostCanarySlower", "both are alike", timed("0+60x60", "0+60x60"), {25: 0, 50: 0}),
    Case("MilepostCanarySlower", "no histogram", rollout("0x60"), {25: 0}),
    Case("MilepostCanarySlower", "the canary's counters start again",
         timed("6000+60x20 0+60x40", "6000+60x20 0+60x40"), {25: 0, 50: 0}),
)  # fmt: skip
