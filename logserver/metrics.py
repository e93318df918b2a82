"""Every metric of the log-server, in one table: the whole truth for documentation, dashboards and alerts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from milepost.instruments import REQUEST_BUCKETS_S, Instruments, MetricDef

PREFIX = "milepost_logserver_"
VISIBLE_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

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
    MetricDef(Histogram, "batch_seconds", "Time spent per batch by stage.", ("stage",), REQUEST_BUCKETS_S),
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
    MetricDef(
        Histogram, "query_duration_seconds", "Time to answer a request.", ("endpoint",), buckets=REQUEST_BUCKETS_S
    ),
    MetricDef(Gauge, "followers", "Open tails."),
    MetricDef(Counter, "follow_delays_total", "Times followers had to wait because the store did not answer."),
    MetricDef(Counter, "follower_dropped_lines_total", "Lines not sent because a follower was too slow."),
    MetricDef(Gauge, "build_info", "Always 1; the labels say what runs.", ("version", "engine")),
)


class Metrics(Instruments):
    """The instruments of the table."""

    def __init__(self) -> None:
        super().__init__(PREFIX, TABLE)
