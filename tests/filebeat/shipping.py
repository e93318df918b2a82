"""One node whose containers' lines a real Filebeat ships to a real Kafka, and what arrived there."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiokafka import AIOKafkaConsumer

from milepost.kube import KubeClient, KubeError, resource_path
from tests.filebeat.node import Container, run_pod
from tests.parts.filebeat import CONFIGURATIONS, Filebeat, Outlet
from tests.parts.kafka import KafkaBroker
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import RBAC, Object, create, create_namespace, create_nodes, node

ARRIVES_S = 60.0
QUIET_S = 3.0
SELDON = {
    "seldon-deployment-id": "iris",
    "seldon-app": "iris-default",
    "version": "default",
    "app.kubernetes.io/managed-by": "seldon-core",
}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the topic: its value as it came and as JSON."""

    partition: int
    key: bytes | None
    raw: bytes
    document: Document

    @property
    def message(self) -> str:
        """The line."""
        return str(self.document["message"])


class Arrived:
    """What is in the topic so far."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.records: list[Record] = []

    async def until(self, ready: Callable[[list[Record]], bool]) -> list[Record]:
        """Read until `ready(all so far)`; fails with what is there when nothing more comes for `ARRIVES_S`."""
        while not ready(self.records):
            if not await self._read(ARRIVES_S):
                raise AssertionError(f"only these came: {[record.message[:80] for record in self.records]}")
        return self.records

    async def lines(self, count: int) -> list[Record]:
        """Wait for that many, and that no further one follows."""
        await self.until(lambda records: len(records) >= count)
        await self._read(QUIET_S)
        assert len(self.records) == count, [record.message[:80] for record in self.records]
        return self.records

    async def _read(self, wait_s: float) -> bool:
        batches = await self._consumer.getmany(timeout_ms=int(wait_s * 1000))
        found = [record for batch in batches.values() for record in batch]
        self.records += [Record(each.partition, each.key, each.value, json.loads(each.value)) for each in found]
        return bool(found)


@dataclass(frozen=True, slots=True)
class Shipping:
    """A node, its Filebeat (not started yet) and the topic."""

    client: KubeClient
    namespace: str
    node: str
    filebeat: Filebeat
    arrived: Arrived

    async def run(
        self,
        name: str = "iris-default-0-classifier-6c9f7d8b54-x2m7k",
        *,
        namespace: str = "",
        labels: Mapping[str, str] = SELDON,
        annotations: Mapping[str, str] | None = None,
        containers: Sequence[Mapping[str, Any]] = ({"name": "classifier"},),
    ) -> list[Container]:
        """Run a pod on the node and return its containers."""
        images = [{"image": "registry.test/ml/iris:1.4.0", **each} for each in containers]
        pod = {
            "metadata": {"name": name, "labels": dict(labels), "annotations": dict(annotations or {})},
            "spec": {"nodeName": self.node, "containers": images},
        }
        running = await run_pod(self.client, namespace or self.namespace, pod)
        return [Container(self.filebeat.logs, running, each["name"]) for each in images]


@asynccontextmanager
async def shipping(
    cluster: ControlPlane, kafka: KafkaBroker, folder: Path, variant: str, *, outlet: Outlet | None = None
) -> AsyncIterator[Shipping]:
    """Make a node of one's own and a Filebeat with the shipped configuration on it; `outlet` instead of a new topic."""
    name = f"node-{uuid.uuid4().hex[:8]}"
    topic = outlet.topic if outlet else await kafka.create_topic(f"shipped-{name}", partitions=2)
    filebeat = Filebeat(folder, variant, outlet or Outlet(kafka.bootstrap, topic), node=name, cluster=cluster)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    async with cluster.client() as client, consumer:
        await _prepare(client)
        await create_nodes(client, [node(name)])
        try:
            yield Shipping(client, await create_namespace(client), name, filebeat, Arrived(consumer))
        finally:
            await asyncio.to_thread(filebeat.stop)


async def _prepare(client: KubeClient) -> None:
    """Make Milepost's namespace, and give Filebeat's service account the shipped rights and no others."""
    objects: list[Object] = [{"kind": "Namespace", "metadata": {"name": "milepost"}}]
    objects += yaml.safe_load_all((CONFIGURATIONS / "manifests" / "rbac.yaml").read_text())
    for item in objects:
        if item["kind"] == "ServiceAccount":
            continue
        group = "" if item["kind"] == "Namespace" else RBAC
        try:
            await create(client, resource_path(group, "v1", f"{item['kind'].lower()}s"), item)
        except KubeError as error:
            if error.reason != "AlreadyExists":
                raise
