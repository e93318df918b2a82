"""The kubelet of this node: CPU and memory of every container, from `/metrics/resource` and `/metrics/cadvisor`.

`/metrics/resource` is small and has what matters most; `/metrics/cadvisor` adds throttling, resident memory and
out-of-memory events, and may be switched off. Both are read with the right `get nodes/metrics`, never through
`nodes/proxy`, which would also allow to run commands. The kubelet's explicit timestamps are not passed on: Prometheus
would then not notice that a series ended. Families: Kubernetes `pkg/kubelet/metrics/collectors/resource_metrics.go`,
cAdvisor `docs/storage/prometheus.md`. Rows of the sandbox and of whole cgroups have no container and are left out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.cluster.podindex import PodIndex
from exporter.page import families as fam
from exporter.page.family import Scope
from exporter.page.observations import ContainerUsage
from exporter.page.samples import Samples, SourceResult
from exporter.page.scan import PageError, Scanned, parse_labels, scan
from exporter.page.sink import Subject
from exporter.read.fetch import Fetcher, FetchError
from milepost.identity import Identity

RESOURCE_PATH, CADVISOR_PATH = "/metrics/resource", "/metrics/cadvisor"
_CPU, _MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
_POD_FAMILIES = {
    "pod_cpu_usage_seconds_total": fam.POD_CPU_SECONDS,
    "pod_memory_working_set_bytes": fam.POD_MEMORY_WORKING_SET,
}
_NODE_FAMILIES = {
    "node_cpu_usage_seconds_total": fam.NODE_CPU_SECONDS,
    "node_memory_working_set_bytes": fam.NODE_MEMORY_WORKING_SET,
}
_CADVISOR_FAMILIES = {
    "container_cpu_cfs_periods_total": fam.CPU_PERIODS,
    "container_cpu_cfs_throttled_periods_total": fam.CPU_THROTTLED_PERIODS,
    "container_memory_rss": fam.MEMORY_RSS,
    "container_oom_events_total": fam.OOM_EVENTS,
}
"""In the order of the page, so that it is gone through once."""


@dataclass(frozen=True, slots=True)
class KubeletAccess:
    """Where the kubelet is and how to prove who we are; the token file is read each time, for it is rotated."""

    url: str
    token_file: Path | None
    cadvisor: bool

    def headers(self) -> Mapping[str, str]:
        """Return the Authorization header. Raises OSError."""
        return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"} if self.token_file else {}


class KubeletSource:
    """The source `kubelet`."""

    name = "kubelet"

    def __init__(self, access: KubeletAccess, fetcher: Fetcher, pods: PodIndex, node: str) -> None:
        self._access = access
        self._fetcher = fetcher
        self._pods = pods
        self._node = Subject.of(Identity(node=node), Scope.NODE)

    async def collect(self, deadline: float) -> SourceResult:
        """Read both pages at once; if either fails, the source has failed."""
        loop = asyncio.get_running_loop()
        started, now = loop.time(), time.time()
        out, usages = Samples(), list[ContainerUsage]()

        async def page(path: str) -> bytes:
            return await self._fetcher.get(self._access.url + path, timeout_s=deadline - started, headers=headers)

        async def read_resource() -> None:
            usages.extend(read_resource_page(await page(RESOURCE_PATH), self._pods, self._node, out, now=now))

        async def read_cadvisor() -> None:
            read_cadvisor_page(await page(CADVISOR_PATH), self._pods, out)

        try:
            headers = self._access.headers()
            # The small page is read while the large one is still on its way.
            await asyncio.gather(read_resource(), *([read_cadvisor()] if self._access.cadvisor else []))
        except FetchError as error:
            return SourceResult(self.name, loop.time() - started, error=error.reason, error_detail=str(error))
        except PageError as error:
            return SourceResult(self.name, loop.time() - started, error="page", error_detail=str(error))
        except OSError as error:
            return SourceResult(self.name, loop.time() - started, error="token", error_detail=str(error))
        oldest = min((usage.at for usage in usages), default=now)
        return SourceResult(self.name, loop.time() - started, out, usages, age_s=max(0.0, now - oldest))


def read_resource_page(
    page: bytes, pods: PodIndex, node: Subject, out: Samples, *, now: float
) -> Iterator[ContainerUsage]:
    """Yield the use of every known container; pod and node totals go to `out`. Raises PageError."""
    memory = {sample.labels: sample.value for sample in scan(page, (_MEMORY,))}
    for sample in scan(page, (_CPU,)):
        subject = _container(sample, pods)
        if subject is not None:
            at = sample.timestamp_ms / 1000 if sample.timestamp_ms is not None else now
            yield ContainerUsage(subject, at, sample.value, memory_bytes=memory.get(sample.labels))
    for sample in scan(page, _POD_FAMILIES):
        labels = parse_labels(sample.labels)
        entry = pods.pod(labels.get("namespace", ""), labels.get("pod", ""))
        if entry is not None:
            out.add(_POD_FAMILIES[sample.name], entry.subject, sample.value)
    for sample in scan(page, _NODE_FAMILIES):
        out.add(_NODE_FAMILIES[sample.name], node, sample.value)


def read_cadvisor_page(page: bytes, pods: PodIndex, out: Samples) -> None:
    """Add the families that only cAdvisor has. Raises PageError."""
    known: dict[bytes, Subject | None] = {}
    for sample in scan(page, _CADVISOR_FAMILIES):
        if sample.labels not in known:
            known[sample.labels] = _container(sample, pods)
        subject = known[sample.labels]
        if subject is not None:
            out.add(_CADVISOR_FAMILIES[sample.name], subject, sample.value)


def _container(sample: Scanned, pods: PodIndex) -> Subject | None:
    if b'container=""' in sample.labels:
        return None
    labels = parse_labels(sample.labels)
    return pods.by_name(labels.get("namespace", ""), labels.get("pod", ""), labels.get("container", ""))
