"""Following across replicas: two log-servers on one store, a follower who changes between them and misses nothing."""

from __future__ import annotations

import asyncio
import datetime
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.documents import Documents
from tests.e2e.steps import replicas
from tests.parts.kafka import KafkaBroker
from tests.parts.native_front import native_front

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

LINES = 3000
PARTITIONS = 4
HOP_LINES = 400
"""After how many lines the follower goes to the other replica."""
WAIT_S = 240.0


async def send_steadily(kafka: KafkaBroker, topic: str) -> None:
    documents = Documents(datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5))
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for number in range(LINES):
            await producer.send(topic, documents.value(number), key=documents.key(number))
            if number % 50 == 49:
                await producer.flush()
                await asyncio.sleep(0.05)


async def events(session: aiohttp.ClientSession, url: str, last_id: str) -> AsyncIterator[tuple[str, list[int]]]:
    """Yield (id, the numbers of the lines) of each whole event of a tail that begins at `last_id`, else now."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with session.get(f"{url}/api/v1/logs/tail", params={"lines": "0"}, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        fields: dict[str, str] = {}
        async for raw in answer.content:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
                continue
            assert "event" not in fields, fields
            messages = [line["message"] for line in json.loads(fields.get("data", "[]"))]
            numbers = [int(re.findall(r"request (\d+) of client", message)[0]) for message in messages]
            if "id" in fields:
                yield fields["id"], numbers
            fields = {}


async def test_a_follower_who_changes_replicas_sees_every_line_once(kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = await kafka.create_topic(f"replicas-{uuid.uuid4().hex[:8]}", partitions=PARTITIONS)
    with native_front(tmp_path / "clickhouse") as (port, _), ExitStack() as stack:
        servers = replicas(stack, tmp_path, kafka, topic, port)
        for server in servers:
            server.start()
        try:
            for server in servers:
                await asyncio.to_thread(server.wait_ready)
            timeout = aiohttp.ClientTimeout(total=None, sock_read=WAIT_S)
            async with aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as session, asyncio.timeout(WAIT_S):
                seen, hops = await follow(session, [server.url for server in servers], kafka, topic)
            stored = [await asyncio.to_thread(server.metric, "lines_total") for server in servers]
        finally:
            codes = [server.stop() for server in servers]
    assert sorted(seen) == list(range(LINES))
    assert hops >= 5
    assert sum(stored) == LINES
    assert min(stored) > 0, "each replica was to store a part of the lines"
    assert codes == [0, 0]


async def follow(
    session: aiohttp.ClientSession, urls: list[str], kafka: KafkaBroker, topic: str
) -> tuple[list[int], int]:
    """Follow while lines are sent, first at one replica, then at the next; return the lines and the changes."""
    seen: list[int] = []
    cursor, hops, sending = "", 0, None
    while len(seen) < LINES:
        before = len(seen)
        async for last_id, numbers in events(session, urls[hops % len(urls)], cursor):
            cursor = last_id
            seen += numbers
            if sending is None:  # the first event says that the tail has begun
                sending = asyncio.create_task(send_steadily(kafka, topic))
            if len(seen) >= min(LINES, before + HOP_LINES):
                break
        hops += 1
    assert sending is not None
    await sending
    return seen, hops
