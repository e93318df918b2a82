"""From a container's print to a reader's screen: `python -m tests.bench.printed`.

A node of 110 containers prints, each into its own file, as containerd writes it; a real Filebeat with the shipped
configuration (`filebeat/v8`) ships to a real Kafka, the log-server stores, one follower reads all by SSE. Delay: from
the moment a line is in its file until the follower has read it. First at a steady rate, then quietly: one line of each
container every few seconds, when Filebeat looks at a file most rarely and waits longest for a line that continues it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
from collections.abc import Iterator

import aiohttp

from tests.bench.followers import broker_and_folder
from tests.bench.ingest import cpu_s, running
from tests.e2e.server import LogServer
from tests.filebeat.node import Container
from tests.filebeat.shipping import Shipping, shipping
from tests.parts.filebeat import Outlet
from tests.parts.kubernetes import ControlPlane

CONTAINERS = 110
STEADY = ("1,000 lines/s", 0.55, 54, 5)  # told, seconds between two prints of a container, prints, lines of each
QUIET = ("a line of each container every 5 s", 5.0, 6, 1)
PATIENCE_S = 60.0
_NUMBER = re.compile(rb"request (\d+) took")


async def follow(server: LogServer, attached: asyncio.Event, read_at: dict[int, list[float]]) -> None:
    """Note when each line was read, for ever."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        headers = {"Accept": "text/event-stream"}
        async with session.get(f"{server.url}/api/v1/logs/tail", params={"lines": "0"}, headers=headers) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                attached.set()
                for number in _NUMBER.findall(line):
                    read_at.setdefault(int(number), []).append(time.monotonic())


async def print_all(
    containers: list[Container], numbers: Iterator[int], every_s: float, prints: int, lines: int
) -> dict[int, float]:
    """Let the containers print, spread over each interval; return when each line was in its file."""
    printed_at: dict[int, float] = {}
    began = time.monotonic()
    for step in range(prints * len(containers)):
        await asyncio.sleep(max(began + step * every_s / len(containers) - time.monotonic(), 0))
        piece = list(itertools.islice(numbers, lines))
        container = containers[step % len(containers)]
        container.print("\n".join(f"INFO:  request {number} took {number % 90} ms" for number in piece))
        printed_at |= dict.fromkeys(piece, time.monotonic())
    return printed_at


async def measure(node: Shipping, server: LogServer) -> int:
    """Print the table; return how many lines were not shown once."""
    containers = [(await node.run(f"iris-{place}"))[0] for place in range(CONTAINERS)]
    await asyncio.to_thread(node.filebeat.start)
    attached, numbers, wrong = asyncio.Event(), itertools.count(), 0
    read_at: dict[int, list[float]] = {}
    following = asyncio.create_task(follow(server, attached, read_at))
    await attached.wait()
    await print_all(containers, numbers, 1.0, 4, 1)  # files are found and opened
    for told, every_s, prints, lines in (STEADY, QUIET):
        began, before_s = time.monotonic(), cpu_s(node.filebeat.process.pid)
        printed_at = await print_all(containers, numbers, every_s, prints, lines)
        deadline = time.monotonic() + PATIENCE_S
        while not printed_at.keys() <= read_at.keys() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        cores = (cpu_s(node.filebeat.process.pid) - before_s) / (time.monotonic() - began)
        wrong += sum(len(read_at.get(number, ())) != 1 for number in printed_at)
        delays = sorted(read_at[number][0] - at for number, at in printed_at.items() if number in read_at)
        spread = f"p50 {delays[len(delays) // 2]:.2f} s, p99 {delays[len(delays) * 99 // 100]:.2f} s"
        print(f"| {told} | {len(printed_at):,} lines, delay {spread}; Filebeat uses {cores:.2f} cores |")  # noqa: T201
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    print(f"| lines not shown once | {wrong} |")  # noqa: T201
    print(f"| machine | {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} |")  # noqa: T201
    return wrong


async def main() -> int:
    """Run everything in a folder that goes away."""
    with broker_and_folder() as (broker, folder):
        cluster = ControlPlane(folder / "cluster").start()
        try:
            topic = await broker.create_topic("printed", partitions=4)
            outlet = Outlet(broker.bootstrap, topic)
            with running(broker, folder / "server", topic) as server:
                async with shipping(cluster, broker, folder / "node", "v8", outlet=outlet) as node:
                    return await measure(node, server)
        finally:
            cluster.stop()


if __name__ == "__main__":
    raise SystemExit(min(asyncio.run(main()), 1))
