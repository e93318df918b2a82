"""Calls of the Dubbo entry per CPU-second, beside plain HTTP requests to the same model in the same run.

A caller on one connection keeps 32 requests of 10 rows of 20 numbers under way. The gateway's own CPU time is what
counts: caller and model, which are Python as well, share the cores with it and limit what the clock shows.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

import aiohttp

from tests.dubbo.models import ModelServer
from tests.dubbo.program import HOST, DubboProgram
from tests.dubbo.wire import Wire, body
from tests.parts.addresses import make_local

CALLS = 3000
UNDER_WAY = 32
RUNS = 3
ROWS = [[row + column / 7 for column in range(20)] for row in range(10)]
SERVICES = """
services:
  - interface: com.example.Models
    version: 1.0.0
    group: risk
    methods:
      predict: {protocol: tensorflow, url: URL, model: sum, arguments: [rows]}
"""


def main() -> None:
    """Measure and print."""
    make_local()
    with tempfile.TemporaryDirectory() as folder, ModelServer() as models:
        gateway = DubboProgram(Path(folder), SERVICES.replace("URL", models.url)).start()
        try:
            runs = [(_dubbo(gateway), asyncio.run(_plain(models.url))) for _ in range(RUNS)]
        finally:
            gateway.stop()
    per_cpu_s = [CALLS / cpu_s for (cpu_s, _), _ in runs]
    per_s = [CALLS / took_s for (_, took_s), _ in runs]
    plain = [CALLS / took_s for _, took_s in runs]
    print(f"dubbo calls per CPU-second of the gateway   {min(per_cpu_s):,.0f} to {max(per_cpu_s):,.0f}")  # noqa: T201
    print(f"dubbo calls/s by the clock                  {min(per_s):,.0f} to {max(per_s):,.0f}")  # noqa: T201
    print(f"plain HTTP requests/s by the clock          {min(plain):,.0f} to {max(plain):,.0f}")  # noqa: T201
    ratio = statistics.median(dubbo / http for dubbo, http in zip(per_s, plain, strict=True))
    print(f"dubbo against plain HTTP, in the same run   {ratio:.2f}")  # noqa: T201


def _dubbo(gateway: DubboProgram) -> tuple[float, float]:
    """Return CPU seconds of the gateway and seconds by the clock."""
    content = body("predict", "[[D", ROWS)
    slots = threading.Semaphore(UNDER_WAY)
    with Wire(HOST, gateway.port) as wire:

        def answers() -> None:
            for _ in range(CALLS):
                assert wire.answer().values[0] == 4
                slots.release()

        reader = threading.Thread(target=answers)
        cpu_s, started = _cpu_s(gateway.process.pid), time.perf_counter()
        reader.start()
        for _ in range(CALLS):
            slots.acquire()
            wire.request(content)
        reader.join()
        return _cpu_s(gateway.process.pid) - cpu_s, time.perf_counter() - started


async def _plain(url: str) -> float:
    """Return the seconds that as many requests to the model take."""
    content = json.dumps({"instances": ROWS}).encode()
    gate = asyncio.Semaphore(UNDER_WAY)
    async with aiohttp.ClientSession() as session:

        async def one() -> None:
            async with gate, session.post(f"{url}/v1/models/sum:predict", data=content) as answer:
                assert len((await answer.json())["predictions"]) == len(ROWS)

        started = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(CALLS)))
        return time.perf_counter() - started


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
