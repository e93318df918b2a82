"""The sources `gpumanager` and `dcgm`: what other programs of this node say of its GPUs, and where one is wrong.

They are read only where their pods run on this node. NVML is read at the same time, so what GpuManager is held against
is NVML's reading of the collection before: a container that started since is compared from the next one on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exporter.cluster.targets import PageTarget
from exporter.gpu.source import View
from exporter.page import families as fam
from exporter.page.observations import Observation
from exporter.page.samples import Containers, Samples, SourceResult
from exporter.page.sink import Subject
from exporter.read.fetch import Fetcher, FetchError
from exporter.read.pages import PageBounds, page_result, read_all
from exporter.sources import dcgm, gpumanager

Targets = Callable[[], Iterable[PageTarget]]


@dataclass(frozen=True, slots=True)
class UsagePage:
    """GpuManager's other page, beside its metrics."""

    beside: PageTarget

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{self.beside.host}:{self.beside.port}/usage"


class GpuManagerSource:
    """Reads GpuManager; `nvml` gives what NVML showed last."""

    name = gpumanager.SOURCE

    def __init__(
        self,
        targets: Targets,
        fetcher: Fetcher,
        bounds: PageBounds,
        *,
        containers: Containers,
        nvml: Callable[[], View],
    ) -> None:
        self._targets = targets
        self._fetcher = fetcher
        self._bounds = bounds
        self._containers = containers
        self._nvml = nvml

    async def collect(self, deadline: float) -> SourceResult:
        """Read `/metric`, and `/usage` where NVML does not say which card is which."""
        started = asyncio.get_running_loop().time()
        targets, view = list(self._targets()), self._nvml()
        outcomes = await read_all(
            targets, lambda _, page: gpumanager.parse_metric(page), self._fetcher, self._bounds, deadline
        )
        rows = [row for outcome in outcomes if not isinstance(outcome, FetchError) for row in outcome]
        devices = await self._devices(targets, deadline) if rows and not view.cards else []
        report = gpumanager.observed(rows, devices, view.cards, self._containers)
        samples = Samples()
        for row, silent in gpumanager.silent_zeros(view.usages, report):
            samples.add(fam.GPU_MANAGER_SILENT_ZERO, row.subject, int(silent), row.gpu)
        return page_result(self.name, started, outcomes, samples, report.usages)

    async def _devices(self, targets: Sequence[PageTarget], deadline: float) -> list[gpumanager.DeviceUse]:
        """Return the rows of `/usage`; without it cards are called `gpu<N>`, so a failure costs only their names."""
        pages = [UsagePage(target) for target in targets]
        outcomes = await read_all(
            pages, lambda _, body: gpumanager.parse_usage(body), self._fetcher, self._bounds, deadline
        )
        return [row for outcome in outcomes if not isinstance(outcome, FetchError) for row in outcome]


class DcgmSource:
    """Reads dcgm-exporter; `node` is the subject of the cards' own figures."""

    name = dcgm.SOURCE

    def __init__(
        self, targets: Targets, fetcher: Fetcher, bounds: PageBounds, *, containers: Containers, node: Subject
    ) -> None:
        self._targets = targets
        self._fetcher = fetcher
        self._bounds = bounds
        self._containers = containers
        self._node = node

    async def collect(self, deadline: float) -> SourceResult:
        """Read its page."""
        started = asyncio.get_running_loop().time()
        outcomes = await read_all(
            list(self._targets()), lambda _, page: dcgm.parse(page), self._fetcher, self._bounds, deadline
        )
        figures = [figure for outcome in outcomes if not isinstance(outcome, FetchError) for figure in outcome]
        samples = Samples()
        for (family, gpu), value in dcgm.card_figures(figures).items():
            samples.add(family, self._node, value, gpu, dcgm.SOURCE)
        observations: list[Observation] = [*dcgm.observed(figures, self._containers)]
        return page_result(self.name, started, outcomes, samples, observations)
