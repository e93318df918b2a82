"""A program's metrics of itself, made from one table.

`Instruments` makes what a table names in a registry of its own: nothing is registered at import, and two servers in one
process (as in tests) do not meet. The table is the whole truth for documentation, dashboards and alerts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Instrument = TypeVar("Instrument", Counter, Gauge, Histogram)

REQUEST_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class MetricDef:
    """One row of the table; `name` is without the prefix."""

    kind: type[Counter] | type[Gauge] | type[Histogram]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Instruments:
    """The instruments of a table, found by kind and name: `metrics.counter("rejects_total", "not_json").inc()`."""

    def __init__(self, prefix: str, table: Sequence[MetricDef]) -> None:
        self.registry = CollectorRegistry()
        self._instruments: dict[str, Counter | Gauge | Histogram] = {}
        for row in table:
            extra = {"buckets": row.buckets} if row.buckets else {}
            instrument = row.kind(prefix + row.name, row.help, row.labels, registry=self.registry, **extra)  # type: ignore[arg-type]
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
