"""The NVIDIA driver's view of cards and processes. The only file that imports pynvml (nvidia-ml-py).

Calls block and are meant for a thread. What was measured or is documented, and decides how they are used:
- `nvmlDeviceGetProcessUtilization` answers with each process's average since the moment given, and with NOT_FOUND when
  no process was busy: that is a share of 0 for all, not an error (NVIDIA/go-nvml, nvml-wrapper#56). Asked for "since
  0" it averages over its whole buffer, minutes, so every card has a moment of its own that moves on with each reading.
- Percentages above 100 are garbage that some drivers give (nvtop#110), and are left out.
- The buffer may grow between asking for its size and reading it: INSUFFICIENT_SIZE is tried again (go-nvml#11).
- Under MIG the driver tells no shares of time; memory it tells for each MIG device. Shares are None then, never 0.
- Memory of a process may be unknown (None): not 0 either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pynvml

from exporter.gpu.card import Card, CardReading

FIRST_STRETCH_US = 1_000_000
"""How far back the first reading of a card looks."""
IDLE_MARGIN_US = 1_000_000
"""Samples arrive up to this late: after a reading without any, the next one looks back this far before it."""
ATTEMPTS_MAX = 3
CARDS_MAX = 64

_UNKNOWN = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NO_PERMISSION, pynvml.NVML_ERROR_NOT_FOUND,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, pynvml.NVML_ERROR_NO_DATA, pynvml.NVML_ERROR_INVALID_ARGUMENT,
    }
)  # fmt: skip


class NvmlError(Exception):
    """The driver cannot be asked; `reason` is one word for it (`no_library`, `no_driver`, `failed`)."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reading:
    """All cards of the node at one moment; `lost` says what is wrong with those that could not be read."""

    cards: tuple[CardReading, ...]
    lost: tuple[str, ...] = ()


class Nvml:
    """An open connection to the driver."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Open it; raises NvmlError. `clock` is Unix seconds, as in the driver's samples."""
        self._clock = clock
        self._seen_us: dict[str, int] = {}
        try:
            pynvml.nvmlInit()
            self._driver = _text(pynvml.nvmlSystemGetDriverVersion())
        except pynvml.NVMLError as error:
            raise NvmlError(_REASONS.get(error.value, "failed"), f"NVML cannot start: {error}") from error

    def close(self) -> None:
        """Close it; nothing can be read afterwards."""
        pynvml.nvmlShutdown()

    def read(self) -> Reading:
        """Read every card and its MIG devices. A card that fails is left out and named; raises NvmlError if all do."""
        try:
            count = min(pynvml.nvmlDeviceGetCount(), CARDS_MAX)
        except pynvml.NVMLError as error:
            raise NvmlError("failed", f"NVML cannot count the cards: {error}") from error
        readings: list[CardReading] = []
        lost: list[str] = []
        for number in range(count):
            try:
                readings.extend(self._card(number))
            except pynvml.NVMLError as error:
                lost.append(f"card {number}: {error}")
        if lost and not readings:
            raise NvmlError("failed", "; ".join(lost))
        return Reading(tuple(readings), tuple(lost))

    def _card(self, number: int) -> Iterator[CardReading]:
        handle = pynvml.nvmlDeviceGetHandleByIndex(number)
        card = _describe(handle, number, self._driver)
        mig = _optional(pynvml.nvmlDeviceGetMigMode, handle)
        if mig is not None and mig[0] == pynvml.NVML_DEVICE_MIG_ENABLE:
            yield CardReading(card)
            yield from _mig_devices(handle, card)
            return
        memory = _processes(handle)
        since_us = self._seen_us.get(card.uuid, self._now_us() - FIRST_STRETCH_US)
        samples = _samples(handle, since_us)
        if samples is None:
            yield CardReading(card, memory)
            return
        shares: dict[int, float] = {}
        for sample in samples:
            if sample.smUtil <= 100:
                shares[sample.pid] = max(shares.get(sample.pid, 0.0), sample.smUtil / 100)
        quiet_us = self._now_us() - IDLE_MARGIN_US
        until_us = max([quiet_us, since_us] if not samples else [since_us, *(sample.timeStamp for sample in samples)])
        self._seen_us[card.uuid] = until_us
        yield CardReading(card, memory, shares, since_us, until_us)

    def _now_us(self) -> int:
        return int(self._clock() * 1e6)


_REASONS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no_library",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "no_driver",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "driver_mismatch",
    pynvml.NVML_ERROR_NO_PERMISSION: "no_permission",
}


def _describe(handle: Any, number: int, driver: str) -> Card:
    memory = _optional(pynvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _optional(pynvml.nvmlDeviceGetUtilizationRates, handle)
    pci = _optional(pynvml.nvmlDeviceGetPciInfo, handle)
    power = _optional(pynvml.nvmlDeviceGetPowerUsage, handle)
    energy = _optional(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle)
    temperature = _optional(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
    minor = _optional(pynvml.nvmlDeviceGetMinorNumber, handle)
    return Card(
        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
        index=number if minor is None else minor,
        product=_text(pynvml.nvmlDeviceGetName(handle)),
        pci_bus_id=_text(pci.busId).lower() if pci is not None else "",
        driver=driver,
        memory_bytes=None if memory is None else float(memory.total),
        memory_used_bytes=None if memory is None else float(memory.used),
        utilisation=None if rates is None else rates.gpu / 100,
        temperature_celsius=None if temperature is None else float(temperature),
        power_watts=None if power is None else power / 1000,
        energy_joules=None if energy is None else energy / 1000,
    )


def _mig_devices(handle: Any, card: Card) -> Iterator[CardReading]:
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        device = _optional(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        if device is None:  # a slot of the card without a MIG device
            continue
        memory = _optional(pynvml.nvmlDeviceGetMemoryInfo, device)
        name = _text(pynvml.nvmlDeviceGetName(device))
        mig_device = replace(
            card,
            uuid=_text(pynvml.nvmlDeviceGetUUID(device)),
            parent=card.uuid,
            mig=name.rpartition(" MIG ")[2],
            memory_bytes=None if memory is None else float(memory.total),
            memory_used_bytes=None if memory is None else float(memory.used),
            utilisation=None,
            temperature_celsius=None,
            power_watts=None,
            energy_joules=None,
        )
        yield CardReading(mig_device, _processes(device))


def _processes(handle: Any) -> dict[int, int | None]:
    """Return the memory of every process; one that computes and draws is listed twice with the same memory."""
    memory: dict[int, int | None] = {}
    for call in (pynvml.nvmlDeviceGetComputeRunningProcesses, pynvml.nvmlDeviceGetGraphicsRunningProcesses):
        for process in _retried(_optional, call, handle) or ():
            memory[process.pid] = process.usedGpuMemory
    return memory


def _samples(handle: Any, since_us: int) -> list[Any] | None:
    """Return the driver's samples since then, [] for no busy process, None where it cannot tell."""
    try:
        found = _retried(pynvml.nvmlDeviceGetProcessUtilization, handle, since_us)
    except pynvml.NVMLError as error:
        if error.value in (pynvml.NVML_ERROR_NOT_FOUND, pynvml.NVML_SUCCESS):  # SUCCESS: a buffer of size 0
            return []
        if error.value in _UNKNOWN:
            return None
        raise
    return list(found)


def _retried(call: Callable[..., Any], *arguments: Any) -> Any:
    for _ in range(ATTEMPTS_MAX - 1):
        try:
            return call(*arguments)
        except pynvml.NVMLError as error:
            if error.value != pynvml.NVML_ERROR_INSUFFICIENT_SIZE:
                raise
    return call(*arguments)


def _optional(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return the call's answer, or None where this card or driver has none."""
    try:
        return call(*arguments)
    except pynvml.NVMLError as error:
        if error.value in _UNKNOWN:
            return None
        raise


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
