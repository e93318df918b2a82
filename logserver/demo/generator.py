"""The traffic: every tick, each container prints what it owes, and its documents go to Kafka keyed by container.

The key keeps the lines of one container in one partition and in order, as the shipped Filebeat configuration does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from logserver.demo.fleet import Container, utc_now

TICK_SECONDS = 0.1


@dataclass(slots=True)
class Progress:
    """How much has been sent, and whether the generator waits because of the broker's memory limit."""

    documents: int = 0
    paused: bool = False


async def create_topic(bootstrap: str, topic: str, partitions: int) -> None:
    """Create the topic with one replica; an existing one is left as it is."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        if topic not in await admin.list_topics():
            await admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
    finally:
        await admin.close()


async def generate(
    bootstrap: str,
    topic: str,
    fleet: list[Container],
    *,
    rng: random.Random,
    rate: float,
    progress: Progress,
    is_full: Callable[[], bool],
) -> None:
    """Print for ever at `rate` times the fleet's own pace; pause while `is_full()` says so."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type="lz4", linger_ms=20)
    await producer.start()
    try:
        while True:
            progress.paused = is_full()
            if not progress.paused:
                await _tick(producer, topic, fleet, rng=rng, rate=rate, progress=progress)
            await asyncio.sleep(TICK_SECONDS)
    finally:
        await producer.stop()


async def _tick(
    producer: AIOKafkaProducer,
    topic: str,
    fleet: list[Container],
    *,
    rng: random.Random,
    rate: float,
    progress: Progress,
) -> None:
    now = utc_now()
    acks = [
        await producer.send(topic, document, key=container.key)
        for container in fleet
        for document in container.speak(rng, now, TICK_SECONDS, rate)
    ]
    await asyncio.gather(*acks)
    progress.documents += len(acks)
