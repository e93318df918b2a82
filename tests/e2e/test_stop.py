"""A stop in order: open tails end with the cursor to go on from, and the server has nothing ugly to say."""

from __future__ import annotations

import asyncio
import datetime
import json
import re
import time
import uuid
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.documents import Documents
from tests.e2e.server import LogServer
from tests.parts.kafka import KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

WAIT_S = 120.0
FORMATS = {"sse": "id: ", "ndjson": '"cursor"', "text": "request 99 "}
"""Format -> what is in the last line of the first chunk, the hundred lines that are there already."""


class Reading:
    """What one tail has got so far; `caught_up` is set when the lines of before have come."""

    def __init__(self, session: aiohttp.ClientSession, form: str) -> None:
        self.lines: list[str] = []
        self.caught_up = asyncio.Event()
        self.task = asyncio.create_task(self._read(session, form))

    async def _read(self, session: aiohttp.ClientSession, form: str) -> None:
        async with session.get("/api/v1/logs/tail", params={"format": form, "lines": "100"}) as answer:
            assert answer.status == 200
            async for line in answer.content:
                self.lines.append(line.decode().rstrip("\n"))
                if FORMATS[form] in self.lines[-1]:
                    self.caught_up.set()


async def send(kafka: KafkaBroker, topic: str, numbers: range) -> None:
    documents = Documents(datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5))
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=10) as producer:
        for number in numbers:
            await producer.send(topic, documents.value(number), key=documents.key(number))


async def stored(server: LogServer, count: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while await asyncio.to_thread(server.metric, "lines_total") < count:
        assert time.monotonic() < deadline, f"{count} lines are not stored after {WAIT_S:g} s"
        await asyncio.sleep(0.1)


async def test_open_tails_end_with_a_cursor_and_go_on_there_after_the_restart(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    topic = await kafka.create_topic(f"stop-{uuid.uuid4().hex[:8]}", partitions=2)
    await send(kafka, topic, range(100))
    with LogServer(tmp_path, kafka.bootstrap, topic) as server:
        server.start()
        await asyncio.to_thread(server.wait_ready)
        await stored(server, 100)
        timeout = aiohttp.ClientTimeout(total=WAIT_S)
        async with aiohttp.ClientSession(server.url, timeout=timeout) as session:
            tails = {form: Reading(session, form) for form in FORMATS}
            async with asyncio.timeout(WAIT_S):
                await asyncio.gather(*(tail.caught_up.wait() for tail in tails.values()))
            assert await asyncio.to_thread(server.stop) == 0
            await asyncio.gather(*(tail.task for tail in tails.values()))
        last_words = server.log.partition("SIGTERM: stopping")[2]
        assert [word for word in ("Traceback", "ERROR", "WARNING") if word in last_words] == [], last_words

        *_, last_id, event, data, blank = tails["sse"].lines
        assert (event, blank) == ("event: end", "")
        assert "the server stops" in data
        cursor = last_id.removeprefix("id: ")
        note = json.loads(tails["ndjson"].lines[-1])["milepost"]
        assert (note["end"], note["cursor"]) == (True, cursor)
        assert tails["text"].lines[-1].endswith(f"cursor={cursor}")

        await send(kafka, topic, range(100, 140))
        server.start()
        await asyncio.to_thread(server.wait_ready)
        resumed: list[int] = []
        async with (
            aiohttp.ClientSession(server.url, timeout=timeout) as session,
            session.get("/api/v1/logs/tail", headers={"Last-Event-ID": cursor}) as answer,
        ):
            async for line in answer.content:
                resumed += map(int, re.findall(r"request (\d+) of client", line.decode()))
                if len(resumed) >= 40:
                    break
        assert sorted(resumed) == list(range(100, 140))
        assert await asyncio.to_thread(server.stop) == 0
