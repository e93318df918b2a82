"""Memory, CPU and cards."""

from __future__ import annotations

from tests.dashboards.cases import CONTAINER, POD, Case

RATIO = f"milepost_container_memory_limit_ratio{{{CONTAINER}}}"
LIMIT = f"milepost_gpu_container_limit_cards{{{CONTAINER}}}"
REQUEST = f"milepost_gpu_container_request_cards{{{CONTAINER}}}"
MEMORY_LIMIT = f"milepost_gpu_container_memory_limit_bytes{{{CONTAINER}}}"
CARD = {'milepost_gpu_card_info{node="n1",gpu="GPU-1",index="0",product="T4",pci_bus_id="",mig="",driver=""}': "1x600"}
GIB = 1 << 30


def throttling(throttled: str, periods: str) -> dict[str, str]:
    return {
        f"milepost_container_cpu_throttled_periods_total{{{CONTAINER}}}": throttled,
        f"milepost_container_cpu_periods_total{{{CONTAINER}}}": periods,
    }


def seconds(values: str, source: str = "nvml") -> dict[str, str]:
    return {f'milepost_gpu_container_seconds_total{{{CONTAINER},gpu="GPU-1",source="{source}"}}': values}


def held(values: str, source: str = "nvml") -> dict[str, str]:
    return {f'milepost_gpu_container_memory_used_bytes{{{CONTAINER},gpu="GPU-1",source="{source}"}}': values}


def card_memory(used: str) -> dict[str, str]:
    labels = 'node="n1",gpu="GPU-1",source="nvml"'
    return {
        f"milepost_gpu_card_memory_used_bytes{{{labels}}}": used,
        f"milepost_gpu_card_memory_capacity_bytes{{{labels}}}": f"{16 * GIB}x60",
    }


def held_card(**series: str) -> dict[str, str]:
    return {REQUEST: "0.5x600", f"milepost_pod_start_time_seconds{{{POD}}}": "0x600", **CARD, **series}


SHARE, MEMORY = "MilepostGpuShareExceeded", "MilepostGpuMemoryExceeded"
IDLE, BLIND = "MilepostGpuIdle", "MilepostGpuManagerBlind"
SILENT = f'milepost_gpu_manager_silent_zero{{{CONTAINER},gpu="GPU-1"}}'

CASES = (
    Case("MilepostMemoryNearLimit", "rises to the limit, then stays below it", {RATIO: "0.7+0.01x25 0.95x90"},
         {10: 0, 28: 1, 100: 0}),
    Case("MilepostMemoryNearLimit", "high but level", {RATIO: "0.95x90"}, {40: 0, 80: 0}),
    Case("MilepostMemoryNearLimit", "rises from far below", {RATIO: "0.1+0.001x90"}, {40: 0, 80: 0}),
    Case("MilepostMemoryNearLimit", "no limit, no ratio", {}, {40: 0}),
    Case("MilepostCpuThrottled", "half of the periods, then none", throttling("0+300x30 9000x40", "0+600x70"),
         {10: 0, 25: 1, 60: 0}),
    Case("MilepostCpuThrottled", "one period in ten", throttling("0+60x40", "0+600x40"), {30: 0}),
    Case("MilepostCpuThrottled", "low traffic: hardly ever runs", throttling("0+6x40", "0+6x40"), {30: 0}),
    Case("MilepostCpuThrottled", "the container was replaced", throttling("90000x20 0x40", "100000+600x20 0+600x40"),
         {25: 0, 50: 0}),
    Case(SHARE, "0.8 cards with a limit of 0.5, then 0.3", {**seconds("0+48x40 1920+18x60"), LIMIT: "0.5x100"},
         {10: 0, 35: 1, 70: 0}),
    Case(SHARE, "within its limit", {**seconds("0+28x60"), LIMIT: "0.5x60"}, {40: 0}),
    Case(SHARE, "two sources that see the same are not added up",
         {**seconds("0+28x60"), **seconds("0+28x60", "dcgm"), LIMIT: "0.5x60"}, {40: 0}),
    Case(SHARE, "no limit is known", seconds("0+48x60"), {40: 0}),
    Case(SHARE, "the counter starts again", {**seconds("90000+18x20 0+18x40"), LIMIT: "0.5x60"}, {25: 0, 50: 0}),
    Case(MEMORY, "3 GiB with a limit of 2, then 1",
         {**held(f"{3 * GIB}x40 {GIB}x30"), MEMORY_LIMIT: f"{2 * GIB}x70"}, {10: 0, 30: 1, 60: 0}),
    Case(MEMORY, "the CUDA context alone is above it", {**held(f"{int(2.1 * GIB)}x40"), MEMORY_LIMIT: f"{2 * GIB}x40"},
         {30: 0}),
    Case(MEMORY, "no limit is known", held(f"{3 * GIB}x40"), {30: 0}),
    Case(IDLE, "no process for six hours, then work", held_card(**seconds("_x420 0+30x100")), {300: 0, 400: 1, 500: 0}),
    Case(IDLE, "in use", held_card(**seconds("0+10x500")), {400: 0, 480: 0}),
    Case(IDLE, "the exporter's counter starts again", held_card(**seconds("0+10x250 0+10x250")), {300: 0, 480: 0}),
    Case(IDLE, "a young pod", held_card(**{f"milepost_pod_start_time_seconds{{{POD}}}": "18000x500"}), {400: 0}),
    Case(IDLE, "nobody looks at the cards of the node",
         {name: values for name, values in held_card().items() if name not in CARD}, {400: 0}),
    Case("MilepostGpuCardFull", "97 %, then half", card_memory(f"{int(15.6 * GIB)}x30 {8 * GIB}x30"),
         {10: 0, 20: 1, 50: 0}),
    Case("MilepostGpuCardFull", "90 %", card_memory(f"{int(14.4 * GIB)}x40"), {30: 0}),
    Case("MilepostGpuCardFull", "the capacity is not known",
         dict(list(card_memory(f"{int(15.6 * GIB)}x30").items())[:1]), {25: 0}),
    Case(BLIND, "GpuManager says 0, then tells the truth", {SILENT: "1x30 0x30"}, {10: 0, 20: 1, 50: 0}),
    Case(BLIND, "GpuManager agrees", {SILENT: "0x30"}, {20: 0}),
)  # fmt: skip
