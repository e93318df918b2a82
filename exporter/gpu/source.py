"""The source `nvml`: reads the cards of this node in a thread, and says which container uses what of them.

The driver's calls block, and one that hangs (a card that fell off the bus) hangs for good: its thread is not waited for
beyond the deadline, as long as it hangs no other is started, and it is a daemon, so that it does not keep the process
from ending. After an error the connection is opened anew, since the driver may have been restarted.

A node without GPUs has no driver, and one with GPUs may get its driver after the exporter (the GPU operator installs it
by a container). So a driver that has never answered is no failure: the source has no cards then.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from exporter.gpu.account import CardSeconds
from exporter.gpu.attribute import SOURCE, Unattributed, attribute
from exporter.gpu.card import Card
from exporter.gpu.nvml import NvmlError, Reading
from exporter.gpu.process import ProcessOwners
from exporter.page import families as fam
from exporter.page.observations import GpuUsage
from exporter.page.samples import Containers, Samples, SourceResult
from exporter.page.sink import Subject

ABSENT = ("no_library", "no_driver")
"""The reasons of NvmlError on a node without a driver."""


class Driver(Protocol):
    """An open connection to the GPU driver (`exporter.gpu.nvml.Nvml`)."""

    def read(self) -> Reading:
        """Read all cards. Raises NvmlError."""

    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, slots=True)
class View:
    """What the last successful reading showed."""

    cards: tuple[Card, ...] = ()
    usages: tuple[GpuUsage, ...] = ()


class NvmlSource:
    """Reads NVML; `latest` is for those who compare with it."""

    name = SOURCE

    def __init__(
        self,
        open_driver: Callable[[], Driver],
        owners: ProcessOwners,
        containers: Containers,
        node: Subject,
        *,
        required: bool = False,
    ) -> None:
        """`open_driver` raises NvmlError; `node` is the subject of the cards' own figures.

        With `required`, a node without a driver is a failure from the start.
        """
        self.latest = View()
        self._expected = required
        self._open_driver = open_driver
        self._owners = owners
        self._containers = containers
        self._node = node
        self._account = CardSeconds()
        self._driver: Driver | None = None
        self._running: Future[Reading] | None = None

    async def collect(self, deadline: float) -> SourceResult:
        """Read the cards and attribute what is on them."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            reading = await self._read(deadline - started)
        except NvmlError as error:
            self.latest = View()
            if error.reason in ABSENT and not self._expected:
                return SourceResult(SOURCE, loop.time() - started, targets=0, targets_up=0)
            return SourceResult(SOURCE, loop.time() - started, error=error.reason, error_detail=str(error))
        self._expected = True
        samples, usages = self._samples(reading)
        self.latest = View(tuple(each.card for each in reading.cards), tuple(usages))
        return SourceResult(
            SOURCE,
            loop.time() - started,
            samples,
            usages,
            error_detail="; ".join(reading.lost),
            targets=len(reading.cards) + len(reading.lost),
            targets_up=len(reading.cards),
        )

    def close(self) -> None:
        """Close the connection, unless a call hangs in it."""
        if self._driver is not None and (self._running is None or self._running.done()):
            self._driver.close()
            self._driver = None

    async def _read(self, timeout_s: float) -> Reading:
        if self._running is not None and not self._running.done():
            raise NvmlError("hangs", "an earlier call to the driver has not come back; the card may be lost")
        self._running = Future()
        threading.Thread(target=self._read_in_thread, args=(self._running,), name="nvml", daemon=True).start()
        answer = asyncio.wrap_future(self._running)
        answer.add_done_callback(_look_at)
        try:
            async with asyncio.timeout(max(0.0, timeout_s)):
                return await asyncio.shield(answer)
        except TimeoutError as error:
            raise NvmlError("deadline", f"the driver did not answer within {timeout_s:.3g} s") from error

    def _read_in_thread(self, answer: Future[Reading]) -> None:
        try:
            if self._driver is None:
                self._driver = self._open_driver()
            answer.set_result(self._driver.read())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for the answer
            if self._driver is not None:
                self._driver.close()
                self._driver = None
            answer.set_exception(error)

    def _samples(self, reading: Reading) -> tuple[Samples, list[GpuUsage]]:
        pids = {pid for each in reading.cards for pid in (*each.memory, *(each.busy or ()))}
        owners = self._owners.resolve(pids)
        samples, usages = Samples(), []
        for each in reading.cards:
            found, left = attribute(each, owners, self._containers, self._account)
            usages += found
            add_card(samples, self._node, each.card)
            add_unattributed(samples, self._node, left)
        return samples, usages


def _look_at(answer: asyncio.Future[Reading]) -> None:
    """Take note of an answer that came after its deadline, so that asyncio does not complain that nobody did."""
    if not answer.cancelled():
        answer.exception()


def add_card(samples: Samples, node: Subject, card: Card) -> None:
    """Add a card's identity and figures; one that the driver does not give is absent."""
    samples.add(
        fam.GPU_CARD_INFO, node, 1, card.uuid, str(card.index), card.product, card.pci_bus_id, card.mig, card.driver
    )
    for family, value in (
        (fam.GPU_CARD_UTILISATION, card.utilisation),
        (fam.GPU_CARD_MEMORY_USED, card.memory_used_bytes),
        (fam.GPU_CARD_MEMORY, card.memory_bytes),
        (fam.GPU_CARD_TEMPERATURE, card.temperature_celsius),
        (fam.GPU_CARD_POWER, card.power_watts),
        (fam.GPU_CARD_ENERGY, card.energy_joules),
    ):
        if value is not None:
            samples.add(family, node, value, card.uuid, SOURCE)


def add_unattributed(samples: Samples, node: Subject, left: Unattributed) -> None:
    """Add what no known container owns; 0 says that nothing went missing."""
    samples.add(fam.GPU_UNATTRIBUTED_PROCESSES, node, left.processes, left.gpu)
    samples.add(fam.GPU_UNATTRIBUTED_MEMORY, node, left.memory_bytes, left.gpu)
