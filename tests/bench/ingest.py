"""From Kafka to queryable lines: `python -m tests.bench.ingest [documents]`.

The log-server runs as its own process on the embedded engine and a real Kafka on this machine. First it drains a topic
that is already full: lines per second and per CPU-second of the log-server (user and system time of all its threads,
Kafka's and the producer's not counted), its resident memory, the bytes on disk per line after the parts have been
merged. What the machine gives for a CPU-second changes by a third within minutes, so the same documents are also parsed
by Python's `json.loads`, right before and after, and the ratio is printed. Then a producer sends at a steady rate and
the latency histogram of the log-server itself says how long a document took from its append in Kafka until a query can
return its line.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer

from logserver.engines.embedded import EmbeddedStore
from logserver.store import read
from tests.e2e.documents import Documents
from tests.e2e.server import LogServer
from tests.parts.kafka import KafkaBroker

PARTITIONS = 4
DOCUMENTS = 1_000_000
RATES = (20_000, 50_000)
RATE_SECONDS = 15
WARM_SECONDS = 3
REFERENCE_DOCUMENTS, REFERENCE_ROUNDS = 10_000, 10
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the printed table."""

    name: str
    value: str
    note: str


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS
    for row in asyncio.run(measure(count)):
        print(f"| {row.name} | {row.value} | {row.note} |")  # noqa: T201


async def measure(count: int) -> list[Row]:
    """Return the rows of the table."""
    with tempfile.TemporaryDirectory(prefix="milepost-bench-") as name:
        folder = Path(name)
        (folder / "kafka").mkdir()
        broker = KafkaBroker(folder / "kafka").start()
        try:
            rows = await drain(broker, folder / "drain", count)
            for rate in RATES:
                rows.append(await steady(broker, folder / f"rate-{rate}", rate))
        finally:
            broker.stop()
        return rows


async def drain(broker: KafkaBroker, folder: Path, count: int) -> list[Row]:
    """Fill a topic, then let the log-server drain it."""
    topic = await broker.create_topic("drain", partitions=PARTITIONS)
    size = await fill(broker, topic, count)
    plain_per_s = json_loads_per_cpu_s()
    with running(broker, folder, topic) as server:
        idle_s = cpu_s(server.pid)
        began, stored, slowest_s, memory = time.monotonic(), 0.0, 0.0, 0
        while stored < count:
            await asyncio.sleep(0.1)
            asked = time.monotonic()
            stored = server.metric("lines_total")
            slowest_s = max(slowest_s, time.monotonic() - asked)
            memory = max(memory, server.resident_bytes())
        seconds, used_s = time.monotonic() - began, cpu_s(server.pid) - idle_s
    plain_per_s = (plain_per_s + json_loads_per_cpu_s()) / 2
    store = EmbeddedStore(server.store, sessions=1)
    store.execute("OPTIMIZE TABLE lines FINAL")
    (disk,) = read(store, "SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND table = 'lines'")
    store.close()
    return [
        Row("lines/CPU-s", f"{stored / used_s:,.0f}", f"{count:,} documents of {size:,.0f} bytes, lz4"),
        Row("documents/CPU-s", f"{plain_per_s:,.0f}", "json.loads and no more, in the same run"),
        Row(
            "ratio of these",
            f"{stored / used_s / plain_per_s:.2f}",
            "1: a line is indexed for what json.loads costs",
        ),
        Row("lines/s", f"{stored / seconds:,.0f}", "draining a full topic, Kafka on the same machine"),
        Row("resident memory", f"{memory / 2**20:,.0f} MiB", "of the log-server, the most while draining"),
        Row("slowest /metrics", f"{slowest_s * 1000:,.0f} ms", "asked ten times a second while draining"),
        Row("bytes on disk/line", f"{int(str(disk['bytes'])) / count:.1f}", "all columns and indexes, merged"),
    ]


async def steady(broker: KafkaBroker, folder: Path, rate: int) -> Row:
    """Send at a steady rate and read the latency histogram."""
    topic = await broker.create_topic(
        f"rate-{rate}", partitions=PARTITIONS, configs={"message.timestamp.type": "LogAppendTime"}
    )
    with running(broker, folder, topic) as server:
        await send(broker, topic, rate, WARM_SECONDS)
        await asyncio.sleep(2)
        cold = buckets(server)
        sent_per_s = await send(broker, topic, rate, RATE_SECONDS)
        await asyncio.sleep(2)
        warm = [(bound, count - before) for (bound, count), (_, before) in zip(buckets(server), cold, strict=True)]
        lines = server.metric("lines_total")
    p50, p99 = quantile(warm, 0.5), quantile(warm, 0.99)
    return Row(
        f"visible latency at {rate:,} lines/s",
        f"p50 {p50:.2f} s, p99 {p99:.2f} s",
        f"{sent_per_s:,.0f} lines/s were really sent, {lines:,.0f} stored; broker append to queryable",
    )


async def fill(broker: KafkaBroker, topic: str, count: int) -> float:
    """Send `count` documents as fast as it goes; return their mean size."""
    documents = Documents(datetime.datetime.now(datetime.UTC), lines_per_second=50_000)
    size = 0
    async with producing(broker) as producer:
        for number in range(count):
            value = documents.value(number)
            size += len(value)
            await producer.send(topic, value, key=documents.key(number))
    return size / count


async def send(broker: KafkaBroker, topic: str, rate: int, seconds: int) -> float:
    """Send ready-made documents at a rate; return the rate that was reached."""
    documents = Documents(datetime.datetime.now(datetime.UTC), lines_per_second=rate)
    made = [(documents.key(number), documents.value(number)) for number in range(rate * seconds)]
    async with producing(broker) as producer:
        began = time.monotonic()
        for number, (key, value) in enumerate(made):
            await producer.send(topic, value, key=key)
            if number % 200 == 0 and (early := began + number / rate - time.monotonic()) > 0:
                await asyncio.sleep(early)
        await producer.flush()
        return len(made) / (time.monotonic() - began)


def producing(broker: KafkaBroker) -> AIOKafkaProducer:
    """Return a producer to be used by `async with`."""
    return AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, compression_type="lz4", linger_ms=5, max_batch_size=256_000
    )


def json_loads_per_cpu_s() -> float:
    """Return how many documents Python parses in a CPU-second of this moment."""
    documents = Documents(datetime.datetime.now(datetime.UTC), lines_per_second=50_000)
    values = [documents.value(number) for number in range(REFERENCE_DOCUMENTS)]
    began_s = time.process_time()
    for _ in range(REFERENCE_ROUNDS):
        for value in values:
            json.loads(value)
    return REFERENCE_ROUNDS * len(values) / (time.process_time() - began_s)


@contextmanager
def running(broker: KafkaBroker, folder: Path, topic: str) -> Iterator[LogServer]:
    """Run a log-server on the topic."""
    folder.mkdir()
    server = LogServer(folder, broker.bootstrap, topic)
    server.start()
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


def cpu_s(pid: int) -> float:
    """Return the CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def buckets(server: LogServer) -> list[tuple[float, float]]:
    """Return (upper bound in seconds, count up to it) of the visible latency."""
    page = urllib.request.urlopen(f"{server.url}/metrics").read().decode()  # noqa: S310 (loopback)
    pattern = r'visible_latency_seconds_bucket\{le="([^"]+)"\} (\S+)'
    return [(float(bound), float(count)) for bound, count in re.findall(pattern, page)]


def quantile(cumulated: list[tuple[float, float]], part: float) -> float:
    """Return a quantile of the visible latency as Prometheus would, by linear interpolation inside a bucket."""
    wanted, low, before = part * cumulated[-1][1], 0.0, 0.0
    for bound, count in cumulated:
        if count >= wanted and count > before:
            return low + (bound - low) * (wanted - before) / (count - before)
        low, before = bound, count
    return low


if __name__ == "__main__":
    main()
