"""A million documents, repeats, rejects, ten kills and two broker restarts: every line is stored and shown once."""

from __future__ import annotations

import asyncio
import datetime
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from logserver.engines.embedded import EmbeddedStore
from logserver.store import read
from tests.conftest import need
from tests.e2e.documents import FILES, MODELS, Documents, model_of, pod_of
from tests.e2e.follower import Follower, followed
from tests.e2e.server import LogServer
from tests.e2e.steps import until
from tests.parts.kafka import KafkaBroker

LINES = 1_000_000
REPEATS = LINES // 100
REJECTS = LINES // 200
KILLS = 10
BROKER_RESTARTS = 2
PARTITIONS = 6
LINES_PER_SECOND = 500
UNACKNOWLEDGED_MAX = 5000

# How long it takes says how busy the machine is; what stands still fails long before.
pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    folder = tmp_path / "kafka"
    folder.mkdir()
    running = need(lambda: KafkaBroker(folder)).start()
    yield running
    running.stop()


def traffic(choose: random.Random) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value): every line once, then again for some of those just sent, and rubbish between them."""
    midnight = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    documents = Documents(
        midnight - datetime.timedelta(seconds=LINES / LINES_PER_SECOND / 2), lines_per_second=LINES_PER_SECOND
    )
    repeat_at = set(choose.sample(range(1000, LINES), REPEATS))
    reject_at = set(choose.sample(range(LINES), REJECTS))
    for number in range(LINES):
        yield documents.key(number), documents.value(number)
        if number in repeat_at:
            again = number - choose.randint(0, 999)
            yield documents.key(again), documents.value(again)
        if number in reject_at:
            yield b"rubbish", b'{"@timestamp": "never", "message": "reject %d"}' % number


async def produce(broker: KafkaBroker, topic: str) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap,
        compression_type="lz4",
        linger_ms=20,
        max_batch_size=256_000,
        enable_idempotence=True,
        request_timeout_ms=600_000,  # also how long a document waits for a broker that is down
    )
    await producer.start()
    try:
        acknowledged: list[asyncio.Future[object]] = []
        for key, value in traffic(random.Random(7)):
            acknowledged.append(await producer.send(topic, value, key=key))
            if len(acknowledged) >= UNACKNOWLEDGED_MAX:
                await asyncio.gather(*acknowledged)
                acknowledged.clear()
        await asyncio.gather(*acknowledged)
    finally:
        await producer.stop()


async def disturb(broker: KafkaBroker, server: LogServer, followers: list[Follower]) -> None:
    """Kill the server again and again, each time while it is followed and reads."""
    choose = random.Random(11)
    restarts = {3, 7}
    for kill in range(KILLS):
        await until(lambda: min(follower.connections for follower in followers) > kill, "the followers")  # noqa: B023
        await asyncio.sleep(choose.uniform(1.0, 5.0))
        await asyncio.to_thread(server.kill)
        if kill in restarts:
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
        server.start()
        await asyncio.to_thread(server.wait_ready)


async def caught_up(server: LogServer) -> None:
    """Wait until the server has nothing left to read, three times in a row."""
    states = [server.ready()]

    def nothing_left() -> bool:
        time.sleep(1.5)  # longer than the lag it tells is old
        states.append(server.ready())
        return all(is_idle(state) for state in states[-3:])

    await until(nothing_left, "everything to be read", progress=lambda: (server.lag(), server.metric("batches_total")))


def is_idle(state: dict[str, Any]) -> bool:
    lag = state.get("kafka", {}).get("lag", {})
    return len(lag) == PARTITIONS and not any(lag.values()) and (state.get("last_progress_age_s") or 99) < 2


async def test_every_line_is_stored_and_shown_exactly_once_through_kills_and_restarts(
    broker: KafkaBroker, tmp_path: Path
) -> None:
    topic = await broker.create_topic("logs", partitions=PARTITIONS)
    with LogServer(tmp_path, broker.bootstrap, topic) as server:
        server.start()
        await asyncio.to_thread(server.wait_ready)
        of_model, of_pod = {"namespace": "models", "model": model_of(0)}, {"namespace": "models", "pod": pod_of(5)}
        async with followed(server.url, LINES, of_model, of_pod) as (model, pod):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(produce(broker, topic))
                tasks.create_task(disturb(broker, server, [model, pod]))
            await caught_up(server)
            await until(
                lambda: model.count >= LINES // MODELS and pod.count >= len(range(5, LINES, FILES)),
                "the followers to see the last line",
                progress=lambda: (model.count, pod.count),
            )
        assert min(model.connections, pod.connections) > KILLS
        assert [number for number in range(LINES) if model.seen[number] != (number % MODELS == 0)][:20] == []
        assert [number for number in range(LINES) if pod.seen[number] != (number % FILES == 5)][:20] == []
        assert await asyncio.to_thread(server.stop) == 0

        store = EmbeddedStore(server.store, sessions=1)
        try:
            (lines,) = read(
                store,
                "WITH toUInt64(extract(message, 'request ([0-9]+) of')) AS number "
                "SELECT count() AS rows, uniqExact(number) AS numbers, min(number) AS first, max(number) AS last, "
                "uniqExact(day) AS days FROM lines",
            )
            (rejects,) = read(store, "SELECT count() AS rows, uniqExact(raw) AS documents FROM rejects FINAL")
        finally:
            store.close()
        assert lines == {"rows": LINES, "numbers": LINES, "first": 0, "last": LINES - 1, "days": 2}
        assert rejects == {"rows": REJECTS, "documents": REJECTS}
