"""The source `nvml`: a page's worth of samples, and every way in which a driver can fail to answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.gpu.card import Card, CardReading
from exporter.gpu.nvml import NvmlError, Reading
from exporter.gpu.process import ProcessOwners
from exporter.gpu.source import Driver, NvmlSource, View
from exporter.page.family import Scope
from exporter.page.samples import SourceResult
from exporter.page.sink import Subject
from milepost.identity import Identity
from tests.exporter.gpu.hostproc import add_process
from tests.exporter.sources.known import KnownContainers

ID, UID = "a" * 64, "0e0f6a7b-1d2c-4b3a-9f8e-7d6c5b4a3f2e"
KNOWN = KnownContainers([("models", "fraud-0", "classifier", ID, UID)])
CARD = Card("GPU-1", 0, "NVIDIA H200", "00000000:00:06.0", "580.1", memory_bytes=1000.0, utilisation=0.5)
READING = Reading((CardReading(CARD, {7: 600, 8: 50}, {7: 0.5}, 0, 10_000_000),), ("card 1: GPU is lost",))


class ScriptedDriver:
    """Answers as told, and remembers whether it was closed."""

    def __init__(self, answer: Callable[[], Reading]) -> None:
        self._answer = answer
        self.closed = False

    def read(self) -> Reading:
        return self._answer()

    def close(self) -> None:
        self.closed = True


def source(tmp_path: Path, open_driver: Callable[[], Driver], *, required: bool = False) -> NvmlSource:
    add_process(tmp_path, 7, cgroup=f"/kubepods/pod{UID}/{ID}")
    node = Subject.of(Identity(node="n1"), Scope.NODE)
    return NvmlSource(open_driver, ProcessOwners(tmp_path), KNOWN, node, required=required)


async def collected(nvml: NvmlSource, timeout_s: float = 5) -> SourceResult:
    return await nvml.collect(asyncio.get_running_loop().time() + timeout_s)


async def test_a_reading_becomes_usage_by_container_and_figures_by_card(tmp_path: Path) -> None:
    nvml = source(tmp_path, lambda: ScriptedDriver(lambda: READING))
    result = await collected(nvml)
    (usage,) = nvml.latest.usages
    assert list(result.observations) == [usage]
    assert (usage.subject.identity.pod, usage.gpu, usage.source) == ("fraud-0", "GPU-1", "nvml")
    assert (usage.memory_bytes, usage.utilisation, usage.seconds) == (600, 0.5, 5.0)
    assert (result.error, result.error_detail, result.targets, result.targets_up) == ("", "card 1: GPU is lost", 2, 1)
    assert "".join(line for lines in result.samples.lines.values() for line in lines) == (
        'milepost_gpu_card_info{node="n1",gpu="GPU-1",index="0",product="NVIDIA H200",pci_bus_id="00000000:00:06.0",'
        'mig="",driver="580.1"} 1\n'
        'milepost_gpu_card_utilization_ratio{node="n1",gpu="GPU-1",source="nvml"} 0.5\n'
        'milepost_gpu_card_memory_capacity_bytes{node="n1",gpu="GPU-1",source="nvml"} 1000\n'
        'milepost_gpu_unattributed_processes{node="n1",gpu="GPU-1"} 1\n'
        'milepost_gpu_unattributed_memory_bytes{node="n1",gpu="GPU-1"} 50\n'
    )


async def test_a_node_without_a_driver_has_no_cards_and_no_failure(tmp_path: Path) -> None:
    def absent() -> Driver:
        raise NvmlError("no_library", "NVML Shared Library Not Found")

    result = await collected(source(tmp_path, absent))
    assert (result.error, result.targets, result.samples.lines) == ("", 0, {})
    required = await collected(source(tmp_path, absent, required=True))
    assert (required.error, required.error_detail) == ("no_library", "NVML Shared Library Not Found")


async def test_a_driver_that_goes_away_is_a_failure_without_old_values_and_is_opened_anew(tmp_path: Path) -> None:
    answers: Iterator[Reading | NvmlError] = iter([READING, NvmlError("failed", "GPU is lost"), READING])

    def answer() -> Reading:
        found = next(answers)
        if isinstance(found, NvmlError):
            raise found
        return found

    drivers: list[ScriptedDriver] = []

    def open_driver() -> Driver:
        drivers.append(ScriptedDriver(answer))
        return drivers[-1]

    nvml = source(tmp_path, open_driver)
    assert (await collected(nvml)).error == ""
    failed = await collected(nvml)
    assert (failed.error, failed.error_detail, list(failed.observations)) == ("failed", "GPU is lost", [])
    assert (failed.samples.lines, nvml.latest) == ({}, View())
    assert (await collected(nvml)).error == ""
    assert [driver.closed for driver in drivers] == [True, False]
    nvml.close()
    assert drivers[1].closed


async def test_a_driver_that_vanishes_after_it_answered_is_a_failure(tmp_path: Path) -> None:
    outcomes: Iterator[Reading | NvmlError] = iter(
        [READING, NvmlError("failed", "lost"), NvmlError("no_driver", "unloaded")]
    )

    def answer() -> Reading:
        found = next(outcomes)
        if isinstance(found, NvmlError):
            raise found
        return found

    nvml = source(tmp_path, lambda: ScriptedDriver(answer))
    assert [(await collected(nvml)).error for _ in range(3)] == ["", "failed", "no_driver"]


async def test_a_call_that_hangs_costs_the_deadline_once_and_starts_no_second_one(tmp_path: Path) -> None:
    released, calls = threading.Event(), []

    def answer() -> Reading:
        calls.append(1)
        released.wait(10)
        return READING

    nvml = source(tmp_path, lambda: ScriptedDriver(answer))
    assert (await collected(nvml, 0.05)).error == "deadline"
    assert (await collected(nvml, 0.05)).error == "hangs"
    assert calls == [1]
    released.set()
    for _ in range(100):
        result = await collected(nvml)
        if result.error != "hangs":
            break
        await asyncio.sleep(0.01)
    assert result.error == ""
