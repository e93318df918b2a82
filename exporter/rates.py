"""CPU in use from two readings of a counter, by the clock of whoever read it (the kubelet's own timestamps). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.page.observations import ContainerUsage


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    cpu_seconds: float | None
    cores: float | None


class CpuRates:
    """The last reading of every container; containers that are not read any more are forgotten at once.

    Caller: the collector, once for each collection.
    """

    def __init__(self) -> None:
        self._last: dict[str, _Reading] = {}

    def update(self, usages: Iterable[ContainerUsage]) -> dict[str, float]:
        """Return cores in use by the subject's label text, for containers read at least twice.

        The kubelet refreshes its figures every ten seconds or so: for a reading taken again unchanged the cores stay
        what they were. A counter that went back (the container restarted) gives no cores this once.
        """
        readings = {usage.subject.text: self._next(usage) for usage in usages}
        self._last = {text: reading for text, reading in readings.items() if reading is not None}
        return {text: reading.cores for text, reading in self._last.items() if reading.cores is not None}

    def _next(self, usage: ContainerUsage) -> _Reading | None:
        if usage.cpu_seconds is None:
            return None if usage.cpu_cores is None else _Reading(usage.at, None, usage.cpu_cores)
        before = self._last.get(usage.subject.text)
        if before is None or before.cpu_seconds is None:
            return _Reading(usage.at, usage.cpu_seconds, None)
        if before.at == usage.at:
            return before
        grown, elapsed_s = usage.cpu_seconds - before.cpu_seconds, usage.at - before.at
        return _Reading(usage.at, usage.cpu_seconds, grown / elapsed_s if grown >= 0 and elapsed_s > 0 else None)
