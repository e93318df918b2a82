"""The lock of a model on a real API server: one holder, taken over after its death, given back, lost when starved."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from deploy.cluster import Cluster
from deploy.cluster.lock import LockSettings, locked
from deploy.errors import Busy
from milepost.kube import ContentType, resource_path
from milepost.units import Seconds
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create_namespace

pytestmark = pytest.mark.cluster
SHORT = LockSettings(duration=Seconds(2), wait=Seconds(120))


class Clock:
    """The monotonic clock, which a test may set forward: a process that was stalled for that long."""

    def __init__(self) -> None:
        self.stalled_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.stalled_s


@contextlib.asynccontextmanager
async def one_model(cluster: ControlPlane) -> AsyncIterator[tuple[Cluster, str]]:
    async with cluster.client() as client:
        yield Cluster(client), await create_namespace(client, "lock")


async def holder_of(cluster: Cluster, namespace: str) -> str:
    path = resource_path("coordination.k8s.io", "v1", "leases", namespace=namespace, name="milepost-model-m")
    holder: str = msgspec.json.decode(await cluster.request("GET", path))["spec"].get("holderIdentity", "")
    return holder


async def test_a_second_process_waits_until_the_first_gives_the_lock_back(cluster: ControlPlane) -> None:
    async with one_model(cluster) as (api, namespace):
        order: list[str] = []

        async def second() -> None:
            async with locked(api, namespace, "m", holder="second", settings=SHORT) as lock:
                order.append("second in")
                assert lock.held

        async with locked(api, namespace, "m", holder="first", settings=SHORT) as lock:
            waiting = asyncio.create_task(second())
            with pytest.raises(Busy, match=r"m is being worked on by first; it was waited for 0\.1 s \(lock\.wait\)"):
                async with locked(api, namespace, "m", holder="third", settings=LockSettings(Seconds(2), Seconds(0.1))):
                    raise AssertionError("two holders")
            assert not waiting.done()
            assert lock.held
            order.append("first out")
        await waiting
        assert order == ["first out", "second in"]
        assert await holder_of(api, namespace) == ""


async def test_the_lock_of_a_dead_holder_is_taken_over_after_its_duration_and_not_before(cluster: ControlPlane) -> None:
    async with one_model(cluster) as (api, namespace):
        dead = locked(api, namespace, "m", holder="dead", settings=LockSettings(Seconds(4), Seconds(1)))
        lock = await dead.__aenter__()
        # Its process is gone: nothing renews the Lease and nothing gives it back.
        [renewal] = [task for task in asyncio.all_tasks() if "_renew" in repr(task.get_coro())]
        renewal.cancel()
        began = time.monotonic()
        async with locked(api, namespace, "m", holder="heir", settings=SHORT):
            assert time.monotonic() - began >= 4
            assert await holder_of(api, namespace) == "heir"
        lock.lost = "the process is gone"
        with contextlib.suppress(asyncio.CancelledError):
            await dead.__aexit__(None, None, None)


async def test_whoever_was_stalled_for_a_duration_knows_that_the_lock_may_be_anothers(cluster: ControlPlane) -> None:
    async with one_model(cluster) as (api, namespace):
        clock = Clock()
        slow = LockSettings(Seconds(60), Seconds(120))
        async with locked(api, namespace, "m", holder="stalled", settings=slow, monotonic=clock) as lock:
            before = lock.held
            clock.stalled_s = 61
            assert (before, lock.held) == (True, False)
        # Not held, so it is not given back either: it may be somebody else's by now.
        assert await holder_of(api, namespace) == "stalled"
        ahead = Clock()

        async def later() -> None:
            await asyncio.sleep(1)
            ahead.stalled_s = 61

        moving = asyncio.create_task(later())
        async with locked(api, namespace, "m", holder="heir", settings=slow, monotonic=ahead) as heir:
            assert heir.held
            assert await holder_of(api, namespace) == "heir"
        await moving


async def test_a_lock_that_somebody_else_took_is_lost_at_the_next_renewal(cluster: ControlPlane) -> None:
    async with one_model(cluster) as (api, namespace):
        async with locked(
            api, namespace, "m", holder="robbed", settings=LockSettings(Seconds(2), Seconds(120))
        ) as lock:
            path = resource_path("coordination.k8s.io", "v1", "leases", namespace=namespace, name="milepost-model-m")
            body = msgspec.json.encode({"spec": {"holderIdentity": "robber"}})
            await api.request("PATCH", path, body=body, content_type=ContentType.MERGE)
            async with asyncio.timeout(60):
                while not lock.lost:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert not lock.held
        assert await holder_of(api, namespace) == "robber"
