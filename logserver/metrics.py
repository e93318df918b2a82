"""Every metric of the log-server, in one table.

`Metrics` makes the instruments of the table in a registry of its own: nothing is registered at import, and two
log-servers in one process (as in tests) do not meet. Names here are the whole truth for documentation and dashboards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Instrument = TypeVar("Instrument", Counter, Gauge, Histogram)

PREFIX = "milepost_logserver_"
VISIBLE_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
QUERY_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class MetricDef:
    """One row of the table; `name` is without the prefix."""

    kind: type[Counter] | type[Gauge] | type[Histogram]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


TABLE: tuple[MetricDef, ...] = (
    MetricDef(Counter, "lines_total", "Lines stored.", ("topic",)),
    MetricDef(Counter, "bytes_total", "Bytes of the documents read from Kafka.", ("topic",)),
    MetricDef(Counter, "batches_total", "Batches stored."),
    MetricDef(Counter, "rejects_total", "Documents that could not become a line.", ("reason",)),
    MetricDef(Counter, "duplicates_total", "Lines dropped because they were stored before."),
    MetricDef(Counter, "suspects_total", "Lines looked up in the store to tell whether they were stored before."),
    MetricDef(Counter, "store_retries_total", "Times the same batch was tried again because the store failed."),
    MetricDef(Gauge, "consumer_lag", "Documents of the partition not yet stored.", ("topic", "partition")),
    MetricDef(Gauge, "assigned_partitions", "Partitions this replica owns."),
    MetricDef(
        Histogram,
        "visible_latency_seconds",
        "From the document's Kafka timestamp until a query can return its line.",
        buckets=VISIBLE_BUCKETS_S,
    ),
    MetricDef(Histogram, "batch_seconds", "Time spent per batch by stage.", ("stage",), QUERY_BUCKETS_S),
    MetricDef(Gauge, "paused", "1 while partitions are paused because the store is slow or down."),
    MetricDef(Gauge, "last_progress_timestamp_seconds", "When a batch was last stored or the partitions were drained."),
    MetricDef(
        Gauge,
        "node_last_line_timestamp_seconds",
        "When the node was last heard of: the newest Kafka timestamp of its documents.",
        ("node",),
    ),
    MetricDef(
        Counter, "offset_resets_total", "Times a stored position was no longer in the topic.", ("topic", "action")
    ),
    MetricDef(Counter, "rebalances_total", "Assignments taken."),
    MetricDef(Counter, "fenced_total", "Batches dropped because a newer owner had registered."),
    MetricDef(Counter, "expired_partitions_total", "Store partitions dropped by retention.", ("reason",)),
    MetricDef(Gauge, "disk_bytes", "Bytes of the store on disk."),
    MetricDef(Gauge, "disk_limit_bytes", "The bound of retention.disk_bytes_max; 0 for none."),
    MetricDef(Histogram, "query_duration_seconds", "Time to answer a request.", ("endpoint",), buckets=QUERY_BUCKETS_S),
    MetricDef(Gauge, "followers", "Open tails."),
    MetricDef(Counter, "follow_delays_total", "Times followers had to wait because the store did not answer."),
    MetricDef(Counter, "follower_dropped_lines_total", "Lines not sent because a follower was too slow."),
    MetricDef(Gauge, "build_info", "Always 1; the labels say what runs.", ("version", "engine")),
)


class Metrics:
    """The instruments of the table, found by kind and name: `metrics.counter("rejects_total", "not_json").inc()`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._instruments: dict[str, Counter | Gauge | Histogram] = {}
        for row in TABLE:
            extra = {"buckets": row.buckets} if row.buckets else {}
            instrument = row.kind(PREFIX + row.name, row.help, row.labels, registry=self.registry, **extra)  # type: ignore[arg-type]
            self._instruments[row.name] = instrument

    def counter(self, name: str, *labels: str) -> Counter:
        """Return the counter of this name of the table, with label values in the table's order."""
        return self._get(Counter, name, labels)

    def gauge(self, name: str, *labels: str) -> Gauge:
        """Return the gauge of this name of the table, with label values in the table's order."""
        return self._get(Gauge, name, labels)

    def histogram(self, name: str, *labels: str) -> Histogram:
        """Return the histogram of this name of the table, with label values in the table's order."""
        return self._get(Histogram, name, labels)

    def drop(self, name: str, *labels: str) -> None:
        """Stop showing one series of the table; nothing happens when it was never shown."""
        self._instruments[name].remove(*labels)

    def _get(self, kind: type[Instrument], name: str, labels: tuple[str, ...]) -> Instrument:
        instrument = self._instruments[name]
        if not isinstance(instrument, kind):
            raise TypeError(f"{name} is a {type(instrument).__name__}, not a {kind.__name__}")
        return instrument.labels(*labels) if labels else instrument
