"""A million documents, repeats, rejects, ten kills and two broker restarts: every line is stored and shown once."""

from __future__ import annotations

import asyncio
import datetime
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from logserver.engines.embedded import EmbeddedStore
from logserver.store import read
from tests.conftest import need
from tests.e2e.documents import FILES, MODELS, Documents, model_of, pod_of
from tests.e2e.follower import Follower
from tests.e2e.server import LogServer
from tests.parts.kafka import KafkaBroker

LINES = 1_000_000
REPEATS = LINES // 100
REJECTS = LINES // 200
KILLS = 10
BROKER_RESTARTS = 2
PARTITIONS = 6
LINES_PER_SECOND = 500
CATCH_UP_S = 240.0

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


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
        request_timeout_ms=60_000,
    )
    await producer.start()
    try:
        for key, value in traffic(random.Random(7)):
            await producer.send(topic, value, key=key)
    finally:
        await producer.stop()


async def disturb(broker: KafkaBroker, server: LogServer, done: asyncio.Event) -> None:
    choose = random.Random(11)
    restarts = {3, 7}
    for kill in range(KILLS):
        await asyncio.sleep(choose.uniform(1.0, 5.0))
        await asyncio.to_thread(server.kill)
        if kill in restarts:
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
        server.start()
        await asyncio.to_thread(server.wait_ready)
    done.set()


@asynccontextmanager
async def followed(server: LogServer) -> AsyncIterator[list[Follower]]:
    """Follow one model and one pod from the beginning."""
    model = Follower(server.url, {"namespace": "models", "model": model_of(0)}, LINES)
    pod = Follower(server.url, {"namespace": "models", "pod": pod_of(5)}, LINES)
    running = [asyncio.create_task(follower.run()) for follower in (model, pod)]
    async with asyncio.timeout(CATCH_UP_S):
        while not (model.last_id and pod.last_id):  # noqa: ASYNC110 (two conditions)
            await asyncio.sleep(0.1)
    try:
        yield [model, pod]
    finally:
        for task in running:
            task.cancel()
        for outcome in await asyncio.gather(*running, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError), outcome


async def caught_up(server: LogServer) -> None:
    """Wait until the server has nothing left to read, twice in a row."""
    calm = 0
    async with asyncio.timeout(CATCH_UP_S):
        while calm < 3:
            await asyncio.sleep(1.5)
            state = await asyncio.to_thread(server.ready)
            lag = state.get("kafka", {}).get("lag", {})
            idle = (state.get("last_progress_age_s") or 99) < 2
            calm = calm + 1 if len(lag) == PARTITIONS and not any(lag.values()) and idle else 0


async def test_every_line_is_stored_and_shown_exactly_once_through_kills_and_restarts(
    broker: KafkaBroker, tmp_path: Path
) -> None:
    topic = await broker.create_topic("logs", partitions=PARTITIONS)
    server = LogServer(tmp_path, broker.bootstrap, topic)
    server.start()
    await asyncio.to_thread(server.wait_ready)
    done = asyncio.Event()
    async with followed(server) as (model, pod):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(produce(broker, topic))
            tasks.create_task(disturb(broker, server, done))
        assert done.is_set()
        await caught_up(server)
        async with asyncio.timeout(CATCH_UP_S):
            while model.count < LINES // MODELS or pod.count < len(range(5, LINES, FILES)):  # noqa: ASYNC110
                await asyncio.sleep(0.5)
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
