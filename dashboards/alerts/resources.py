"""Memory, CPU and cards: what is about to run out, and what is held for nothing."""

from __future__ import annotations

from dashboards.alerts.rule import Alert, Group, Recording

CONTAINER = "container [container] of [namespace]/[pod]"
OF = "namespace, model, predictor, pod, container"
SERVING = '{model!=""}'
THROTTLED, PERIODS = "milepost_container_cpu_throttled_periods_total", "milepost_container_cpu_periods_total"

HOST = Group(
    "milepost-resources",
    (
        Alert(
            "MilepostMemoryNearLimit", "warning",
            f"milepost_container_memory_limit_ratio{SERVING} > 0.85 "
            f"and predict_linear(milepost_container_memory_limit_ratio{SERVING}[30m], 3600) > 1", "10m",
            f"The {CONTAINER} is about to run out of memory",
            f"The {CONTAINER} uses [value|humanizePercentage] of its memory limit and will reach it within an "
            "hour if it goes on so.",
        ),
        Alert(
            "MilepostCpuThrottled", "info",
            f"sum by ({OF}) (rate({THROTTLED}{SERVING}[5m])) "
            f"/ (sum by ({OF}) (rate({PERIODS}{SERVING}[5m])) > 1) > 0.25",
            "15m",
            f"The {CONTAINER} waits for its CPU limit",
            f"The {CONTAINER} was throttled in [value|humanizePercentage] of the scheduling periods.",
        ),
    ),
)  # fmt: skip

HOLDER = "namespace, model, predictor, pod, container, node"
USED = "pod_container:milepost_gpu_container_seconds:rate10m"
HELD = "pod_container:milepost_gpu_container_memory_used_bytes:sum"
SECONDS = "milepost_gpu_container_seconds_total"
REQUEST, LIMIT = "milepost_gpu_container_request_cards", "milepost_gpu_container_limit_cards"
MEMORY_LIMIT = "milepost_gpu_container_memory_limit_bytes"
CARD_USED, CARD = "milepost_gpu_card_memory_used_bytes", "milepost_gpu_card_memory_capacity_bytes"


def _each(series: str) -> str:
    return f"max by ({HOLDER}) ({series})"


GPU = Group(
    "milepost-gpu",
    (
        # Several sources may see the same use of a card, so the greatest of them counts, never their sum.
        Recording(USED, f"sum by ({HOLDER}) (max by ({HOLDER}, gpu) (rate({SECONDS}[10m])))"),
        Recording(HELD, f"sum by ({HOLDER}) (max by ({HOLDER}, gpu) (milepost_gpu_container_memory_used_bytes))"),
        Alert(
            "MilepostGpuShareExceeded", "warning",
            f"{USED} > on (namespace, pod, container) group_left () (1.1 * {_each(LIMIT)} + 0.05)", "15m",
            f"The {CONTAINER} takes more of a card than it may",
            f"The {CONTAINER} on [node] uses [value|humanizePercentage] of a card's time, more than its limit: "
            "those who share the card wait for it.",
        ),
        Alert(
            "MilepostGpuMemoryExceeded", "warning",
            f"{HELD} > on (namespace, pod, container) group_left () (1.1 * {_each(MEMORY_LIMIT)})", "15m",
            f"The {CONTAINER} holds more card memory than it may",
            f"The {CONTAINER} on [node] holds [value|humanize1024]B of card memory, more than a "
            "tenth above its limit.",
        ),
        Alert(
            "MilepostGpuIdle", "info",
            f"({_each(REQUEST)} > 0) unless on (namespace, pod, container) (max_over_time({USED}[6h]) > 0.01) "
            "and on (namespace, pod) (time() - milepost_pod_start_time_seconds > 21600) "
            "and on (node) milepost_gpu_card_info", "30m",
            f"The {CONTAINER} holds a card and does not use it",
            f"The {CONTAINER} requests [value|humanizePercentage] of a card on [node] and used none of them "
            "for six hours.",
        ),
        Alert(
            "MilepostGpuCardFull", "warning",
            f"max by (node, gpu) ({CARD_USED}) / (max by (node, gpu) ({CARD}) > 0) > 0.95", "15m",
            "Card [gpu] of [node] is full",
            "[value|humanizePercentage] of the memory of card [gpu] of [node] is in use: "
            "the next allocation fails.",
        ),
        Alert(
            "MilepostGpuManagerBlind", "warning",
            f"max by ({HOLDER}) (milepost_gpu_manager_silent_zero) == 1", "15m",
            "GpuManager on [node] reports 0 for containers that use a card",
            f"GpuManager sees no use of the {CONTAINER}, NVML does: its figures for [node] cannot be "
            "trusted.",
        ),
    ),
)  # fmt: skip

GROUPS = (HOST, GPU)
