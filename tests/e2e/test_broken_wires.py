"""The wires break, not the servers: nothing is lost or stored twice, memory stays flat, the group is kept."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from logserver.engines.server import ServerStore
from logserver.settings import StoreSettings
from tests.conftest import need
from tests.e2e.server import LogServer
from tests.e2e.steps import assert_each_once, front, opened, seen, send, until
from tests.parts.kafka import KafkaBroker
from tests.parts.ports import free_port
from tests.parts.proxy import BreakingProxy

PARTITIONS = 4
SESSION_S = 6  # of the log-servers of these tests
GROWTH_MAX = 300 * 2**20

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    running = need(lambda: KafkaBroker(tmp_path / "kafka", proxied_port=free_port())).start()
    yield running
    running.stop()


async def test_connections_to_kafka_that_are_slow_cut_silent_and_refused_lose_nothing(
    broker: KafkaBroker, tmp_path: Path
) -> None:
    topic = await broker.create_topic("logs", partitions=PARTITIONS)
    proxy = BreakingProxy(broker.behind_proxy_port)
    proxy.port = broker.proxied_port
    with proxy, LogServer(tmp_path, f"127.0.0.1:{broker.proxied_port}", topic) as server:
        proxy.refuse()
        server.start()
        await until(lambda: "no Kafka" in server.ready().get("problem", ""), "saying that no broker answers")
        assert server.ready()["ready"] is False
        proxy.accept()
        server.wait_ready()
        proxy.delay(0.05)
        await send(broker, topic, range(3000))
        await until(lambda: seen(server) >= 1000, "lines over a slow wire")
        proxy.cut()  # in the middle of a fetch
        await until(lambda: seen(server) >= 3000, "the rest over a new connection")
        proxy.delay(0)

        proxy.stall()
        await send(broker, topic, range(3000, 6000))
        await asyncio.sleep(SESSION_S + 2)  # the fault itself: the group gives this member up
        await until(lambda: server.ready()["kafka"]["ok"] is False, "saying that Kafka does not answer")
        assert server.ready()["ready"] is True, "what is stored can be read"
        proxy.cut()
        proxy.flow()
        await until(lambda: seen(server) >= 6000, "the lines sent in the silence")

        proxy.refuse()
        await send(broker, topic, range(6000, 9000))
        proxy.accept()
        await until(lambda: seen(server) >= 9000, "the lines sent while nobody answered")
        await until(lambda: not any(server.lag().values()), "no lag")
        assert (server.ready()["ready"], server.ready()["problem"]) == (True, "")
        assert server.stop() == 0
    with opened(server) as store:
        assert_each_once(store, 9000)


async def test_a_store_that_falls_silent_pauses_the_partitions_and_keeps_the_group_and_the_memory(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    topic = await kafka.create_topic(f"silent-{uuid.uuid4().hex[:8]}", partitions=PARTITIONS)
    store_port = free_port()
    with ExitStack() as stack:
        stack.enter_context(front(tmp_path / "clickhouse", store_port))
        proxy = stack.enter_context(BreakingProxy(store_port))
        bounds = ("--ingest-batch-rows-max", "500", "--store-timeout", "5s")
        url = f"clickhouse://127.0.0.1:{proxy.port}"
        server = stack.enter_context(LogServer(tmp_path, kafka.bootstrap, topic, "--store-url", url, *bounds))
        server.start()
        server.wait_ready()
        await send(kafka, topic, range(1000))
        await until(lambda: seen(server) >= 1000, "the lines before")
        joined, resident = server.metric("rebalances_total"), server.resident_bytes()

        proxy.stall()
        await send(kafka, topic, range(1000, 15_000))
        await until(lambda: server.metric("paused") == 1, "pausing")
        await until(lambda: server.metric("store_retries_total") >= 2, "trying again, for longer than a session")
        state = server.ready()
        assert state["ready"] is False
        assert "the store" in state["problem"]
        assert len(state["kafka"]["assigned"]) == PARTITIONS
        await until(lambda: server.metric("consumer_lag") == 14_000, "the lag of what is not stored")
        assert server.resident_bytes() - resident < GROWTH_MAX

        proxy.flow()  # what was held back arrives at the store as well, long after it was given up
        await until(lambda: seen(server) >= 15_000, "the lines sent in the silence")
        assert server.ready()["ready"] is True
        assert server.metric("rebalances_total") == joined
        assert server.stop() == 0
        with closing(ServerStore(StoreSettings(url=f"clickhouse://127.0.0.1:{store_port}"))) as store:
            assert_each_once(store, 15_000)
