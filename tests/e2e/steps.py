"""Steps of the end-to-end tests: send, wait for a state, look at the store, run one behind ClickHouse's protocol."""

from __future__ import annotations

import asyncio
import datetime
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer

from logserver.engines.embedded import EmbeddedStore
from logserver.store import Store, read
from tests.e2e.documents import Documents
from tests.e2e.server import LogServer
from tests.parts.kafka import KafkaBroker

WAIT_S = 180.0


async def send(kafka: KafkaBroker, topic: str, numbers: range) -> None:
    """Send the documents of these numbers."""
    documents = Documents(datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5))
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=10) as producer:
        for number in numbers:
            await producer.send(topic, documents.value(number), key=documents.key(number))


async def until(condition: Callable[[], bool], what: str, *, progress: Callable[[], object] = lambda: None) -> None:
    """Wait for a state, as long as `progress` changes at least every WAIT_S; `what` names it when it does not come."""
    deadline, before = time.monotonic() + WAIT_S, None
    while not await asyncio.to_thread(condition):
        if (now := await asyncio.to_thread(progress)) != before:
            deadline, before = time.monotonic() + WAIT_S, now
        assert time.monotonic() < deadline, f"waited {WAIT_S:g} s for {what}: {now}"
        await asyncio.sleep(0.2)


def seen(server: LogServer) -> float:
    """How many documents became something since the server's start."""
    return sum(server.metric(name) for name in ("lines_total", "duplicates_total", "rejects_total"))


@contextmanager
def opened(server: LogServer) -> Iterator[EmbeddedStore]:
    """Open the embedded store of a log-server that has ended."""
    with closing(EmbeddedStore(server.store, sessions=1)) as store:
        yield store


def assert_each_once(store: Store, count: int) -> None:
    """Assert that the store has this many lines, all different."""
    sql = "SELECT count() AS rows, uniqExact(message) AS messages FROM lines"
    assert read(store, sql) == [{"rows": count, "messages": count}]


def replicas(stack: ExitStack, folder: Path, kafka: KafkaBroker, topic: str, port: int) -> list[LogServer]:
    """Return two log-servers, not started, on the store at this port; they end with the stack."""
    made = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        url = f"clickhouse://127.0.0.1:{port}"
        made.append(stack.enter_context(LogServer(folder / name, kafka.bootstrap, topic, "--store-url", url)))
    return made


@contextmanager
def front(path: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Run the native-protocol front on a given port."""
    command = [sys.executable, "-m", "tests.parts.native_front", "--path", str(path), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("listening")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
