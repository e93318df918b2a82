"""THE loop: fetch, collect, decode, store.

    read ──batch──▶ [decode in a thread] ──in order──▶ [store in a thread] ──▶ followers, metrics, Kafka commit

One task fetches and collects; a full or old batch is decoded in a thread while the one before it is stored in another.
While a batch is in flight, an old one waits for more documents rather than in a queue: each costs as much as thousands
of lines.
At most `batches_in_flight_max` batches exist beyond the one being collected: when the store is slow or down the
partitions are paused, the group membership kept by polling, and the same batch is tried again with backoff.

A rebalance waits for the batches in flight (`drain_timeout`); what cannot be stored by then is given up, unstored, and
its next owner reads it again. After giving up, the attempt still running in the thread is waited for before positions
are read, so that it cannot store lines behind the new owner's back.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from logserver.decode import Decoded, Decoder
from logserver.errors import Fenced, Transient
from logserver.ingest.batch import Batch, BatchBuilder, Documents, Extent
from logserver.ingest.kafka import KafkaSource, open_source
from logserver.ingest.lag import LagReport
from logserver.ingest.rejects import RejectBrake
from logserver.ingest.sink import Delivery, Sink
from logserver.ingest.storethread import StoreThread, backoff
from logserver.ingest.tally import Tally
from logserver.metrics import Metrics
from logserver.record import StoredBatch, TopicPartition
from logserver.settings import IngestSettings, KafkaSettings
from logserver.status import Status

log = logging.getLogger(__name__)

PAUSED_POLL_S = 0.1
BUSY_POLL_S = 0.02
IDLE_POLL_S = 0.5
# Parsed and handed over together: enough to be worth a thread's while, and a block that fits the processor's caches.
FETCH_ROWS = 4000
# A full pipeline is the rule while catching up; pausing partitions gives up what was fetched for them already.
PAUSE_AFTER_S = 1.0


@dataclass(slots=True)
class Pending:
    """A batch in flight: its decoding may still run."""

    number: int
    generation: int
    extent: Extent
    decoded: asyncio.Future[Decoded]


class Ingest:
    """Runs until it is cancelled or fails; one per process."""

    def __init__(
        self,
        *,
        kafka: KafkaSettings,
        settings: IngestSettings,
        decoder: Decoder,
        sink: Sink,
        metrics: Metrics,
        status: Status,
        on_stored: Callable[[StoredBatch], None],
    ) -> None:
        self._kafka = kafka
        self._settings = settings
        self._decoder = decoder
        self._sink = sink
        self._metrics = metrics
        self._tally = Tally(metrics, settings)
        self._status = status
        self._on_stored = on_stored
        self._brake = RejectBrake(ratio_max=settings.reject_ratio, window=settings.reject_window)
        self._decoding = ThreadPoolExecutor(1, "decode")
        self._store_thread = StoreThread(status, metrics, backoff_max_s=settings.retry_backoff_max)
        self._builder = BatchBuilder(settings.batch_rows_max, settings.batch_bytes_max, settings.batch_age_max)
        self._queue: asyncio.Queue[Pending] = asyncio.Queue()
        self._generation = 0
        self._number = 0
        self._in_flight = 0
        self._changed = asyncio.Condition()
        self._attempt = asyncio.Lock()

    async def run(self) -> None:
        """Consume and store until cancelled. Raises Fatal errors of its parts; retries Transient ones."""
        try:
            async with contextlib.AsyncExitStack() as stack:
                source = await self._joined(stack)
                tasks = await stack.enter_async_context(asyncio.TaskGroup())
                tasks.create_task(self._read(source), name="read")
                tasks.create_task(self._store_all(source), name="store")
                report = LagReport(source, self._status, self._metrics)
                tasks.create_task(report.run(self._kafka.commit_interval), name="report")
        finally:
            self._decoding.shutdown(wait=True, cancel_futures=True)
            self._store_thread.close()

    async def _joined(self, stack: contextlib.AsyncExitStack) -> KafkaSource:
        """Join the group, however long no broker answers: what is stored can be read meanwhile."""
        pauses = backoff(self._settings.retry_backoff_max)
        while True:
            try:
                source = await stack.enter_async_context(open_source(self._kafka, self._metrics, self))
            except Transient as error:
                log.warning("%s", error)
                self._status.kafka_problem = str(error)
                await asyncio.sleep(next(pauses))
            else:
                self._status.kafka_problem = ""
                return source

    # --- Ownership: called by the source during a rebalance

    async def assigned(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Claim the partitions and return their stored positions, however long the store needs to answer."""
        async with self._attempt:
            claim = await self._store_thread.run_until_it_works(lambda: self._claim(partitions), "claiming partitions")
        positions, before = claim
        self._brake.restart(*before)
        self._status.joined = True
        self._status.assigned = tuple(partitions)
        self._status.positions = dict(positions)
        return positions

    def _claim(self, partitions: list[TopicPartition]) -> tuple[dict[TopicPartition, int], tuple[int, int]]:
        positions = self._sink.register(partitions)
        return positions, self._sink.read_before(positions, window=self._settings.reject_window)

    async def revoked(self, partitions: list[TopicPartition]) -> None:
        """Store what is in flight, or give it up after `drain_timeout`; what was only collected is read again."""
        self._builder.discard()
        self._status.assigned = ()
        try:
            async with asyncio.timeout(self._settings.drain_timeout), self._changed:
                await self._changed.wait_for(lambda: self._in_flight == 0)
        except TimeoutError:
            log.warning("gave up %d batches in flight of %s", self._in_flight, ", ".join(map(str, partitions)))
        self._generation += 1

    # --- reading

    async def _read(self, source: KafkaSource) -> None:
        while True:
            if self._in_flight >= self._settings.batches_in_flight_max:
                await self._wait_for_room(source)
            wait_s = BUSY_POLL_S if self._busy else min(self._builder.age_left_s(time.monotonic()), IDLE_POLL_S)
            for partition, documents in await self._fetch(source, wait_s):
                self._builder.add(partition, documents, now_s=time.monotonic())
            old = self._builder.age_left_s(time.monotonic()) == 0 and not self._busy
            if self._builder.rows and (self._builder.full or old):
                self._hand_over(self._builder.take())
            elif not self._builder.rows and not self._in_flight:
                self._status.progressed()

    @property
    def _busy(self) -> bool:
        """Whether a further batch would only wait: then an old one goes on growing, which makes its lines cheaper."""
        return self._in_flight > 0 and self._status.store_ok

    async def _fetch(self, source: KafkaSource, wait_s: float) -> list[tuple[TopicPartition, Documents]]:
        try:
            rows_max = min(FETCH_ROWS, max(1, self._settings.batch_rows_max - self._builder.rows))
            return await source.fetch(self._builder.space(), rows_max=rows_max, wait_s=wait_s)
        except Transient as error:
            log.warning("%s", error)
            await asyncio.sleep(IDLE_POLL_S)
            return []

    async def _wait_for_room(self, source: KafkaSource) -> None:
        """Wait until a batch has left; when that takes long, pause and poll, so that nothing more is fetched."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_AFTER_S), self._changed:
                await self._changed.wait_for(lambda: self._in_flight < self._settings.batches_in_flight_max)
                return
        source.pause()
        self._show_paused(True)
        try:
            while self._in_flight >= self._settings.batches_in_flight_max:
                for partition, documents in await self._fetch(source, 0):
                    self._builder.add(partition, documents, now_s=time.monotonic())
                await self._sleep_until_change(PAUSED_POLL_S)
        finally:
            source.resume()
            self._show_paused(False)

    def _hand_over(self, batch: Batch) -> None:
        self._number += 1
        self._in_flight += 1
        decoded = asyncio.get_running_loop().run_in_executor(self._decoding, self._decode, batch)
        self._queue.put_nowait(Pending(self._number, self._generation, batch.extent, decoded))

    def _decode(self, batch: Batch) -> Decoded:
        began = time.monotonic()
        decoded = self._decoder.decode(batch.table(), now=datetime.datetime.now(datetime.UTC))
        self._builder.reuse(batch.space)
        self._metrics.histogram("batch_seconds", "decode").observe(time.monotonic() - began)
        return decoded

    # --- storing

    async def _store_all(self, source: KafkaSource) -> None:
        while True:
            pending = await self._queue.get()
            try:
                decoded = await pending.decoded
                self._brake.check(pending.extent.rows, decoded.rejects.num_rows)
                await self._store(source, pending, Delivery(pending.number, decoded, pending.extent.spans))
            finally:
                async with self._changed:
                    self._in_flight -= 1
                    self._changed.notify_all()

    async def _store(self, source: KafkaSource, pending: Pending, delivery: Delivery) -> None:
        pauses = backoff(self._settings.retry_backoff_max)
        while True:
            async with self._attempt:
                if pending.generation != self._generation:
                    return  # its partitions were given back; the next owner reads it again
                outcome = await self._try(pending, delivery)
            if isinstance(outcome, StoredBatch):
                self._stored(outcome)
                return
            if outcome is None:
                self._give_up(source)
                return
            self._store_thread.failed(outcome)
            await self._sleep_until_change(next(pauses))

    async def _try(self, pending: Pending, delivery: Delivery) -> StoredBatch | Transient | None:
        """Return what was stored, the error after which to try again, or None when the batch is not ours."""
        began = time.monotonic()
        try:
            stored = await self._store_thread.run(lambda: self._store_and_count(pending.extent, delivery))
        except Transient as error:
            return error
        except Fenced as error:
            log.warning("batch %d is dropped: %s", delivery.number, error)
            self._metrics.counter("fenced_total").inc()
            return None
        self._metrics.histogram("batch_seconds", "store").observe(time.monotonic() - began)
        return stored

    def _store_and_count(self, extent: Extent, delivery: Delivery) -> StoredBatch:
        stored = self._sink.store(delivery)
        assert delivery.fresh is not None
        self._tally.add(extent, delivery.decoded, delivery.fresh, now_s=time.time())
        return stored

    def _give_up(self, source: KafkaSource) -> None:
        """Store nothing more until the group assigns anew: a later batch would move positions past a dropped one."""
        source.disown()
        self._builder.discard()
        self._generation += 1
        self._status.problem = "another replica owns our partitions; waiting for the group to say so"

    def _stored(self, stored: StoredBatch) -> None:
        self._store_thread.answered()
        self._status.progressed()
        self._status.positions.update({p: span.next_offset for p, span in stored.spans.items()})
        self._on_stored(stored)

    # --- the rest

    async def _sleep_until_change(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait()
        except TimeoutError:
            return

    def _show_paused(self, paused: bool) -> None:
        self._status.paused = paused
        self._metrics.gauge("paused").set(int(paused))
