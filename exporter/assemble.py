"""All samples of a page but the exporter's own: what the sources rendered, and their observations. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.cluster import Cluster
from exporter.cluster.podindex import PodIndex
from exporter.collector import Collection
from exporter.history.observed import ServiceKey, add_controller, add_gpu, add_usage, backends
from exporter.page.observations import ContainerUsage, ControllerTraffic, FrontReading, GpuUsage, Observation
from exporter.page.samples import Samples


def assemble(collection: Collection, pods: PodIndex, cluster: Cluster | None) -> Samples:
    """Return the samples of the sources that are up and belong on this page; `cluster` is None in node mode."""
    out = Samples()
    shown = [result for result in collection.results if result.shown]
    for result in shown:
        # A source of many pages that are all down still says which ones: the samples of a failed source are about it.
        out.extend(result.samples)
    observations = [observed for result in shown if not result.error for observed in result.observations]
    behind = cluster.behind(backends(observations)) if cluster else {}
    for observed in observations:
        _add(out, observed, collection, pods, behind)
    return out


def _add(
    out: Samples,
    observed: Observation,
    collection: Collection,
    pods: PodIndex,
    behind: Mapping[ServiceKey, tuple[str, str]],
) -> None:
    match observed:
        case ContainerUsage():
            add_usage(out, observed, pods, collection.cores.get(observed.subject.text))
        case GpuUsage():
            add_gpu(out, observed)
        case FrontReading():
            pass  # its samples were made when its page was read
        case ControllerTraffic():
            add_controller(out, observed, behind)
