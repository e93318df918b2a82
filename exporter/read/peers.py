"""The node exporters' pages, read by the cluster exporter for the history of its JSON API.

They know what the Kubernetes API does not: exact CPU counters and GPU use. Nothing of it goes on the cluster's page,
for Prometheus scrapes the node exporters itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from exporter.cluster.podindex import PodIndex
from exporter.page import families as fam
from exporter.page.observations import ContainerUsage, GpuUsage, Observation
from exporter.page.samples import Samples, SourceResult
from exporter.page.scan import parse_labels, scan
from exporter.page.sink import Subject
from exporter.read.fetch import Fetcher, FetchError
from exporter.read.pages import PageBounds, page_result, read_all


@dataclass(frozen=True, slots=True)
class NodeExporterPage:
    """The page of one node exporter."""

    url: str


class NodeExportersSource:
    """The source `node-exporters`; `targets` gives their pages at this moment."""

    name = "node-exporters"

    def __init__(
        self, targets: Callable[[], Iterable[str]], fetcher: Fetcher, bounds: PageBounds, pods: PodIndex
    ) -> None:
        self._targets = targets
        self._fetcher = fetcher
        self._bounds = bounds
        self._pods = pods

    async def collect(self, deadline: float) -> SourceResult:
        """Read every node exporter's page."""
        started = asyncio.get_running_loop().time()
        outcomes = await read_all(
            list(map(NodeExporterPage, self._targets())), self._read, self._fetcher, self._bounds, deadline
        )
        read: list[Observation] = []
        for outcome in outcomes:
            if not isinstance(outcome, FetchError):
                read += outcome
        return page_result(self.name, started, outcomes, Samples(), read, shown=False)

    def _read(self, _: NodeExporterPage, page: bytes) -> list[Observation]:
        return list(read_node_page(page, self._pods, now=time.time()))


def read_node_page(page: bytes, pods: PodIndex, *, now: float) -> Iterator[Observation]:
    """Yield the use of CPU, memory and GPUs on one node exporter's page. Raises PageError."""
    memory = {sample.labels: sample.value for sample in scan(page, (fam.MEMORY_WORKING_SET.name,))}
    for sample in scan(page, (fam.CPU_SECONDS.name,)):
        subject = _subject(parse_labels(sample.labels), pods)
        if subject is not None:
            yield ContainerUsage(subject, now, sample.value, memory_bytes=memory.get(sample.labels))
    card_memory = {sample.labels: sample.value for sample in scan(page, (fam.GPU_MEMORY_USED.name,))}
    busy = {sample.labels: sample.value for sample in scan(page, (fam.GPU_UTILISATION.name,))}
    for text in card_memory.keys() | busy.keys():
        labels = parse_labels(text)
        subject = _subject(labels, pods)
        if subject is not None:
            yield GpuUsage(subject, labels["gpu"], labels["source"], busy.get(text), card_memory.get(text))


def _subject(labels: dict[str, str], pods: PodIndex) -> Subject | None:
    return pods.by_name(labels.get("namespace", ""), labels.get("pod", ""), labels.get("container", ""))
