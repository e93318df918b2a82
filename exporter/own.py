"""The exporter's figures about itself: which sources are up, how long they took, what was left out. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.collector import Collection, CollectorCounters
from exporter.history.ring import Ring
from exporter.page import families as fam
from exporter.page.samples import Samples
from exporter.page.sink import EXPORTER
from exporter.read.watching import KubernetesSource
from milepost import __version__


def own_samples(
    collection: Collection,
    counters: CollectorCounters,
    kubernetes: KubernetesSource,
    ring: Ring,
    *,
    mode: str,
) -> Samples:
    """Return the families about the exporter; `exporter.page.render` adds the counts of series."""
    out = Samples()
    out.add(fam.BUILD_INFO, EXPORTER, 1, __version__, mode)
    out.add(fam.SCRAPES_SHARED, EXPORTER, counters.shared)
    for result in collection.results:
        out.add(fam.SOURCE_UP, EXPORTER, int(not result.error), result.source)
        out.add(fam.SOURCE_DURATION, EXPORTER, result.duration_s, result.source)
        out.add(fam.SOURCE_AGE, EXPORTER, result.age_s, result.source)
        out.add(fam.SOURCE_TARGETS, EXPORTER, result.targets, result.source)
        up = 0 if result.error else result.targets_up
        out.add(fam.SOURCE_TARGETS_UP, EXPORTER, up, result.source)
    for (source, reason), count in sorted(counters.errors.items()):
        out.add(fam.SOURCE_ERRORS, EXPORTER, count, source, reason)
    for (resource, event), count in sorted(kubernetes.events.items()):
        out.add(fam.WATCH_EVENTS, EXPORTER, count, resource, event)
    for watched in kubernetes.resources:
        out.add(fam.WATCH_OBJECTS, EXPORTER, len(watched.holder), watched.name)
    out.add(fam.WATCH_BAD_OBJECTS, EXPORTER, kubernetes.bad_objects)
    refused: Mapping[str, int] = {"history.pods_max": ring.pods.refused, "history.models_max": ring.models.refused}
    for bound, count in refused.items():
        out.add(fam.SERIES_DROPPED, EXPORTER, count, bound)
    return out
