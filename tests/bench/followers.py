"""Five hundred followers over HTTP: `python -m tests.bench.followers [followers] [lines per second]`.

The log-server runs as its own process on the embedded engine and a real Kafka, with its default settings. Ten
followers follow everything, each other one of 48 pods, all by SSE. A producer sends at a steady rate; every follower
must get exactly the lines it asked for. Delay: from the moment a document is handed to the Kafka producer until a
follower has read its line, so it includes Kafka, the age of a batch of ingest and the followers' own reading, which
shares the machine. CPU: the log-server's alone, without followers and with all of them.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import re
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer

from tests.bench.ingest import cpu_s, producing, running
from tests.e2e.documents import FILES, Documents
from tests.e2e.server import LogServer
from tests.parts.kafka import KafkaBroker

FOLLOWERS = 500
LINES_PER_S = 1000
SECONDS = 20
OF_EVERYTHING = 10
PATIENCE_S = 120.0
_NUMBER = re.compile(rb"request (\d+) of client")


class Follower:
    """One tail: what it must get, and when it got it."""

    def __init__(self, place: int, numbers: range) -> None:
        file = place % FILES
        self.params = {"lines": "0"} | ({} if place < OF_EVERYTHING else {"pod": f"iris-default-{file}-*"})
        self.wanted = numbers if place < OF_EVERYTHING else [number for number in numbers if number % FILES == file]
        self.got: list[int] = []
        self.read_at: list[float] = []
        self.notices = 0
        self.attached = asyncio.Event()

    async def follow(self, session: aiohttp.ClientSession) -> None:
        """Read until every wanted line has come."""
        async with session.get("/api/v1/logs/tail", params=self.params) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                self.attached.set()
                self.notices += line.startswith(b"event:")
                numbers = [int(number) for number in _NUMBER.findall(line)]
                self.got += numbers
                self.read_at += [time.monotonic()] * len(numbers)
                if len(self.got) >= len(self.wanted):
                    return


async def send(producer: AIOKafkaProducer, topic: str, numbers: range, sent_at: dict[int, float]) -> None:
    """Send ready-made documents at the rate; note when each was sent."""
    documents = Documents(datetime.datetime.now(datetime.UTC), lines_per_second=LINES_PER_S)
    made = [(documents.key(number), documents.value(number)) for number in numbers]
    began = time.monotonic()
    for place, (number, (key, value)) in enumerate(zip(numbers, made, strict=True)):
        if place % 20 == 0 and (early := began + place / rate() - time.monotonic()) > 0:
            await asyncio.sleep(early)
        sent_at[number] = time.monotonic()
        await producer.send(topic, value, key=key)
    await producer.flush()


def rate() -> int:
    """Return the lines per second asked for."""
    return int(sys.argv[2]) if len(sys.argv) > 2 else LINES_PER_S


async def measure(count: int) -> None:
    """Print the table."""
    with broker_and_folder() as (broker, folder):
        topic = await broker.create_topic("followed", partitions=4)
        per_run = rate() * SECONDS
        sent_at: dict[int, float] = {}
        with running(broker, folder / "server", topic) as server:
            async with producing(broker) as producer:
                alone_s = await used_by(server, send(producer, topic, range(per_run), sent_at), per_run)
                followers = [Follower(place, range(per_run, 2 * per_run)) for place in range(count)]
                timeout = aiohttp.ClientTimeout(total=None, sock_read=PATIENCE_S)
                connector = aiohttp.TCPConnector(limit=0)
                async with aiohttp.ClientSession(server.url, connector=connector, timeout=timeout) as session:
                    tails = [asyncio.create_task(follower.follow(session)) for follower in followers]
                    await asyncio.gather(*(follower.attached.wait() for follower in followers))
                    sending = send(producer, topic, range(per_run, 2 * per_run), sent_at)
                    followed_s = await used_by(server, sending, 2 * per_run)
                    async with asyncio.timeout(PATIENCE_S):
                        await asyncio.gather(*tails)
            memory = server.resident_bytes()
    delivered = sum(len(follower.got) for follower in followers)
    wrong = sum(sorted(follower.got) != list(follower.wanted) for follower in followers)
    pairs = ((number, at) for follower in followers for number, at in zip(follower.got, follower.read_at, strict=True))
    delays = sorted(at - sent_at[number] for number, at in pairs)
    notices = sum(follower.notices for follower in followers)
    rows = [
        ("followers", f"{count}, {OF_EVERYTHING} of everything, the others of one of {FILES} pods"),
        ("lines sent", f"{per_run:,} at {rate():,} lines/s"),
        ("lines delivered", f"{delivered:,}; {wrong} followers missed or repeated any, {notices} notices of drops"),
        ("delay", f"p50 {delays[len(delays) // 2]:.2f} s, p99 {delays[len(delays) * 99 // 100]:.2f} s"),
        ("CPU of the log-server", f"{followed_s:.1f} s, {alone_s:.1f} s without followers"),
        ("CPU of a delivered line", f"{(followed_s - alone_s) / delivered * 1e6:.1f} us"),
        ("resident memory", f"{memory / 2**20:,.0f} MiB"),
        ("machine", f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"),
    ]
    for name, value in rows:
        print(f"| {name} | {value} |")  # noqa: T201
    if wrong:
        raise SystemExit(1)


async def used_by(server: LogServer, sending: Coroutine[Any, Any, None], stored: int) -> float:
    """Return the CPU seconds of the server until everything sent is stored."""
    began = cpu_s(server.pid)
    await sending
    async with asyncio.timeout(PATIENCE_S):
        while await asyncio.to_thread(server.metric, "lines_total") < stored:  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.2)
    return cpu_s(server.pid) - began


@contextmanager
def broker_and_folder() -> Iterator[tuple[KafkaBroker, Path]]:
    """Run a broker in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as name:
        folder = Path(name)
        (folder / "kafka").mkdir()
        broker = KafkaBroker(folder / "kafka").start()
        try:
            yield broker, folder
        finally:
            broker.stop()


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else FOLLOWERS))
