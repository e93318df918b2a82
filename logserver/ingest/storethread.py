"""The store's one thread: what writes runs there one after the other, and what fails there shows in the status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from logserver.errors import Transient
from logserver.metrics import Metrics
from logserver.status import Status

log = logging.getLogger(__name__)

BACKOFF_FIRST_S = 0.2

Result = TypeVar("Result")


def backoff(longest_s: float) -> Iterator[float]:
    """Yield how long to wait before each further try, in seconds, for ever."""
    pause_s = BACKOFF_FIRST_S
    while True:
        yield min(pause_s, longest_s)
        pause_s = min(pause_s * 2, longest_s)


class StoreThread:
    """Runs blocking work on the store; used from the event loop."""

    def __init__(self, status: Status, metrics: Metrics, *, backoff_max_s: float) -> None:
        self._status = status
        self._metrics = metrics
        self._backoff_max_s = backoff_max_s
        self._thread = ThreadPoolExecutor(1, "store")

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run work and return its result; a cancelled caller waits for its end, since a thread cannot be stopped."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    async def run_until_it_works(self, work: Callable[[], Result], what: str) -> Result:
        """Run work again and again while it raises Transient; `what` names it in the log."""
        pauses = backoff(self._backoff_max_s)
        while True:
            try:
                found = await self.run(work)
            except Transient as error:
                self.failed(error)
                log.warning("%s: %s", what, error)
                await asyncio.sleep(next(pauses))
            else:
                self.answered()
                return found

    def failed(self, error: Transient) -> None:
        """Note that the store failed and that the same work is tried again."""
        if self._status.store_ok:
            log.error("the store fails, partitions stay paused until it answers: %s", error)
        self._status.store_ok = False
        self._status.problem = f"the store fails: {error}"
        self._metrics.counter("store_retries_total").inc()

    def answered(self) -> None:
        """Note that the store works."""
        if not self._status.store_ok:
            log.warning("the store answers again")
        self._status.store_ok, self._status.problem = True, ""

    def close(self) -> None:
        """Wait for the work that runs and end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
