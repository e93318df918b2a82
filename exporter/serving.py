"""The running exporter as its HTTP routes see it: scrape, be ready, answer about pods and models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from exporter.assemble import assemble
from exporter.cluster import Cluster
from exporter.cluster.podindex import PodIndex
from exporter.collector import Collector
from exporter.history.ring import Ring
from exporter.own import own_samples
from exporter.page.render import SeriesBound, page
from exporter.read.modelpages import ModelPagesSource
from exporter.read.watching import KubernetesSource

OPENMETRICS = "application/openmetrics-text"
_OPENMETRICS_END = "# EOF\n"


@dataclass(frozen=True, slots=True)
class Exporter:
    """Everything that answers a request; `cluster` is None in node mode."""

    mode: str
    pods: PodIndex
    cluster: Cluster | None
    kubernetes: KubernetesSource
    collector: Collector
    ring: Ring
    bound: SeriesBound
    process: CollectorRegistry
    background: tuple[ModelPagesSource, ...] = ()

    async def scrape(self, timeout_s: float, accept: str) -> tuple[str, Iterator[str]]:
        """Collect, and return (content type, the page in pieces)."""
        encode, content_type = choose_encoder(accept)
        openmetrics = content_type.startswith(OPENMETRICS)
        with self.undisturbed():
            collection = await self.collector.collect(timeout_s)
        samples = assemble(collection, self.pods, self.cluster)
        own = own_samples(collection, self.collector.counters, self.kubernetes, self.ring, mode=self.mode)

        def pieces() -> Iterator[str]:
            yield from page(samples, own, self.bound, openmetrics=openmetrics)
            yield encode(self.process).decode().removesuffix(_OPENMETRICS_END)
            if openmetrics:
                yield _OPENMETRICS_END

        return content_type, pieces()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Let what reads in the background wait inside this block."""
        with ExitStack() as stack:
            for source in self.background:
                stack.enter_context(source.held())
            yield


def process_registry() -> CollectorRegistry:
    """Return a registry with the figures of our own process (CPU, resident memory, open files)."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry
