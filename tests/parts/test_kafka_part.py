"""The broker of the tests is a real one, and survives what tests do to it."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.parts.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


async def test_what_was_acknowledged_is_there_after_kill_and_freeze(kafka: KafkaBroker) -> None:
    topic = await kafka.create_topic(f"t-{uuid.uuid4().hex}", partitions=2, configs={"retention.ms": "-1"})
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        for number in range(20):
            await producer.send_and_wait(topic, b"%d" % number, partition=number % 2)
    kafka.kill()
    assert not kafka.process.running
    kafka.restart()
    kafka.pause()
    asyncio.get_running_loop().call_later(1, kafka.resume)
    async with AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest") as consumer:
        values = [(await consumer.getone()).value for _ in range(20)]
    assert sorted(values, key=int) == [b"%d" % number for number in range(20)]


async def test_a_topic_that_exists_is_an_error(kafka: KafkaBroker) -> None:
    topic = await kafka.create_topic(f"t-{uuid.uuid4().hex}")
    with pytest.raises(RuntimeError, match="error 36"):
        await kafka.create_topic(topic)
