"""Every metric of the platform, in one table: the whole truth for documentation, dashboards and alerts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from milepost import __version__
from milepost.instruments import REQUEST_BUCKETS_S, Instruments, MetricDef
from milepost.timing import Timed

PREFIX = "milepost_platform_"

TABLE: tuple[MetricDef, ...] = (
    MetricDef(Gauge, "build_info", "Always 1; the label says what runs.", ("version",)),
    MetricDef(Counter, "requests_total", "Requests answered, by the route's path.", ("method", "route", "code")),
    MetricDef(
        Histogram,
        "request_duration_seconds",
        "Time until an answer began; a stream's own length does not count.",
        ("method", "route"),
        REQUEST_BUCKETS_S,
    ),
    MetricDef(Gauge, "jobs_running", "Changes being carried out by this process."),
    MetricDef(Counter, "jobs_total", "Runs of changes that ended; again: tried later.", ("verb", "state")),
    MetricDef(Counter, "resumed_total", "Operations gone on with that another run had left undone.", ("verb",)),
    MetricDef(Gauge, "streams", "Open watches and followed jobs."),
    MetricDef(Gauge, "models", "Models in the watch cache."),
    MetricDef(Gauge, "cache_listed", "1 once all collections of the watch cache were listed completely."),
    MetricDef(
        Gauge,
        "cache_stale_since_timestamp_seconds",
        "Since when a watch has been interrupted, so that lists show what was; 0: none is.",
    ),
)


class Metrics(Instruments):
    """The instruments of the table."""

    def __init__(self) -> None:
        super().__init__(PREFIX, TABLE)
        self.gauge("build_info", __version__).set(1)

    def request(self, timed: Timed) -> None:
        """Count an answered request; what no route took has the route `none`, lest every wrong URL be a series."""
        route = timed.route or "none"
        self.counter("requests_total", timed.method, route, str(timed.status)).inc()
        self.histogram("request_duration_seconds", timed.method, route).observe(timed.took_s)
