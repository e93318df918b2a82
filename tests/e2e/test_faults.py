"""One fault at a time, on a real Kafka: nothing is lost, nothing is stored twice, and the server says what is wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from logserver.engines.server import ServerStore
from logserver.settings import StoreSettings
from logserver.store import read
from tests.e2e.follower import Follower
from tests.e2e.server import LogServer
from tests.e2e.steps import WAIT_S, assert_each_once, front, opened, replicas, seen, send, until
from tests.parts.kafka import KafkaBroker
from tests.parts.ports import free_port

LINES = 20_000
PARTITIONS = 4

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
async def topic(kafka: KafkaBroker) -> str:
    return await kafka.create_topic(f"faults-{uuid.uuid4().hex[:8]}", partitions=PARTITIONS)


async def test_a_whole_topic_delivered_again_stores_no_line_twice(
    kafka: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    with LogServer(tmp_path, kafka.bootstrap, topic) as server:
        await send(kafka, topic, range(LINES))
        server.start()
        server.wait_ready()
        await until(lambda: seen(server) >= LINES, "the first delivery")
        server.kill()
        with opened(server) as store:
            store.execute("TRUNCATE TABLE positions")
        server.start()
        server.wait_ready()
        await until(lambda: server.metric("duplicates_total") >= LINES, "the second delivery")
        assert server.stop() == 0
        with opened(server) as store:
            assert_each_once(store, LINES)


async def test_a_position_that_is_gone_is_counted_and_read_from_the_earliest(
    kafka: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    with LogServer(tmp_path, kafka.bootstrap, topic) as server:
        await send(kafka, topic, range(1000))
        server.start()
        server.wait_ready()
        await until(lambda: seen(server) >= 1000, "the first delivery")
        assert server.stop() == 0
        with opened(server) as store:
            store.execute(
                "INSERT INTO positions (topic, partition, next_offset, epoch, seq) "
                "SELECT topic, partition, 1000000000, epoch, seq + 1000 FROM positions"
            )
        server.start()
        server.wait_ready()
        await until(lambda: server.metric("duplicates_total") >= 1000, "reading again")
        assert server.metric("offset_resets_total") == PARTITIONS
        assert server.stop() == 0
        with opened(server) as store:
            assert_each_once(store, 1000)


async def test_lines_left_behind_by_a_kill_are_shown_once_to_who_follows_on(
    kafka: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    with LogServer(tmp_path, kafka.bootstrap, topic) as server:
        server.start()
        server.wait_ready()
        await send(kafka, topic, range(200))
        await until(lambda: seen(server) >= 200, "the lines before")
        follower = Follower(server.url, {}, 1000)
        before = asyncio.create_task(follower.run())
        await until(lambda: bool(follower.last_id), "the tail's begin")
        before.cancel()
        await send(kafka, topic, range(200, 1000))
        await until(lambda: seen(server) >= 1000, "the lines that nobody follows")
        server.kill()
        with opened(server) as store:  # as if the kill had come after the lines and before their positions
            store.execute(
                "INSERT INTO positions (topic, partition, next_offset, epoch, seq) SELECT topic, partition, "
                "toUInt64(argMax(next_offset, version) * 0.6), max(epoch), max(seq) + 1 FROM positions "
                "GROUP BY topic, partition"
            )
        server.start()
        after = asyncio.create_task(follower.run())
        await until(lambda: follower.count >= 800, "the lines to follow")
        await until(lambda: seen(server) >= 400, "all that is read again")
        await asyncio.sleep(1)  # for repeats, if there were any
        after.cancel()
        assert server.metric("lines_total") == 0
        assert server.stop() == 0
    assert [number for number in range(1000) if follower.seen[number] != (number >= 200)] == []
    with opened(server) as store:
        assert_each_once(store, 1000)


async def test_a_topic_of_rubbish_stops_the_server_with_the_reason_however_often_it_is_started(
    kafka: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_batch_size=2000) as producer:
        await asyncio.gather(*[await producer.send(topic, b"rubbish %d" % number) for number in range(3000)])
    bounds = ("--ingest-reject-window", "1000", "--ingest-batch-rows-max", "100")
    kept = []
    with LogServer(tmp_path, kafka.bootstrap, topic, *bounds) as server:
        for _ in range(2):
            server.start()
            assert await asyncio.to_thread(server.wait_exit, WAIT_S) == 1
            assert "ingest.reject_ratio" in server.log
            with opened(server) as store:
                assert read(store, "SELECT count() AS rows FROM lines") == [{"rows": 0}]
                kept += read(store, "SELECT count() AS rows FROM rejects")
    assert 0 < int(str(kept[0]["rows"])) < 1000
    assert kept[1] == kept[0]


async def test_a_store_that_is_down_pauses_and_loses_nothing(kafka: KafkaBroker, topic: str, tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "clickhouse"
    with LogServer(tmp_path, kafka.bootstrap, topic, "--store-url", f"clickhouse://127.0.0.1:{port}") as server:
        with front(data, port):
            server.start()
            server.wait_ready()
            await send(kafka, topic, range(1000))
            await until(lambda: seen(server) >= 1000, "the lines before")
        await send(kafka, topic, range(1000, 3000))
        await until(lambda: server.ready().get("ready") is False, "being unready")
        assert "the store" in server.ready()["problem"]
        with front(data, port):
            await until(lambda: seen(server) >= 3000, "the lines sent meanwhile")
            assert server.ready()["ready"] is True
            assert server.stop() == 0
            with closing(ServerStore(StoreSettings(url=f"clickhouse://127.0.0.1:{port}"))) as store:
                assert_each_once(store, 3000)


async def test_two_replicas_share_a_topic_and_one_is_killed(kafka: KafkaBroker, topic: str, tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "clickhouse"
    with front(data, port), ExitStack() as stack:
        servers = replicas(stack, tmp_path, kafka, topic, port)
        servers[0].start()
        servers[0].wait_ready()
        sending = asyncio.create_task(send(kafka, topic, range(LINES)))
        servers[1].start()
        servers[1].wait_ready()
        await until(lambda: len(servers[1].ready()["kafka"]["assigned"]) == PARTITIONS // 2, "sharing")
        servers[0].kill()
        await sending
        await until(lambda: len(servers[1].ready()["kafka"]["assigned"]) == PARTITIONS, "taking over")
        await until(lambda: not any(servers[1].ready()["kafka"]["lag"].values()), "catching up")
        await asyncio.sleep(3)
        assert servers[1].stop() == 0
        with closing(ServerStore(StoreSettings(url=f"clickhouse://127.0.0.1:{port}"))) as store:
            assert_each_once(store, LINES)


async def test_a_frozen_replica_that_wakes_up_after_losing_its_partitions_stores_nothing_twice(
    kafka: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    port, data = free_port(), tmp_path / "clickhouse"
    with front(data, port), ExitStack() as stack:
        zombie, heir = servers = replicas(stack, tmp_path, kafka, topic, port)
        zombie.start()
        zombie.wait_ready()
        sending = asyncio.create_task(send(kafka, topic, range(LINES)))
        await until(lambda: zombie.metric("lines_total") > 0, "the first lines")
        os.kill(zombie.pid, signal.SIGSTOP)
        heir.start()
        heir.wait_ready()
        await until(lambda: len(heir.ready()["kafka"]["assigned"]) == PARTITIONS, "taking over")
        await sending
        os.kill(zombie.pid, signal.SIGCONT)
        await until(lambda: len(zombie.ready()["kafka"]["assigned"]) == PARTITIONS // 2, "sharing")
        await until(lambda: not any(lag for one in servers for lag in one.ready()["kafka"]["lag"].values()), "the end")
        await asyncio.sleep(3)
        assert [server.stop() for server in servers] == [0, 0]
        with closing(ServerStore(StoreSettings(url=f"clickhouse://127.0.0.1:{port}"))) as store:
            assert_each_once(store, LINES)
