"""Node and GPU sharing: who holds which card, what is asked for against what is used, what is free."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import variables
from dashboards.frame import framed
from dashboards.panels import BAD, Column, PanelBuilder, Query, figure, lines, table_of
from dashboards.promql import ON_NODE, Selection, cards_used, rate, sum_by

UID = "milepost-gpu"
HOLDERS = Selection(("job", "instance", "node", "namespace", "model", "predictor"))
HOLDER = "node, namespace, model, predictor, pod, container"
NAME = "{{namespace}}/{{pod}} {{container}}"

CAPACITY = ON_NODE("milepost_node_gpu_capacity_cards")
REQUESTED = ON_NODE("milepost_node_gpu_requested_cards")
MEMORY_CAPACITY = ON_NODE("milepost_node_gpu_memory_capacity_bytes")
CARD_FREE = ON_NODE("milepost_node_gpu_card_free_ratio")
MEMORY_REQUESTED = ON_NODE("milepost_node_gpu_memory_requested_bytes")


def gpu() -> Dashboard:
    """Return the dashboard of nodes and their cards."""
    return framed(
        "Milepost / GPU sharing",
        UID,
        "Who holds which card, requested against used, free shares.",
        variables.job(variables.EXPORTERS),
        variables.instance(variables.EXPORTERS),
        variables.node(),
        variables.namespace(),
        variables.model(),
        variables.predictor(),
        rows={
            "At a glance": _figures(),
            "Nodes": _nodes(),
            "Who holds which card": _holders(),
            "Used against requested": _used(),
            "Cards": _cards(),
            "Blind spots": _blind(),
        },
    )


def _figures() -> list[PanelBuilder]:
    used = cards_used("", HOLDERS("milepost_gpu_container_seconds_total"))
    silent = HOLDERS("milepost_gpu_manager_silent_zero")
    return [
        figure("Cards", "Cards of the chosen nodes.", "short", f"sum({CAPACITY})"),
        figure("Requested", "Cards requested by running pods.", "short", f"sum({REQUESTED})"),
        figure("Free", "Cards not requested by anybody. It may lie in pieces on several nodes.", "short",
               f"sum({CAPACITY}) - sum({REQUESTED})", steps=[]),
        figure("Used", "Cards' worth of time really used by containers.", "short", used),
        figure("Memory free", "Card memory that GpuManager can still give out.", "bytes",
               f"sum({MEMORY_CAPACITY}) - sum({MEMORY_REQUESTED})"),
        figure("GpuManager blind", "Containers for which GpuManager reports 0 while NVML sees use.", "short",
               f"sum({silent}) or vector(0)", steps=[(1, BAD)]),
    ]  # fmt: skip


def _nodes() -> list[PanelBuilder]:
    return [
        table_of("Nodes", "Cards and card memory of each node: in all, requested, free.", ["node"],
                 Column("Cards", sum_by("node", CAPACITY), "short"),
                 Column("Requested", sum_by("node", REQUESTED), "short"),
                 Column("Free", f"{sum_by('node', CAPACITY)} - {sum_by('node', REQUESTED)}", "short"),
                 Column("Memory", sum_by("node", MEMORY_CAPACITY), "bytes"),
                 Column("Memory requested", sum_by("node", MEMORY_REQUESTED), "bytes"),
                 Column("Memory free", f"{sum_by('node', MEMORY_CAPACITY)} - {sum_by('node', MEMORY_REQUESTED)}",
                        "bytes"),
                 Column("CPU used", sum_by("node", rate(ON_NODE("milepost_node_cpu_usage_seconds_total"))), "short"),
                 Column("Node memory used", sum_by("node", ON_NODE("milepost_node_memory_working_set_bytes")),
                        "bytes")),
        lines("Free cards", "Cards not requested, by node.", "short",
              Query(f"{sum_by('node', CAPACITY)} - {sum_by('node', REQUESTED)}", "{{node}}"), span=8),
        lines("Free share by card", "Share of each card that no pod is predicated for: a share fits on one card or not "
              "at all.", "percentunit", Query(CARD_FREE, "{{node}} card {{index}}"), span=8, top=1),
        lines("Free card memory", "Card memory not requested, by node.", "bytes",
              Query(f"{sum_by('node', MEMORY_CAPACITY)} - {sum_by('node', MEMORY_REQUESTED)}", "{{node}}"), span=8),
    ]  # fmt: skip


def _holders() -> list[PanelBuilder]:
    assigned = sum_by(f"{HOLDER}, index", HOLDERS("milepost_gpu_container_assigned_info"))
    held = sum_by(f"{HOLDER}, gpu", HOLDERS("milepost_gpu_container_memory_used_bytes", 'source="nvml"'))
    busy = sum_by(f"{HOLDER}, gpu", HOLDERS("milepost_gpu_container_utilization_ratio", 'source="nvml"'))
    asked = sum_by(HOLDER, HOLDERS("milepost_gpu_container_request_cards"))
    allowed = sum_by(HOLDER, HOLDERS("milepost_gpu_container_limit_cards"))
    memory = sum_by(HOLDER, HOLDERS("milepost_gpu_container_memory_request_bytes"))
    keys = HOLDER.split(", ")
    return [
        table_of("Seen on the cards", "Containers with processes on a card, as NVML sees them.", [*keys, "gpu"],
                 Column("Memory held", held, "bytes"), Column("Time used", busy, "percentunit")),
        table_of("Asked for", "What containers request of cards: 0.3 is three tenths of one card's time.", keys,
                 Column("Cards", asked, "short"), Column("Limit", allowed, "short"),
                 Column("Memory", memory, "bytes"), span=12),
        table_of("Assigned", "The card index that GpuManager's scheduler chose for the container.", [*keys, "index"],
                 Column("Card", assigned, "short"), span=12),
    ]  # fmt: skip


def _used() -> list[PanelBuilder]:
    used = cards_used(HOLDER, HOLDERS("milepost_gpu_container_seconds_total"))
    asked = sum_by(HOLDER, HOLDERS("milepost_gpu_container_request_cards"))
    memory = sum_by(HOLDER, HOLDERS("milepost_gpu_container_memory_used_bytes", 'source="nvml"'))
    allowed = sum_by(HOLDER, HOLDERS("milepost_gpu_container_memory_limit_bytes"))
    return [
        lines("Used over requested: time", "Above 1 a container takes more of the card than it asked for; near 0 it "
              "holds what others could use.", "percentunit", Query(f"{used} / ({asked} > 0)", NAME), top=1),
        lines("Used over allowed: memory", "Card memory held over what GpuManager allows; a CUDA context's own memory "
              "is not limited, so slightly above 1 is possible.", "percentunit",
              Query(f"{memory} / ({allowed} > 0)", NAME), top=1),
    ]  # fmt: skip


def _cards() -> list[PanelBuilder]:
    used, memory = ON_NODE("milepost_gpu_card_memory_used_bytes"), ON_NODE("milepost_gpu_card_memory_capacity_bytes")
    card = "{{node}} {{gpu}} {{source}}"
    ratio = f"sum by (node, gpu, source) ({used}) / (sum by (node, gpu, source) ({memory}) > 0)"
    return [
        lines("Card time", "Share of each card's time in use.", "percentunit",
              Query(ON_NODE("milepost_gpu_card_utilization_ratio"), card), top=1),
        lines("Card memory", "Share of each card's memory in use.", "percentunit", Query(ratio, card), top=1),
        lines("Temperature", "Temperature of the cards.", "celsius",
              Query(ON_NODE("milepost_gpu_card_temperature_celsius"), card)),
        lines("Power", "Power drawn by the cards.", "watt", Query(ON_NODE("milepost_gpu_card_power_watts"), card)),
    ]  # fmt: skip


def _blind() -> list[PanelBuilder]:
    return [
        lines("Processes of nobody", "Processes on a card that belong to no known container: started outside "
              "Kubernetes, or the exporter cannot see the host's processes.", "short",
              Query(ON_NODE("milepost_gpu_unattributed_processes"), "{{node}} {{gpu}}"), span=8),
        lines("Memory of nobody", "Card memory held by no known container.", "bytes",
              Query(ON_NODE("milepost_gpu_unattributed_memory_bytes"), "{{node}} {{gpu}}"), span=8),
        lines("GpuManager's silent zeros", "1 where GpuManager reports no use and NVML sees some: with cgroup v2 or "
              "the wrong cgroup driver it finds no process and says 0.", "short",
              Query(HOLDERS("milepost_gpu_manager_silent_zero"), NAME), span=8, top=1),
    ]  # fmt: skip
