"""From what containers print to what people read, by a real Filebeat, Kafka and log-server, each of them killed."""

from __future__ import annotations

import asyncio
import shutil
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from logserver.store import read
from tests.e2e.follower import followed
from tests.e2e.server import LogServer
from tests.e2e.steps import opened, until
from tests.filebeat.node import Container
from tests.filebeat.shipping import SELDON, Shipping, shipping
from tests.parts.filebeat import Outlet
from tests.parts.kafka import KafkaBroker
from tests.parts.kubernetes import ControlPlane

pytestmark = [pytest.mark.usefixtures("filebeat_program"), pytest.mark.kafka, pytest.mark.cluster, pytest.mark.slow]
ROUNDS = 5
LINES = 4000
"""Lines that each container prints in a round."""
PIECES = 40
PODS = {"iris-default-0-classifier-x2m7k": "iris", "iris-default-0-classifier-q8m4d": "iris", "fraud-0": "fraud"}
TRACEBACK = """Traceback (most recent call last):
  File "/microservice/Iris.py", line 41, in predict
    raise ValueError(rows)
ValueError: request {} of client 7 has 3 columns"""


def line(number: int) -> str:
    return TRACEBACK.format(number) if number % 10 == 0 else f"INFO:  request {number} of client 7 took 12 ms"


@dataclass(slots=True)
class Printed:
    """A container and all that it has printed."""

    model: str
    container: Container
    first: int
    lines: list[str] = field(default_factory=list)

    async def print(self) -> None:
        """Print a round's lines within about a second, one of ten a traceback."""
        for _ in range(PIECES):
            start = self.first + len(self.lines)
            piece = [line(number) for number in range(start, start + LINES // PIECES)]
            await asyncio.to_thread(self.container.print, "\n".join(piece))
            self.lines += piece
            await asyncio.sleep(1 / PIECES)

    def is_read_back(self, server: LogServer) -> bool:
        """Whether the Kubernetes-shaped log is what was printed, line by line."""
        query = urllib.parse.urlencode({"container": self.container.name, "tailLines": 10 * ROUNDS * LINES})
        path = f"api/v1/namespaces/{self.container.namespace}/pods/{self.container.pod}/log"
        with urllib.request.urlopen(f"{server.url}/{path}?{query}", timeout=60) as answer:  # noqa: S310 (loopback)
            told = answer.read().decode()
        return bool(told == "".join(f"{line}\n" for line in self.lines))


async def printing(node: Shipping) -> list[Printed]:
    """Run the pods, which print numbers of their own."""
    printed = []
    for place, (pod, model) in enumerate(PODS.items()):
        (container,) = await node.run(pod, labels={**SELDON, "seldon-deployment-id": model})
        printed.append(Printed(model, container, first=place * ROUNDS * LINES))
    return printed


async def disturb(number: int, node: Shipping, server: LogServer, printed: list[Printed]) -> None:
    """What happens in the middle of a round."""
    match number:
        case 1:
            await asyncio.to_thread(node.filebeat.kill)
            await asyncio.to_thread(node.filebeat.start)
        case 2:
            await asyncio.to_thread(server.kill)
            server.start()
            await asyncio.to_thread(server.wait_ready)
        case 3:
            for each in printed:
                each.container.rotate()
        case 4:  # a node whose disk was replaced: everything that is still there is sent again
            await asyncio.to_thread(node.filebeat.stop)
            shutil.rmtree(node.filebeat.data / "registry")
            await asyncio.to_thread(node.filebeat.start)


async def test_what_containers_print_is_read_back_line_by_line(
    cluster: ControlPlane, kafka: KafkaBroker, tmp_path: Path
) -> None:
    topic = await kafka.create_topic(f"filebeat-{uuid.uuid4().hex[:8]}", partitions=4)
    outlet = Outlet(kafka.bootstrap, topic)
    with LogServer(tmp_path, kafka.bootstrap, topic) as server:
        server.start()
        await asyncio.to_thread(server.wait_ready)
        async with shipping(cluster, kafka, tmp_path / "node", "v8", outlet=outlet) as node:
            printed = await printing(node)
            of_model = {"namespace": node.namespace, "model": "iris"}
            await asyncio.to_thread(node.filebeat.start)
            async with followed(server.url, len(PODS) * ROUNDS * LINES, of_model) as (follower,):
                for number in range(ROUNDS):
                    async with asyncio.TaskGroup() as tasks:
                        for each in printed:
                            tasks.create_task(each.print())
                        await asyncio.sleep(0.5)
                        await disturb(number, node, server, printed)
                    await until(lambda: all(each.is_read_back(server) for each in printed), f"round {number}")
                await until(lambda: follower.count >= 2 * ROUNDS * LINES, "the follower to see the last line")
        assert server.metric("duplicates_total") > LINES, "little was sent again"
        assert await asyncio.to_thread(server.stop) == 0
    ours = {
        number for each in printed if each.model == "iris" for number in range(each.first, each.first + ROUNDS * LINES)
    }
    assert [number for number, times in enumerate(follower.seen) if times != (number in ours)][:20] == []
    with opened(server) as store:
        assert read(store, "SELECT model, predictor, count() AS rows FROM lines GROUP BY ALL ORDER BY ALL") == [
            {"model": "fraud", "predictor": "default", "rows": ROUNDS * LINES},
            {"model": "iris", "predictor": "default", "rows": 2 * ROUNDS * LINES},
        ]
