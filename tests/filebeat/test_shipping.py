"""The shipped configurations on a real Filebeat, with a real API server and a real Kafka."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import need
from tests.filebeat.multiline import EVENTS, ORDINARY
from tests.filebeat.node import Container, end_pod
from tests.filebeat.shipping import SELDON, Shipping, shipping
from tests.parts.filebeat import CONFIGURATIONS, Outlet
from tests.parts.kafka import KafkaBroker, Secured
from tests.parts.kubernetes import ControlPlane
from tests.parts.pki import Pki

pytestmark = [pytest.mark.usefixtures("filebeat_program"), pytest.mark.kafka, pytest.mark.cluster, pytest.mark.slow]
VARIANTS = pytest.mark.parametrize("variant", ["v8", "static"])
SAMPLES = CONFIGURATIONS / "samples"
DAEMON_SET = CONFIGURATIONS / "manifests" / "daemonset.yaml"
MIB = 1 << 20
BURST = 3000


def places(document: Any, above: str = "") -> Iterator[str]:
    """Yield the paths of a document's values, pods' labels aside."""
    for name, value in document.items():
        if isinstance(value, dict) and not name.endswith("labels"):
            yield from places(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


@VARIANTS
async def test_a_line_carries_its_pods_identity(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path, variant: str
) -> None:
    async with shipping(cluster, kafka, tmp_path, variant) as node:
        ports = [{"name": "http", "containerPort": 9000}, {"name": "metrics", "containerPort": 6000}]
        containers = await node.run(containers=[{"name": "classifier", "ports": ports}, {"name": "seldon-engine"}])
        node.filebeat.start()
        await until_known(node, containers)
        for container in containers:
            container.print(f"said by {container.name}", "stderr")
        records = await node.arrived.lines(2)
        assert "forbidden" not in node.filebeat.process.output(), "the shipped rights do not suffice"
    known = {place for path in SAMPLES.glob("*.json") for place in places(json.loads(path.read_bytes()))}
    for container in containers:
        (record,) = [each for each in records if each.message == f"said by {container.name}"]
        found = record.document
        assert set(places(found)) <= known
        assert record.key == found["container"]["id"].encode() == container.id.encode()
        assert (found["stream"], found["host"]["name"]) == ("stderr", node.node)
        assert found["log"]["file"]["path"] == f"/var/log/containers/{container.link.name}"
        told = found["kubernetes"]
        assert told["labels"] == {label.replace(".", "_"): value for label, value in SELDON.items()}
        assert (told["namespace"], told["pod"]["name"]) == (node.namespace, container.pod)
        assert (told["container"]["name"], told["node"]["name"]) == (container.name, node.node)


async def until_known(node: Shipping, containers: Sequence[Container]) -> None:
    """Print until each container's line comes with its labels: with `static` the first ones may come without."""
    for container in containers:
        for count in itertools.count(1):
            container.print("early")
            last = (await node.arrived.lines(count))[-1].document
            assert last["log"]["file"]["path"] == f"/var/log/containers/{container.link.name}"
            if "kubernetes" in last:
                break
        node.arrived.records.clear()


async def read_already(node: Shipping) -> list[Container]:
    """Start Filebeat on a pod of one container, and return that once its file is open and its labels are known."""
    containers = await node.run()
    node.filebeat.start()
    await until_known(node, containers)
    return containers


@VARIANTS
async def test_what_belongs_together_comes_as_one_event(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path, variant: str
) -> None:
    before, after = "INFO:     Application startup complete.", "2026-03-04 09:15:32,000 INFO next request"
    async with shipping(cluster, kafka, tmp_path, variant) as node:
        (container,) = await node.run()
        expected = [each for event in EVENTS for each in (before, event, after)] + list(ORDINARY)
        for event in expected:
            container.print(event)
        node.filebeat.start()
        records = await node.arrived.lines(len(expected))
    assert [record.message for record in records] == expected
    assert {len(record.document["log"].get("flags", ())) for record in records} == {0, 1}


@VARIANTS
async def test_long_and_odd_lines_come_as_they_are_or_say_that_they_are_cut(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path, variant: str
) -> None:
    odd = ["näh 模型 🚀", 'a\ttab \\ "quotes" and \x01\x7f', "0" * 100_000, "é" * (MIB // 2)]
    async with shipping(cluster, kafka, tmp_path, variant) as node:
        (container,) = await node.run()
        for line in odd:
            container.print(line)
        container.print(b"not \xff UTF-8")
        container.print("\x01" * MIB)  # the largest document: each of its bytes becomes six
        container.print("x" * (MIB + 1))
        container.print("\n".join(["joined", *(" " + "y" * 300_000 for _ in range(4)), "joined no more"]))
        node.filebeat.start()
        *whole, invalid, largest, cut, joined, _ = await node.arrived.lines(len(odd) + 5)
    assert [record.message for record in whole] == odd
    assert invalid.message == "not \ufffd UTF-8"
    assert largest.message == "\x01" * MIB
    assert len(largest.raw) > 6 * MIB
    assert cut.message == "x" * MIB
    assert "truncated" in cut.document["log"]["flags"]
    assert len(joined.message) == MIB
    assert set(joined.document["log"]["flags"]) == {"multiline", "truncated"}
    assert not any("flags" in record.document["log"] for record in (*whole, invalid, largest))


@VARIANTS
async def test_the_pipeline_does_not_read_itself(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path, variant: str
) -> None:
    async with shipping(cluster, kafka, tmp_path, variant) as node:
        own = await node.run(f"log-server-{node.node}", namespace="milepost")
        part = await node.run("exporter-0", labels={"app.kubernetes.io/part-of": "milepost"})
        others = await node.run("milepost-0", labels={"app.kubernetes.io/part-of": "shop"})
        node.filebeat.start()
        await until_known(node, others)
        await asyncio.sleep(1)  # by then the others are known, too
        for number in range(3):
            for container in (*own, *part, *others):
                container.print(f"{container.pod} says {number}")
        records = await node.arrived.lines(3)
    assert [record.message for record in records] == [f"milepost-0 says {number}" for number in range(3)]


HINTS = {"co.elastic.logs/exclude_lines": "GET /healthz", "co.elastic.logs.sidecar/enabled": "false"}
HINTED = ["epoch 1 of 3", "GET /healthz", "epoch 2 of 3"]


@pytest.mark.parametrize(
    ("variant", "main", "sidecar"), [("v8", [HINTED[0], HINTED[2]], []), ("static", HINTED, HINTED)]
)
async def test_pods_say_by_hints_how_they_are_read_where_they_may(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path, variant: str, main: list[str], sidecar: list[str]
) -> None:
    async with shipping(cluster, kafka, tmp_path, variant) as node:
        containers = await node.run(annotations=HINTS, containers=[{"name": "main"}, {"name": "sidecar"}])
        for container in containers:
            container.print("\n".join(HINTED))
        node.filebeat.start()
        records = await node.arrived.lines(len(main) + len(sidecar))
    for container, expected in zip(containers, (main, sidecar), strict=True):
        place = f"/var/log/containers/{container.link.name}"
        assert [each.message for each in records if each.document["log"]["file"]["path"] == place] == expected


@VARIANTS
async def test_nothing_is_lost_when_a_file_is_rotated_or_removed_before_it_was_read(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path, variant: str
) -> None:
    async with shipping(cluster, kafka, tmp_path, variant) as node:
        (container,) = await read_already(node)
        expected = [f"line {number}" for number in range(3 * BURST)]
        container.print("\n".join(expected[:BURST]))
        container.rotate()
        container.print("\n".join(expected[BURST : 2 * BURST]))
        await node.arrived.until(lambda records: len(records) == 2 * BURST)
        container.print("\n".join(expected[2 * BURST :]))
        container.remove()
        records = await node.arrived.lines(3 * BURST)
    assert sorted(record.message for record in records) == sorted(expected)
    assert len({record.partition for record in records}) == 1


@VARIANTS
async def test_what_a_container_said_before_it_died_is_read_when_its_pod_is_gone(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path, variant: str
) -> None:
    async with shipping(cluster, kafka, tmp_path, variant) as node:
        (container,) = await read_already(node)
        await end_pod(node.client, container.namespace, container.pod)
        await asyncio.sleep(2)
        container.print("the last words")
        (record,) = await node.arrived.lines(1)
    assert record.message == "the last words"
    assert record.document["kubernetes"]["labels"]["seldon-deployment-id"] == "iris"


async def test_stopped_in_order_it_sends_nothing_twice(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path
) -> None:
    async with shipping(cluster, kafka, tmp_path, "v8") as node:
        (container,) = await node.run()
        expected = [f"line {number}" for number in range(10 * BURST)]
        container.print("\n".join(expected))
        node.filebeat.start()
        await node.arrived.until(lambda records: len(records) > 100)
        await asyncio.to_thread(node.filebeat.stop)
        stopped_after = len(node.arrived.records)
        node.filebeat.start()
        records = await node.arrived.lines(len(expected))
    assert stopped_after < len(expected)
    assert [record.message for record in records] == expected


@VARIANTS
async def test_killed_at_any_time_it_sends_every_line_at_least_once(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path, variant: str
) -> None:
    async with shipping(cluster, kafka, tmp_path, variant) as node:
        (container,) = await node.run()
        expected = [f"line {number}" for number in range(3 * BURST)]
        for part in range(3):
            container.print("\n".join(expected[part * BURST : (part + 1) * BURST]))
            node.filebeat.start()
            await node.arrived.until(lambda records: len(records) > part * BURST + 100)  # noqa: B023
            node.filebeat.kill()
        node.filebeat.start()
        records = await node.arrived.until(lambda records: {each.message for each in records} == set(expected))
    again = [record.document["log"]["offset"] for record in records if record.message == expected[0]]
    assert set(again) == {0}, "a repeated line has its offset again"


async def test_the_readiness_probe_tells_whether_a_broker_can_be_reached(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path
) -> None:
    (container,) = yaml.safe_load(DAEMON_SET.read_text())["spec"]["template"]["spec"]["containers"]
    probe = container["readinessProbe"]["exec"]["command"]
    async with shipping(cluster, kafka, tmp_path / "up", "v8") as node:
        one_of_two = {"KAFKA_HOSTS": f"127.0.0.1:1,{kafka.bootstrap}"}
        for more in ({}, one_of_two):
            asked = node.filebeat.run(probe, more)
            assert asked.returncode == 0, asked.stdout
        asked = node.filebeat.run(probe, {"KAFKA_HOSTS": "127.0.0.1:1"})
        assert asked.returncode == 1
        assert "connection refused" in asked.stdout


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_brokers_may_want_tls_a_certificate_and_a_password(
    cluster: ControlPlane, tmp_path: Path, mechanism: str
) -> None:
    pki = Pki(tmp_path / "pki")
    pki.make()
    broker = need(lambda: KafkaBroker(tmp_path / "broker", secured=Secured(pki, {"filebeat": "correct-horse"})))
    certificate, key = pki.client_certificate("filebeat")
    keys = tmp_path / "keys"
    keys.mkdir()
    for name, source in (("ca.crt", pki.folder / "ca.crt"), ("tls.crt", certificate), ("tls.key", key)):
        (keys / name).write_bytes(source.read_bytes())
    settings = {
        "KAFKA_TLS": "true",
        "KAFKA_CERTIFICATE": "/etc/filebeat/kafka/tls.crt",
        "KAFKA_CERTIFICATE_KEY": "/etc/filebeat/kafka/tls.key",
        "KAFKA_USERNAME": "filebeat",
        "KAFKA_PASSWORD": "correct-horse",
        "KAFKA_SASL_MECHANISM": mechanism,
    }
    broker.start()
    try:
        topic = await broker.create_topic("secured")
        outlet = Outlet(f"127.0.0.1:{broker.secured_port}", topic, settings, keys)
        async with shipping(cluster, broker, tmp_path / "node", "v8", outlet=outlet) as node:
            (container,) = await node.run()
            container.print("in secret")
            node.filebeat.start()
            (record,) = await node.arrived.lines(1)
            assert record.message == "in secret"
            assert "correct-horse" not in node.filebeat.process.output()
    finally:
        broker.stop()
