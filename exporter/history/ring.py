"""The last 15 minutes in memory: a fixed number of points of every pod and every model. Pure; the caller has the clock.

All rows share one time axis, a ring of slots. A row is one array of float32, written once for each point; a slot in
which nothing was heard of a row is not a number. A row unheard of for a whole turn of the ring is dropped. Rows, points
and fields are bounded, so memory is too: at 60 points a pod takes about one kilobyte.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from math import isnan, nan
from typing import Generic, TypeVar

from exporter.collector import Collection
from exporter.history.traffic import ModelKey, TrafficMeter, points
from exporter.history.windows import TrafficWindows, Window
from exporter.page.counts import TrafficPoint
from exporter.page.observations import ContainerUsage, FrontReading, GpuUsage

Key = TypeVar("Key", bound=Hashable)
PodKey = tuple[str, str]
POD_FIELDS = ("cpu_cores", "memory_bytes", "gpu_cards", "gpu_memory_bytes")
MODEL_FIELDS = tuple(field.name for field in fields(TrafficPoint))
_GPU_SOURCES = ("nvml", "gpumanager", "dcgm")
"""Whom to believe first where several sources tell of one container on one card."""


@dataclass(slots=True)
class _Row:
    values: array[float]
    heard: int


class Rows(Generic[Key]):
    """Rows of `fields` values for each of `points` slots."""

    def __init__(self, fields_: Sequence[str], points: int, rows_max: int) -> None:
        self.fields = tuple(fields_)
        self._points = points
        self._rows_max = rows_max
        self._rows: dict[Key, _Row] = {}
        self.refused = 0

    def __len__(self) -> int:
        return len(self._rows)

    def write(self, tick: int, values: Mapping[Key, Sequence[float]]) -> None:
        """Fill the slot of this tick (0, 1, 2...) in every row; new rows beyond the bound are refused and counted."""
        width, slot = len(self.fields), tick % self._points
        blank = array("f", [nan] * width)
        for key, row in list(self._rows.items()):
            if tick - row.heard >= self._points:
                del self._rows[key]
            elif key not in values:
                row.values[slot * width : (slot + 1) * width] = blank
        for key, value in values.items():
            found = self._rows.get(key)
            if found is None:
                if len(self._rows) >= self._rows_max:
                    self.refused += 1
                    continue
                found = self._rows[key] = _Row(array("f", [nan] * (width * self._points)), tick)
            found.values[slot * width : (slot + 1) * width] = array("f", value)
            found.heard = tick

    def read(self, key: Key, ticks: range) -> dict[str, list[float | None]]:
        """Return each field's values at these ticks, oldest first; None where nothing was heard."""
        row, width = self._rows.get(key), len(self.fields)
        if row is None:
            return {name: [None] * len(ticks) for name in self.fields}
        slots = [tick % self._points * width for tick in ticks]
        return {
            name: [None if isnan(value := row.values[slot + offset]) else value for slot in slots]
            for offset, name in enumerate(self.fields)
        }


class Ring:
    """The history that the JSON API serves. Caller: the collector offers, the API reads."""

    def __init__(self, *, window_s: float, interval_s: float, pods_max: int, models_max: int) -> None:
        self.interval_s = interval_s
        self.window_s = window_s
        self.points = max(1, round(window_s / interval_s))
        self.pods: Rows[PodKey] = Rows(POD_FIELDS, self.points, pods_max)
        self.models: Rows[ModelKey] = Rows(MODEL_FIELDS, self.points, models_max)
        self._windows = TrafficWindows(self.points, models_max)
        self._meter = TrafficMeter()
        self._times: list[float] = [nan] * self.points
        self._ticks = 0

    def offer(self, at: float, collection: Collection) -> bool:
        """Take a collection as the next point (`at`: Unix seconds), unless one was taken less than an interval ago."""
        if self._ticks and at - self._times[(self._ticks - 1) % self.points] < self.interval_s * 0.9:
            return False
        observations = collection.observations()
        self._times[self._ticks % self.points] = at
        self.pods.write(self._ticks, pod_points(collection))
        traffic = self._meter.update(o for o in observations if isinstance(o, FrontReading))
        self.models.write(self._ticks, {key: astuple(point) for key, point in points(traffic).items()})
        self._windows.write(self._ticks, traffic)
        self._ticks += 1
        return True

    def ticks(self) -> range:
        """Return the ticks held, oldest first."""
        return range(max(0, self._ticks - self.points), self._ticks)

    def window(self, key: ModelKey, seconds: float) -> Window | None:
        """Return the sums of the intervals that ended within the last `seconds`; None: nothing was heard in them."""
        held = self.ticks()
        since = self._times[held[-1] % self.points] - seconds if held else nan
        return self._windows.read(key, (tick for tick in held if self._times[tick % self.points] > since))

    def times(self) -> list[float]:
        """Return the Unix times of the ticks held."""
        return [self._times[tick % self.points] for tick in self.ticks()]


def pod_points(collection: Collection) -> Mapping[PodKey, Sequence[float]]:
    """Return CPU, memory and GPU use of every pod: the sums of its containers."""
    points: dict[PodKey, list[float]] = {}
    for pod, name, value in _readings(collection):
        if value is not None:
            point = points.setdefault(pod, [nan] * len(POD_FIELDS))
            index = POD_FIELDS.index(name)
            point[index] = value if isnan(point[index]) else point[index] + value
    return points


def _readings(collection: Collection) -> Iterator[tuple[PodKey, str, float | None]]:
    usages: dict[str, ContainerUsage] = {}
    gpus: dict[tuple[str, str], GpuUsage] = {}
    for observed in collection.observations():
        if isinstance(observed, ContainerUsage):
            usages[observed.subject.text] = observed
        elif isinstance(observed, GpuUsage):
            key = (observed.subject.text, observed.gpu)
            if key not in gpus or _preference(observed) < _preference(gpus[key]):
                gpus[key] = observed
    for text, usage in usages.items():
        yield _pod(usage), "cpu_cores", collection.cores.get(text)
        yield _pod(usage), "memory_bytes", usage.memory_bytes
    for gpu in gpus.values():
        yield _pod(gpu), "gpu_cards", gpu.utilisation
        yield _pod(gpu), "gpu_memory_bytes", gpu.memory_bytes


def _pod(usage: ContainerUsage | GpuUsage) -> PodKey:
    return usage.subject.identity.namespace, usage.subject.identity.pod


def _preference(usage: GpuUsage) -> int:
    return _GPU_SOURCES.index(usage.source) if usage.source in _GPU_SOURCES else len(_GPU_SOURCES)
