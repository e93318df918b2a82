"""A real Kafka hands over every document once, from where it is told, however it was sent and secured."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer

from logserver.errors import Fatal, Transient
from logserver.ingest.batch import BatchBuilder, Documents
from logserver.ingest.kafka import KafkaSource, open_source
from logserver.metrics import Metrics
from logserver.record import TopicPartition
from logserver.settings import KafkaSettings
from milepost.units import Bytes, Seconds
from tests.conftest import need
from tests.e2e.server import LogServer
from tests.parts.kafka import KafkaBroker, Secured
from tests.parts.pki import Pki
from tests.parts.ports import free_port

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


async def test_brokers_that_refuse_us_are_said_to_with_the_settings_to_look_at(
    secured: KafkaBroker, pki: Pki, tmp_path: Path
) -> None:
    plain_text, scram = (safe(secured, pki, tmp_path, mechanism) for mechanism in ("PLAIN", "SCRAM-SHA-512"))
    (tmp_path / "wrong").write_text("wrong")
    brokers = f"the brokers at 127.0.0.1:{secured.secured_port}"
    user = f"{brokers} refuse our credentials .*kafka.username=logserver, kafka.password_file={tmp_path}/wrong"
    for settings, said in (
        (replace(plain_text, password_file=str(tmp_path / "wrong")), user),
        (replace(scram, password_file=str(tmp_path / "wrong")), user),
        (
            replace(scram, sasl_mechanism="SCRAM-SHA-256"),
            f"{brokers} refuse our credentials .*kafka.sasl_mechanism=SCRAM-SHA-256",
        ),
        (replace(scram, ca_file=""), f"TLS with {brokers} fails .*kafka.ca_file=, .*CERTIFICATE_VERIFY_FAILED"),
        (replace(scram, cert_file="", key_file=""), f"TLS with {brokers} fails .*kafka.cert_file=, kafka.key_file="),
    ):
        with pytest.raises(Transient, match=said):
            async with asyncio.timeout(WAIT_S), source_of("nothing", settings):
                pass


async def lag_error(source: KafkaSource) -> str:
    try:
        await source.lag({})
    except Transient as error:
        return str(error)
    return ""


@pytest.mark.parametrize("security", ["PLAINTEXT", "SASL_PLAINTEXT"])
async def test_a_listener_of_another_protocol_is_told_from_a_broker_that_is_down(
    secured: KafkaBroker, security: str
) -> None:
    port = secured.secured_port
    settings = KafkaSettings(brokers=(f"127.0.0.1:{port}",), security=security, username="logserver", password=WORD)
    said = f"127.0.0.1:{port} accepts connections and does not serve us: .* not of kafka.security={security}"
    with pytest.raises(Transient, match=said):
        async with asyncio.timeout(WAIT_S), source_of("nothing", settings):
            pass


async def test_where_nothing_listens_there_is_no_kafka() -> None:
    port = free_port()
    with pytest.raises(Transient, match=f"no Kafka at 127.0.0.1:{port}"):
        async with asyncio.timeout(WAIT_S), source_of("nothing", KafkaSettings(brokers=(f"127.0.0.1:{port}",))):
            pass


async def test_a_password_that_is_changed_at_the_brokers_is_refused_until_the_file_has_it(
    pki: Pki, tmp_path: Path
) -> None:
    broker = need(lambda: KafkaBroker(tmp_path / "broker", secured=Secured(pki, {"logserver": WORD})))
    broker.start()
    try:
        topic = await broker.create_topic("rotated")
        settings = safe(broker, pki, tmp_path, "PLAIN")
        async with source_of(topic, settings) as source, asyncio.timeout(WAIT_S):
            while not source.partitions or await lag_error(source):  # noqa: ASYNC110 (the group's decision)
                await asyncio.sleep(0.05)
            properties = tmp_path / "broker" / "server.properties"
            properties.write_text(properties.read_text().replace(WORD, "renewed"))
            await asyncio.to_thread(broker.restart)
            while "refuse our credentials" not in (said := await lag_error(source)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            assert WORD not in said
            (tmp_path / "password").write_text("renewed")
            while await lag_error(source):  # noqa: ASYNC110 (the client's own pauses)
                await asyncio.sleep(0.05)
            await send(broker, topic, 3)
            assert (await read(source, 3))["offset"].to_pylist() == [0, 1, 2]
    finally:
        broker.stop()


def test_the_program_says_that_it_is_refused_and_goes_on_when_the_password_is_right(
    secured: KafkaBroker, pki: Pki, tmp_path: Path
) -> None:
    asyncio.run(secured.create_topic("program"))
    settings = safe(secured, pki, tmp_path, "SCRAM-SHA-512", password="not-this-one")
    flags = [
        f"--kafka-{name.replace('_', '-')}={getattr(settings, name)}"
        for name in ("security", "sasl_mechanism", "username", "password_file", "ca_file", "cert_file", "key_file")
    ]
    with LogServer(tmp_path, settings.brokers[0], "program", *flags) as server:
        server.start()
        wait_until(lambda: "refuse our credentials" in server.ready().get("problem", ""))
        told = server.ready()
        assert (told["ready"], told["kafka"]["ok"], told["store"]["ok"]) == (False, False, True)
        assert "refuse our credentials" in server.log
        assert "not-this-one" not in server.log + told["problem"]
        Path(settings.password_file).write_text(WORD)
        wait_until(lambda: server.ready().get("ready", False))
        assert (server.ready()["problem"], server.ready()["kafka"]["ok"]) == ("", True)


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.1)


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for wrong in (
        KafkaSettings(password_file=str(tmp_path / "none")),
        KafkaSettings(security="SSL", ca_file=str(tmp_path / "none")),
    ):
        with pytest.raises(Fatal, match=str(tmp_path / "none")):
            async with source_of("nothing", wrong):
                pass
