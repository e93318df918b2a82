"""A node with a card: its kubelet's two pages, GpuManager's page, its /proc and the processes on its card.

Shapes: Kubernetes `pkg/kubelet/metrics/collectors/resource_metrics.go`, cAdvisor `docs/storage/prometheus.md`,
tkestack/gpu-manager `pkg/services/display/display.go`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.tour.replica import ENGINE, UNIT, Replica
from tests.exporter.gpu.hostproc import add_process
from tests.parts.nvml import ScriptedDriver

GIB = 1 << 30
CARD_BYTES, CARD_PERCENT = 3 * GIB, 20
STRANGER_PID = 900
"""A process on the card that belongs to no container."""


class Node:
    """The node of these replicas; each has one process on the card."""

    def __init__(self, replicas: Sequence[Replica], folder: Path) -> None:
        """Build the driver; raises Unavailable without a C compiler."""
        self.proc = folder / "proc"
        self.driver = ScriptedDriver(folder / "driver")
        self._replicas = replicas
        self._started = time.monotonic()
        on_card = [(STRANGER_PID, GIB // 4, 0)]
        add_process(self.proc, STRANGER_PID, cgroup="/system.slice/xorg.service", name="Xorg")
        for pid, replica in enumerate(replicas, 1000):
            add_process(self.proc, pid, cgroup=f"/kubepods.slice/cri-containerd-{replica.container_id}.scope")
            on_card.append((pid, CARD_BYTES, CARD_PERCENT))
        self.driver.set(on_card)

    def resource_page(self) -> str:
        """Return the kubelet's /metrics/resource."""
        cpu, memory = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
        counters, gauges = [f"# TYPE {cpu} counter"], [f"# TYPE {memory} gauge"]
        for replica in self._replicas:
            for container, seconds, size in self._uses(replica):
                labels = f'container="{container}",namespace="{replica.namespace}",pod="{replica.name}"'
                counters.append(f"{cpu}{{{labels}}} {seconds:.6f}")
                gauges.append(f"{memory}{{{labels}}} {size:.0f}")
        used = sum(replica.cpu_seconds for replica in self._replicas)
        return "\n".join(
            [*counters, *gauges,
             "# TYPE node_cpu_usage_seconds_total counter", f"node_cpu_usage_seconds_total {50_000 + 2 * used:.6f}",
             "# TYPE node_memory_working_set_bytes gauge", f"node_memory_working_set_bytes {30 * GIB}", ""]
        )  # fmt: skip

    def cadvisor_page(self) -> str:
        """Return the kubelet's /metrics/cadvisor: throttled in one period of eight."""
        periods = 10 * (time.monotonic() - self._started)
        rows: list[str] = []
        for family, kind, value in (
            ("container_cpu_cfs_periods_total", "counter", periods),
            ("container_cpu_cfs_throttled_periods_total", "counter", periods / 8),
            ("container_memory_rss", "gauge", 1.2 * GIB),
            ("container_oom_events_total", "counter", 0.0),
        ):
            rows.append(f"# TYPE {family} {kind}")
            rows += [
                f'{family}{{container="{UNIT}",id="/kubepods/{replica.container_id}",image="i",name="n",'
                f'namespace="{replica.namespace}",pod="{replica.name}"}} {value:.0f}'
                for replica in self._replicas
            ]
        return "\n".join([*rows, ""])

    def gpu_manager_page(self) -> str:
        """Return GpuManager's /metric: right about the first replica, silently zero about the others."""
        use, memory = "container_gpu_utilization", "container_gpu_memory_total"
        rows: dict[str, list[str]] = {use: [f"# TYPE {use} gauge"], memory: [f"# TYPE {memory} gauge"]}
        for place, replica in enumerate(self._replicas):
            names = f'container_name="{UNIT}",namespace="{replica.namespace}",node="n",pod_name="{replica.name}"'
            for family, label, value in ((use, "gpu", CARD_PERCENT), (memory, "gpu_memory", CARD_BYTES >> 20)):
                for card in ("gpu0", "total"):
                    rows[family].append(f'{family}{{{names},{label}="{card}"}} {0 if place else value}')
        return "\n".join([*rows[use], *rows[memory], ""])

    def _uses(self, replica: Replica) -> tuple[tuple[str, float, float], ...]:
        return (UNIT, replica.cpu_seconds, 1.3 * GIB), (ENGINE, replica.cpu_seconds / 8, 70 << 20)
