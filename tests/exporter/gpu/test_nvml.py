"""What the driver's calls answer, and what becomes of it: a driver made of the answers seen on real cards."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from exporter.gpu.nvml import IDLE_MARGIN_US, Nvml, NvmlError

NOW_S = 1_795_479_225.0
NOW_US = int(NOW_S * 1e6)


def fails(code: int) -> Callable[..., Any]:
    def call(*_: Any) -> Any:
        raise pynvml.NVMLError(code)

    return call


def gives(value: Any) -> Callable[..., Any]:
    return lambda *_: value


def process(pid: int, memory: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=memory)


def sample(pid: int, share: int, at_us: int) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, smUtil=share, timeStamp=at_us)


def given(monkeypatch: pytest.MonkeyPatch, **answers: Callable[..., Any]) -> None:
    """Install a driver with one H200, as it answered, changed by `answers` (names without `nvml`)."""
    h200: dict[str, Callable[..., Any]] = {
        "Init": gives(None),
        "Shutdown": gives(None),
        "SystemGetDriverVersion": gives("580.159.04"),
        "DeviceGetCount": gives(1),
        "DeviceGetHandleByIndex": lambda index: f"card {index}",
        "DeviceGetUUID": lambda handle: f"GPU-{handle}",
        "DeviceGetName": gives("NVIDIA H200"),
        "DeviceGetMinorNumber": gives(0),
        "DeviceGetPciInfo": gives(SimpleNamespace(busId="00000000:0A:06.0")),
        "DeviceGetMemoryInfo": gives(SimpleNamespace(total=150_754_820_096, used=644_939_776)),
        "DeviceGetUtilizationRates": gives(SimpleNamespace(gpu=60)),
        "DeviceGetTemperature": gives(38),
        "DeviceGetPowerUsage": gives(121_783),
        "DeviceGetTotalEnergyConsumption": gives(2_202_805),
        "DeviceGetMigMode": gives([0, 0]),
        "DeviceGetMaxMigDeviceCount": gives(0),
        "DeviceGetComputeRunningProcesses": gives([process(404, 1_616_904_192), process(411, 3_764_387_840)]),
        "DeviceGetGraphicsRunningProcesses": gives([]),
        "DeviceGetProcessUtilization": fails(pynvml.NVML_ERROR_NOT_FOUND),
    }
    for name, call in (h200 | answers).items():
        monkeypatch.setattr(pynvml, f"nvml{name}", call)


def opened() -> Nvml:
    return Nvml(clock=lambda: NOW_S)


def test_a_card_and_its_processes_are_read_in_base_units(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, DeviceGetProcessUtilization=gives([sample(411, 40, NOW_US - 200_000), sample(404, 20, NOW_US)]))
    (reading,) = opened().read().cards
    card = reading.card
    assert (card.uuid, card.index, card.product, card.driver) == ("GPU-card 0", 0, "NVIDIA H200", "580.159.04")
    assert (card.pci_bus_id, card.utilisation, card.temperature_celsius) == ("00000000:0a:06.0", 0.6, 38.0)
    assert (card.memory_bytes, card.memory_used_bytes) == (150_754_820_096.0, 644_939_776.0)
    assert (card.power_watts, card.energy_joules) == (121.783, 2202.805)
    assert reading.memory == {404: 1_616_904_192, 411: 3_764_387_840}
    assert (reading.busy, reading.until_us) == ({411: 0.4, 404: 0.2}, NOW_US)


def test_not_found_is_a_card_that_nobody_used(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch)
    (reading,) = opened().read().cards
    assert (reading.busy, reading.until_us) == ({}, NOW_US - IDLE_MARGIN_US)


def test_each_reading_asks_from_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    answers = iter([[sample(1, 50, NOW_US - 70_000)], [], [sample(1, 30, NOW_US + 5_000_000)]])

    def shares(_: Any, since_us: int) -> list[SimpleNamespace]:
        asked.append(since_us)
        found = next(answers)
        if not found:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return found

    given(monkeypatch, DeviceGetProcessUtilization=shares)
    nvml = opened()
    stretches = [(each.since_us, each.until_us) for _ in range(3) for each in nvml.read().cards]
    assert asked == [since for since, _ in stretches]
    assert stretches == [
        (NOW_US - 1_000_000, NOW_US - 70_000),
        (NOW_US - 70_000, NOW_US - 70_000),  # nothing new yet: the time is not given away
        (NOW_US - 70_000, NOW_US + 5_000_000),
    ]


def test_garbage_percentages_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    garbage = [sample(1, 4_294_967_295, NOW_US), sample(2, 101, NOW_US), sample(3, 100, NOW_US)]
    given(monkeypatch, DeviceGetProcessUtilization=gives(garbage))
    assert opened().read().cards[0].busy == {3: 1.0}


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND])
def test_a_card_without_shares_still_has_memory(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    given(monkeypatch, DeviceGetProcessUtilization=fails(code))
    (reading,) = opened().read().cards
    assert (reading.busy, reading.memory) == (None, {404: 1_616_904_192, 411: 3_764_387_840})


def test_a_figure_that_a_card_does_not_have_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = fails(pynvml.NVML_ERROR_NOT_SUPPORTED)
    given(monkeypatch, DeviceGetTotalEnergyConsumption=missing, DeviceGetMigMode=missing, DeviceGetPciInfo=missing,
          DeviceGetMinorNumber=missing, DeviceGetUtilizationRates=missing,
          DeviceGetComputeRunningProcesses=gives([process(7, None)]))  # fmt: skip
    (reading,) = opened().read().cards
    assert (reading.card.energy_joules, reading.card.utilisation, reading.card.pci_bus_id) == (None, None, "")
    assert reading.memory == {7: None}


def test_a_buffer_that_grew_meanwhile_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([pynvml.NVML_ERROR_INSUFFICIENT_SIZE, pynvml.NVML_ERROR_INSUFFICIENT_SIZE, None])

    def shares(*_: Any) -> list[SimpleNamespace]:
        code = next(answers)
        if code is not None:
            raise pynvml.NVMLError(code)
        return [sample(1, 50, NOW_US)]

    given(monkeypatch, DeviceGetProcessUtilization=shares)
    assert opened().read().cards[0].busy == {1: 0.5}


def test_mig_devices_have_memory_by_process_and_no_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    def device(_: Any, index: int) -> str:
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return f"mig {index}"

    def name(handle: str) -> str:
        return "NVIDIA H200 MIG 1g.18gb" if handle.startswith("mig") else "NVIDIA H200"

    def processes(handle: str) -> list[SimpleNamespace]:
        return [process(404, 5 * (1 << 30))] if handle == "mig 2" else []

    given(monkeypatch, DeviceGetMigMode=gives([1, 1]), DeviceGetMaxMigDeviceCount=gives(3), DeviceGetName=name,
          DeviceGetMigDeviceHandleByIndex=device, DeviceGetComputeRunningProcesses=processes)  # fmt: skip
    readings = opened().read().cards
    assert [(each.card.uuid, each.card.parent, each.card.mig) for each in readings] == [
        ("GPU-card 0", "", ""),
        ("GPU-mig 0", "GPU-card 0", "1g.18gb"),
        ("GPU-mig 2", "GPU-card 0", "1g.18gb"),
    ]
    assert [(each.memory, each.busy) for each in readings] == [({}, None), ({}, None), ({404: 5 * (1 << 30)}, None)]


def test_a_lost_card_does_not_take_the_others_along(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(index: int) -> str:
        if index == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return f"card {index}"

    given(monkeypatch, DeviceGetCount=gives(2), DeviceGetHandleByIndex=handle)
    reading = opened().read()
    assert [each.card.uuid for each in reading.cards] == ["GPU-card 1"]
    assert reading.lost == ("card 0: GPU is lost",)
    given(monkeypatch, DeviceGetHandleByIndex=fails(pynvml.NVML_ERROR_GPU_IS_LOST))
    with pytest.raises(NvmlError, match="card 0: GPU is lost"):
        opened().read()


@pytest.mark.parametrize(
    ("code", "reason"),
    [(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no_library"), (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "no_driver"),
     (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "driver_mismatch"), (pynvml.NVML_ERROR_UNKNOWN, "failed")],
)  # fmt: skip
def test_a_driver_that_does_not_start_says_why_in_one_word(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    given(monkeypatch, Init=fails(code))
    with pytest.raises(NvmlError) as caught:
        opened()
    assert caught.value.reason == reason
