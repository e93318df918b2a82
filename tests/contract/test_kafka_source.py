"""A real Kafka hands over every document once, from where it is told, however it was sent and secured."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer

from logserver.batch import BatchBuilder, Documents
from logserver.errors import Fatal, LogServerError, Transient
from logserver.kafka import KafkaSource, open_source
from logserver.metrics import Metrics
from logserver.record import TopicPartition
from logserver.settings import KafkaSettings
from milepost.units import Bytes, Seconds
from tests.conftest import need
from tests.parts.kafka import KafkaBroker, Secured
from tests.parts.pki import Pki

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
WAIT_S = 90.0
SENT_MS = 1_772_615_727_000
WORD = uuid.uuid4().hex


class Owner:
    """Knows where each partition goes on."""

    def __init__(self, positions: Mapping[TopicPartition, int] | None = None) -> None:
        self.positions = dict(positions or {})

    async def assigned(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {partition: self.positions[partition] for partition in partitions if partition in self.positions}

    async def revoked(self, partitions: list[TopicPartition]) -> None:
        return None


@pytest.fixture
async def topic(kafka: KafkaBroker) -> str:
    return await kafka.create_topic(f"source-{uuid.uuid4().hex[:8]}")


def source_of(
    topic: str, settings: KafkaSettings, owner: Owner | None = None
) -> AbstractAsyncContextManager[KafkaSource]:
    settings = replace(settings, topics=(topic,), group=f"g-{topic}")
    return open_source(settings, Metrics(), owner or Owner())


def plain(kafka: KafkaBroker) -> KafkaSettings:
    return KafkaSettings(brokers=(kafka.bootstrap,))


async def send(kafka: KafkaBroker, topic: str, count: int, **options: object) -> None:
    """Send documents 0, 1, … with one timestamp, in few batches."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, linger_ms=50, **options) as producer:
        for number in range(count):
            await producer.send(topic, value(number), key=b"key", timestamp_ms=SENT_MS)


def value(number: int) -> bytes:
    return b"%d %s" % (number, b"x" * 300)


async def fetch(
    source: KafkaSource, builder: BatchBuilder, wait_s: float = 0.5
) -> list[tuple[TopicPartition, Documents]]:
    """Fetch, again when something was not ready yet, as the program does."""
    while True:
        try:
            return await source.fetch(builder.space(), rows_max=1000, wait_s=wait_s)
        except Transient:
            await asyncio.sleep(0.1)


def collecting() -> BatchBuilder:
    return BatchBuilder(10_000, Bytes(2**24), Seconds(1))


async def read(source: KafkaSource, count: int) -> pa.Table:
    """Return the first `count` documents of the one partition, as a table of DOCUMENT_SCHEMA."""
    builder = collecting()
    async with asyncio.timeout(WAIT_S):
        while builder.rows < count:
            for place, documents in await fetch(source, builder):
                builder.add(place, documents, now_s=0)
    return builder.take().table()


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_documents_arrive_whole_with_every_codec(kafka: KafkaBroker, topic: str, codec: str | None) -> None:
    await send(kafka, topic, 500, compression_type=codec)
    async with source_of(topic, plain(kafka)) as source:
        rows = await read(source, 500)
        assert rows["raw"].to_pylist() == [value(number) for number in range(500)]
        assert rows["offset"].to_pylist() == list(range(500))
        assert set(rows["key"].to_pylist()) == {b"key"}
        assert set(rows["appended_at"].cast("int64").to_pylist()) == {SENT_MS}


async def test_a_stored_position_inside_a_batch_is_where_reading_goes_on(kafka: KafkaBroker, topic: str) -> None:
    await send(kafka, topic, 100)
    async with source_of(topic, plain(kafka), Owner({TopicPartition(topic, 0): 37})) as source:
        assert (await read(source, 63))["offset"].to_pylist() == list(range(37, 100))


@pytest.mark.parametrize(
    ("start", "stored", "behind"),
    [
        (None, None, 5),  # never read
        (3, 3, 2),  # nothing stored since the partition was taken
        (3, 5, 0),
        (0, 99, 5),  # a position of the topic before it was made again
    ],
)
async def test_the_lag_is_what_is_not_stored_whether_it_was_fetched_or_not(
    kafka: KafkaBroker, topic: str, start: int | None, stored: int | None, behind: int
) -> None:
    await send(kafka, topic, 5)
    place = TopicPartition(topic, 0)
    async with source_of(topic, plain(kafka), Owner({} if start is None else {place: start})) as source:
        source.pause()
        async with asyncio.timeout(WAIT_S):
            while not source.partitions:  # noqa: ASYNC110 (the group's decision)
                await asyncio.sleep(0.05)
        assert await source.lag({} if stored is None else {place: stored}) == {place: behind}


async def test_the_marks_of_transactions_are_passed_over(kafka: KafkaBroker, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=topic) as producer:
        for number in range(3):
            async with producer.transaction():
                await producer.send(topic, value(number))
    async with source_of(topic, plain(kafka)) as source:
        rows = await read(source, 3)
        assert rows["offset"].to_pylist() == [0, 2, 4]


async def test_a_missing_key_or_value_arrives_empty(kafka: KafkaBroker, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        await producer.send(topic, None, key=b"gone")
        await producer.send(topic, value(1))
    async with source_of(topic, plain(kafka)) as source:
        rows = await read(source, 2)
        assert rows.select(["key", "raw"]).to_pylist() == [
            {"key": b"gone", "raw": b""},
            {"key": b"", "raw": value(1)},
        ]


async def test_what_is_being_parsed_when_partitions_go_is_dropped(kafka: KafkaBroker, topic: str) -> None:
    await send(kafka, topic, 100)
    async with source_of(topic, plain(kafka)) as source:
        go_on = threading.Event()
        source._parsing.submit(go_on.wait, WAIT_S)

        async def fetch_what_comes() -> list[tuple[TopicPartition, Documents]]:
            while not (found := await fetch(source, collecting())) and not go_on.is_set():
                pass  # assigned, and not told yet from where
            return found

        fetching = asyncio.create_task(fetch_what_comes())
        async with asyncio.timeout(WAIT_S):
            while not source._expected or source._parsing._work_queue.empty():  # noqa: ASYNC110 (a thread's queue)
                await asyncio.sleep(0.01)
        await source.start_at([TopicPartition(topic, 0)], {TopicPartition(topic, 0): 90})
        go_on.set()
        assert await fetching == []
        assert (await read(source, 10))["offset"].to_pylist() == list(range(90, 100))


@pytest.mark.parametrize(("action", "expected"), [("earliest", [0, 1]), ("latest", [2, 3])])
async def test_a_position_that_is_not_in_the_topic_is_an_action(
    kafka: KafkaBroker, topic: str, action: str, expected: list[int]
) -> None:
    await send(kafka, topic, 2)
    settings = replace(plain(kafka), out_of_range=action)
    async with source_of(topic, settings, Owner({TopicPartition(topic, 0): 1000})) as source:
        if action == "latest":
            for _ in range(20):
                assert await fetch(source, collecting(), 0.2) == []
                if source._expected == {TopicPartition(topic, 0): 2}:
                    break
            await send(kafka, topic, 2)
        assert (await read(source, 2))["offset"].to_pylist() == expected


async def test_a_position_that_is_not_in_the_topic_can_stop(kafka: KafkaBroker, topic: str) -> None:
    await send(kafka, topic, 2)
    settings = replace(plain(kafka), out_of_range="stop")
    async with source_of(topic, settings, Owner({TopicPartition(topic, 0): 1000})) as source:
        with pytest.raises(Fatal, match=r"kafka\.out_of_range"):
            await read(source, 1)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki") / "keys")
    made.make()
    return made


@pytest.fixture(scope="module")
def secured(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    broker = need(lambda: KafkaBroker(tmp_path_factory.mktemp("secured"), secured=Secured(pki, {"logserver": WORD})))
    broker.start()
    yield broker
    broker.stop()


def safe(broker: KafkaBroker, pki: Pki, folder: Path, mechanism: str, password: str = WORD) -> KafkaSettings:
    certificate, key = pki.client_certificate("logserver")
    (folder / "password").write_text(f"{password}\n")
    return KafkaSettings(
        brokers=(f"127.0.0.1:{broker.secured_port}",),
        security="SASL_SSL",
        sasl_mechanism=mechanism,
        username="logserver",
        password_file=str(folder / "password"),
        ca_file=str(pki.folder / "ca.crt"),
        cert_file=str(certificate),
        key_file=str(key),
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_brokers_may_want_tls_a_certificate_and_a_password(
    secured: KafkaBroker, pki: Pki, tmp_path: Path, mechanism: str
) -> None:
    topic = await secured.create_topic(f"secured-{mechanism.lower()}")
    await send(secured, topic, 10)
    async with source_of(topic, safe(secured, pki, tmp_path, mechanism)) as source:
        assert (await read(source, 10))["offset"].to_pylist() == list(range(10))


async def test_brokers_that_refuse_us_are_an_error_that_names_them(
    secured: KafkaBroker, pki: Pki, tmp_path: Path
) -> None:
    good = safe(secured, pki, tmp_path, "SCRAM-SHA-512")
    wrong = (
        safe(secured, pki, tmp_path, "SCRAM-SHA-512", password="wrong"),
        replace(good, ca_file=""),
        replace(good, cert_file="", key_file=""),
    )
    for settings in wrong:
        with pytest.raises(LogServerError, match=str(secured.secured_port)):
            async with asyncio.timeout(WAIT_S), source_of("nothing", settings):
                pass


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for wrong in (
        KafkaSettings(password_file=str(tmp_path / "none")),
        KafkaSettings(security="SSL", ca_file=str(tmp_path / "none")),
    ):
        with pytest.raises(Fatal, match=str(tmp_path / "none")):
            async with source_of("nothing", wrong):
                pass
