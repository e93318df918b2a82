"""Kafka: documents of the partitions the group gives us. With its neighbours all that knows aiokafka.

The stored positions decide where a partition is read from, never Kafka's own commits (those are for lag tools): on
assignment the owner's `Ownership.assigned` says where each partition goes on, on revocation `Ownership.revoked` ends
the work in flight before the group moves on. A position that is no longer in the topic is a counted, configured action.

While paused the consumer is still polled, so that the group keeps this member and nothing is fetched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Protocol

import aiokafka
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import (
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
)

from logserver.errors import Fatal, Transient
from logserver.ingest.batch import Documents, Space
from logserver.ingest.kafka_options import consumer_options
from logserver.ingest.kafka_refusal import silence, why_refused
from logserver.ingest.recordbatches import WholeBatches
from logserver.ingest.records import RawBatch, parse
from logserver.metrics import Metrics
from logserver.record import TopicPartition
from logserver.settings import KafkaSettings

log = logging.getLogger(__name__)

# Record batches taken from the client at once; they are parsed together.
TAKE_BATCHES = 8
# How long the brokers may take to say where partitions end, or to take a commit.
ANSWER_S = 10.0
SEEK_POLL_S = 0.05


class Ownership(Protocol):
    """What a rebalance asks of the program; both are awaited before the group goes on."""

    async def assigned(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Take the partitions; return the next offset of each that was read before."""
        ...

    async def revoked(self, partitions: list[TopicPartition]) -> None:
        """Finish or give up the work on the partitions."""
        ...


class KafkaSource:
    """A member of the consumer group; use by `async with open_source(...)`."""

    def __init__(self, settings: KafkaSettings, metrics: Metrics, consumer: aiokafka.AIOKafkaConsumer) -> None:
        self._settings = settings
        self._metrics = metrics
        self._consumer = consumer
        self._expected: dict[TopicPartition, int] = {}
        self._starts: dict[TopicPartition, int] = {}
        self._paused = False
        self._moves = 0  # counts assignments, losses and seeks
        self._postponed: KafkaError | None = None
        self._parsing = ThreadPoolExecutor(1, "parse")

    @property
    def partitions(self) -> list[TopicPartition]:
        """The partitions this member owns."""
        return sorted(self._expected)

    async def start(self) -> None:
        """Connect and join the group; raises Transient when no broker answers or lets us in."""
        try:
            await self._consumer.start()
        except KafkaError as error:
            refused = await why_refused(self._consumer, self._settings)
            raise Transient(refused or f"{await silence(self._settings)}: {error}") from error

    async def fetch(self, space: Space, *, rows_max: int, wait_s: float) -> list[tuple[TopicPartition, Documents]]:
        """Return about `rows_max` documents, waiting up to `wait_s` for the first; nothing of a revoked partition.

        Their values are in `space`, in the order of what is returned. Documents come by whole record batches, so there
        may be more. Raises Fatal for an authorization error, a codec that is not installed, or a position out of range
        under the action `stop`, Transient else.
        """
        try:
            taken = await self._take(rows_max, wait_s)
            return await self._parsed(taken, space) if taken else []
        except OffsetOutOfRangeError as error:
            await self._out_of_range(error.args[0])
            return []
        except NoOffsetForPartitionError:  # assigned, and `start_at` has not said yet from where
            await asyncio.sleep(SEEK_POLL_S)
            return []
        except TopicAuthorizationFailedError as error:
            raise Fatal(f"the brokers refuse {self._settings.topics}: {error}") from error
        except UnsupportedCodecError as error:
            raise Fatal(
                f"documents of {self._settings.topics} are compressed in a way not known here: {error}"
            ) from error
        except KafkaError as error:
            raise Transient(f"Kafka: {error}") from error

    async def _take(self, rows_max: int, wait_s: float) -> dict[TopicPartition, list[RawBatch]]:
        """Return what has arrived; an error that comes behind it is raised by the next call."""
        if self._postponed is not None:
            error, self._postponed = self._postponed, None
            raise error
        taken: dict[TopicPartition, list[RawBatch]] = {}
        rows = 0
        while rows < rows_max:
            timeout_ms = 0 if taken else int(wait_s * 1000)
            try:
                fetched = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=TAKE_BATCHES)
            except KafkaError as error:
                if not taken:
                    raise
                self._postponed = error
                break
            if not fetched:
                break
            for partition, raws in fetched.items():
                taken.setdefault(TopicPartition(partition.topic, partition.partition), []).extend(raws)
                rows += raws[-1].next_offset - raws[0].position
        return taken

    async def _parsed(
        self, taken: dict[TopicPartition, list[RawBatch]], space: Space
    ) -> list[tuple[TopicPartition, Documents]]:
        """Parse in a thread; return nothing when a rebalance or a seek came meanwhile, after which it is read again."""
        moves = self._moves
        wanted = {owned: raws for owned, raws in taken.items() if self._expects(owned, raws[0].position)}
        loop = asyncio.get_running_loop()
        try:
            parsed = await loop.run_in_executor(self._parsing, lambda: [parse(raws, space) for raws in wanted.values()])
        except CorruptRecordException:
            if moves == self._moves:
                for owned, raws in wanted.items():
                    self._consumer.seek(_theirs(owned), raws[0].position)
            raise
        if moves != self._moves:
            return []
        found = list(zip(wanted, parsed, strict=True))
        self._expected.update((owned, documents.next_offset) for owned, documents in found)
        return found

    def _expects(self, partition: TopicPartition, position: int) -> bool:
        """Whether what was fetched is wanted: not from before the partition was revoked, or before a seek."""
        return partition in self._expected and position >= self._expected[partition]

    def pause(self) -> None:
        """Fetch nothing more; keep polling by `fetch`."""
        self._paused = True
        self._consumer.pause(*self._consumer.assignment())

    def resume(self) -> None:
        """Fetch again."""
        self._paused = False
        self._consumer.resume(*self._consumer.assignment())

    async def lag(self, stored: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return the documents of each owned partition that are not stored, by the next offset stored of each.

        Raises Transient when the brokers do not answer, or refuse us; then the files of the credentials are read again.
        """
        try:
            async with asyncio.timeout(ANSWER_S):
                ends = await self._ends(self.partitions, "latest")
        except (KafkaError, TimeoutError) as error:
            silent = f"Kafka does not answer at {', '.join(self._settings.brokers)}: {error!r}"
            raise Transient(await why_refused(self._consumer, self._settings) or silent) from error
        return {place: self._behind(place, stored, end) for place, end in ends.items() if place in self._starts}

    def _behind(self, place: TopicPartition, stored: Mapping[TopicPartition, int], end: int) -> int:
        """Return the documents between what is stored and the end; a position out of range is that of another topic."""
        start = self._starts[place]
        at = stored.get(place, start)
        return max(0, end - (at if start <= at <= end else start))

    async def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Tell Kafka where we are; a failure is of no consequence and is logged."""
        owned = {p: offset for p, offset in positions.items() if p in self._expected}
        if not owned:
            return
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._consumer.commit({_theirs(p): o for p, o in owned.items()})
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            log.info("positions were not committed to Kafka (only lag tools miss them): %r", error)

    def close(self) -> None:
        """End the parsing thread."""
        self._parsing.shutdown(wait=True, cancel_futures=True)

    async def start_at(self, partitions: list[TopicPartition], positions: Mapping[TopicPartition, int]) -> None:
        """Own exactly these partitions and read each from its position, or from `kafka.start_from`."""
        self._moves += 1
        self._expected, self._starts = {}, {}
        new = [partition for partition in partitions if partition not in positions]
        starts = dict(positions) | await self._ends(new, self._settings.start_from)
        for partition in partitions:
            self._seek(partition, starts[partition])
        if self._paused:
            self.pause()
        self._metrics.counter("rebalances_total").inc()
        self._metrics.gauge("assigned_partitions").set(len(partitions))

    def disown(self) -> None:
        """Own nothing: what is still fetched is dropped."""
        self._moves += 1
        self._expected, self._starts = {}, {}
        self._metrics.gauge("assigned_partitions").set(0)

    async def _out_of_range(self, asked: Mapping[aiokafka.TopicPartition, int]) -> None:
        action = self._settings.out_of_range
        for partition, offset in asked.items():
            owned = TopicPartition(partition.topic, partition.partition)
            self._metrics.counter("offset_resets_total", owned.topic, action).inc()
            if action == "stop":
                raise Fatal(
                    f"{owned} has no offset {offset}: documents were deleted before they were read, or the topic was "
                    "made anew; set kafka.out_of_range to earliest or latest to go on"
                )
            start = (await self._ends([owned], action))[owned]
            log.error(
                "%s has no offset %d any more: going on at %d (kafka.out_of_range=%s)", owned, offset, start, action
            )
            self._seek(owned, start)

    def _seek(self, partition: TopicPartition, offset: int) -> None:
        self._moves += 1
        self._consumer.seek(_theirs(partition), offset)
        self._expected[partition] = self._starts[partition] = offset

    async def _ends(self, partitions: list[TopicPartition], end: str) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        asked = [_theirs(p) for p in partitions]
        ask = self._consumer.beginning_offsets if end == "earliest" else self._consumer.end_offsets
        offsets = await ask(asked)
        return {TopicPartition(p.topic, p.partition): offset for p, offset in offsets.items()}


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    def __init__(self, source: KafkaSource, owner: Ownership) -> None:
        self._source = source
        self._owner = owner

    async def on_partitions_revoked(self, revoked: set[aiokafka.TopicPartition]) -> None:
        self._source.disown()
        await self._owner.revoked(_ours(revoked))

    async def on_partitions_assigned(self, assigned: set[aiokafka.TopicPartition]) -> None:
        partitions = _ours(assigned)
        await self._source.start_at(partitions, await self._owner.assigned(partitions))
        log.info("assigned: %s", ", ".join(map(str, partitions)) or "nothing")


@asynccontextmanager
async def open_source(settings: KafkaSettings, metrics: Metrics, owner: Ownership) -> AsyncIterator[KafkaSource]:
    """Join the group; leaves it in order at the end. Raises Transient when no broker answers or lets us in."""
    consumer = aiokafka.AIOKafkaConsumer(**consumer_options(settings))
    whole = WholeBatches(consumer)
    source = KafkaSource(settings, metrics, consumer)
    consumer.subscribe(topics=list(settings.topics), listener=_Listener(source, owner))
    try:
        await source.start()
        whole.hand_over()
        yield source
    finally:
        await consumer.stop()
        source.close()


def _theirs(partition: TopicPartition) -> aiokafka.TopicPartition:
    return aiokafka.TopicPartition(partition.topic, partition.partition)


def _ours(partitions: set[aiokafka.TopicPartition]) -> list[TopicPartition]:
    return sorted(TopicPartition(partition.topic, partition.partition) for partition in partitions)
