"""Listing a thousand models over HTTP from a live cluster: `python -m tests.bench.deploy_list [models]`.

A real kube-apiserver with that many SeldonDeployments, Deployments and records; `milepost platform` as a process of its
own, asked over HTTP with a token that the cluster reviews. Printed: the whole list with every model's state in pages of
`platform.page`, a filtered list, the first answer of a watch, each in seconds and in CPU seconds of the platform; and
the platform's resident memory with no model and with all of them.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from deploy.cluster.store import RECORD_LABEL
from deploy.objects import MANAGED_BY
from deploy.record import Record, edits
from deploy.record.coding import encode
from deploy.record.journal import Deed
from deploy.seen import MODEL_LABEL, SELDON_ID_LABEL
from deploy.spec import ModelSpec
from milepost.kube import KubeClient, resource_path
from tests.deploy.platform_process import PlatformProcess
from tests.parts import crds
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create

LIMIT_S = 0.5
TIMES = 15
AT_ONCE = 16
NAMESPACE = "models"


async def populate(client: KubeClient, models: int) -> None:
    """Create the objects of that many models."""
    await create(client, resource_path("", "v1", "namespaces"), {"metadata": {"name": NAMESPACE}})
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with slots:
            for group, kind, body in objects(f"m{number:04}"):
                await create(client, resource_path(group, "v1", kind, namespace=NAMESPACE), body)

    await asyncio.gather(*(one(number) for number in range(models)))


def objects(name: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (group, plural, object) of one model: without replicas, for it is the list that is measured."""
    spec = ModelSpec(name=name, namespace=NAMESPACE, image="registry.example/m:1", labels={"team": f"t{name[-1]}"})
    record = edits.ended(edits.apply(Record(NAMESPACE, name), spec, Deed("ada", 1.0, "first")), now=2.0)
    seldon = {
        "apiVersion": "machinelearning.seldon.io/v1",
        "kind": "SeldonDeployment",
        "metadata": {"name": name, "labels": {"team": f"t{name[-1]}"}},
        "spec": {"predictors": [{"name": "default", "graph": {"name": name}}]},
    }
    labels = {SELDON_ID_LABEL: name, "app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "m:1"}]}}
    deployment = {
        "metadata": {"name": f"{name}-default-0", "labels": labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template},
    }
    stored = {
        "metadata": {
            "name": f"milepost-model-{name}",
            "labels": {**MANAGED_BY, MODEL_LABEL: name, RECORD_LABEL: "true"},
        },
        "data": {"record.json": encode(record).decode()},
    }
    return [
        ("machinelearning.seldon.io", "seldondeployments", seldon),
        ("apps", "deployments", deployment),
        ("", "configmaps", stored),
    ]


async def measure(platform: PlatformProcess, token: str, models: int) -> float:
    """Print the figures; return the seconds of the whole list."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(platform.url, headers=headers) as session:

        async def whole() -> int:
            found, after = 0, ""
            body: dict[str, Any]
            while True:
                params = {"namespace": NAMESPACE, "limit": "500", "continue": after}
                async with session.get("/api/v1/models", params=params) as answer:
                    body = msgspec.json.decode(await answer.read())
                found += len([row for row in body["models"] if row["state"] == "ready"])
                after = body["continue"]
                if not after:
                    return found

        async def filtered() -> int:
            async with session.get("/api/v1/models", params={"namespace": NAMESPACE, "selector": "team=t7"}) as answer:
                rows: list[Any] = msgspec.json.decode(await answer.read())["models"]
                return len(rows)

        async def watched() -> int:
            async with session.get("/api/v1/watch", params={"namespace": NAMESPACE}) as answer:
                found = 0
                async for line in answer.content:
                    found += line == b"event: model\n"
                    if line == b"event: listed\n":
                        break
                return found

        seconds = await _timed("list with states", whole, models, platform)
        await _timed("list of one team", filtered, models // 10, platform)
        await _timed("first answer of a watch", watched, models, platform)
    return seconds


async def _timed(what: str, call: Callable[[], Awaitable[int]], expected: int, platform: PlatformProcess) -> float:
    async with asyncio.timeout(300):
        while await call() != expected:  # noqa: ASYNC110 - the last states are still on their way
            await asyncio.sleep(0.5)
    taken, cpu = [], _cpu_s(platform)
    for _ in range(TIMES):
        begun = time.perf_counter()
        found = await call()
        taken.append(time.perf_counter() - begun)
        if found != expected:
            raise SystemExit(f"{what}: {found} models instead of {expected}")
    cpu_ms = (_cpu_s(platform) - cpu) / TIMES * 1000
    told = f"median {statistics.median(taken) * 1000:.0f} ms, worst {max(taken) * 1000:.0f} ms, CPU {cpu_ms:.0f} ms"
    print(f"{what}: {expected} models, {told}")  # noqa: T201
    return statistics.median(taken)


def _cpu_s(platform: PlatformProcess) -> float:
    fields = Path(f"/proc/{platform.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mib(platform: PlatformProcess) -> float:
    lines = Path(f"/proc/{platform.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def main(models: int) -> int:
    """Run the measurement; return 1 when the list takes longer than the limit."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = ControlPlane(Path(folder) / "cluster").start()
        platform = PlatformProcess(Path(folder), cluster.kubeconfig())
        try:
            async with cluster.client() as client:
                await crds.apply_definitions(client, crds.definitions())
                platform.start()
                empty_mib = _resident_mib(platform)
                begun = time.perf_counter()
                await populate(client, models)
                print(f"{models} models created in {time.perf_counter() - begun:.0f} s")  # noqa: T201
                seconds = await measure(platform, cluster.token("admin", ("system:masters",)), models)
                full_mib = _resident_mib(platform)
                platform.kill()
                begun = time.perf_counter()
                platform.start()
                print(f"ready again after a kill -9 in {time.perf_counter() - begun:.1f} s")  # noqa: T201
            print(f"resident memory: {empty_mib:.0f} MiB without models, {full_mib:.0f} MiB with {models}")  # noqa: T201
        finally:
            platform.kill()
            cluster.stop()
    print(f"list with states of {models} models: {seconds * 1000:.0f} ms (limit {LIMIT_S * 1000:.0f} ms for 1,000)")  # noqa: T201
    return int(seconds > LIMIT_S * max(1.0, models / 1000))


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)))
