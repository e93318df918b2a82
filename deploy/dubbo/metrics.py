"""Every metric of the Dubbo entry, in one table. Interfaces and methods are those of the services file, or `other`."""

from __future__ import annotations

import enum

from prometheus_client import Counter, Gauge, Histogram

from milepost import __version__
from milepost.instruments import REQUEST_BUCKETS_S, Instruments, MetricDef

PREFIX = "milepost_dubbo_"
OTHER = "other"


class Outcome(enum.StrEnum):
    """What a request came to."""

    OK = "ok"
    MODEL_FAILED = "model_failed"
    ANSWER_TOO_LARGE = "answer_too_large"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    SERIALIZATION = "serialization"
    TOO_LARGE = "too_large"
    EXHAUSTED = "exhausted"
    CALLER_GONE = "caller_gone"
    INTERNAL = "internal"


TABLE: tuple[MetricDef, ...] = (
    MetricDef(Gauge, "build_info", "Always 1; the label says what runs.", ("version",)),
    MetricDef(
        Counter, "requests_total", "Requests that ended, by what they came to.", ("interface", "method", "outcome")
    ),
    MetricDef(
        Histogram,
        "request_duration_seconds",
        "Time from a request's last byte until its answer is written.",
        ("interface", "method"),
        REQUEST_BUCKETS_S,
    ),
    MetricDef(Gauge, "requests_in_flight", "Requests under way."),
    MetricDef(Gauge, "requests_in_flight_limit", "The most requests that may be under way at once."),
    MetricDef(Gauge, "in_flight_bytes", "Bytes of the requests under way."),
    MetricDef(Gauge, "in_flight_limit_bytes", "The most bytes that the requests under way may have together."),
    MetricDef(Gauge, "connections", "Open connections of callers."),
    MetricDef(Gauge, "connections_limit", "The most connections that may be open at once."),
    MetricDef(Counter, "connections_closed_total", "Connections that ended, by why.", ("reason",)),
    MetricDef(Counter, "received_bytes_total", "Bytes of frames that callers sent."),
    MetricDef(Counter, "sent_bytes_total", "Bytes of frames that were written for callers."),
    MetricDef(Gauge, "registry_connected", "1 while there is a session with ZooKeeper."),
    MetricDef(Gauge, "registry_services", "Services that are registered."),
    MetricDef(Gauge, "registry_services_wanted", "Services that should be registered; 0 without a registry."),
    MetricDef(Counter, "registrations_total", "Entries made in ZooKeeper, those after a lost session too."),
)


class Metrics(Instruments):
    """The instruments of the table."""

    def __init__(self) -> None:
        super().__init__(PREFIX, TABLE)
        self.gauge("build_info", __version__).set(1)

    def ended(self, interface: str, method: str, outcome: Outcome, took_s: float) -> None:
        """Count one request that ended."""
        self.counter("requests_total", interface, method, outcome).inc()
        self.histogram("request_duration_seconds", interface, method).observe(took_s)
