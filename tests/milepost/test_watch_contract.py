"""Watching a real API server through a wire that breaks: what a consumer is told stays the truth."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from milepost.kube import KubeClient, KubeSettings, WatchEvent, resource_path
from milepost.units import Seconds
from milepost.watch import Kind
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, create_namespace
from tests.parts.proxy import BreakingProxy

pytestmark = pytest.mark.cluster

WAIT_S = 40
QUICK = dataclasses.replace(KubeSettings(), backoff_max=Seconds(1))
SHORT = dataclasses.replace(QUICK, watch_timeout=Seconds(3))
IMPATIENT = dataclasses.replace(QUICK, watch_idle=Seconds(1), timeout=Seconds(2))


class Follower:
    """A consumer as the programs are: applies events to a state, and notes what it was told."""

    def __init__(self, client: KubeClient, path: str) -> None:
        self.state: dict[str, str] = {}
        self.events: list[WatchEvent] = []
        self._task = asyncio.create_task(self._follow(client, path))

    async def _follow(self, client: KubeClient, path: str) -> None:
        params = {"fieldSelector": "metadata.name!=kube-root-ca.crt"}
        async with aclosing(client.watch(path, params)) as events:
            async for event in events:
                self.apply(event)

    def apply(self, event: WatchEvent) -> None:
        self.events.append(event)
        item = msgspec.json.decode(event.object) if event.object else {}
        if event.kind in (Kind.ADDED, Kind.MODIFIED):
            self.state[item["metadata"]["name"]] = (item.get("data") or {}).get("key", "")
        elif event.kind is Kind.DELETED:
            self.state.pop(item["metadata"]["name"])

    def count(self, kind: Kind) -> int:
        return sum(event.kind is kind for event in self.events)

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not ready():
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def admin(cluster: ControlPlane) -> AsyncIterator[KubeClient]:
    async with cluster.client() as client:
        yield client


@pytest.fixture
async def path(admin: KubeClient) -> str:
    return resource_path("", "v1", "configmaps", namespace=await create_namespace(admin))


@pytest.fixture
def proxy(cluster: ControlPlane) -> Any:
    with BreakingProxy(int(cluster.url.rsplit(":", 1)[1])) as proxy:
        yield proxy


def through(cluster: ControlPlane, proxy: BreakingProxy, folder: Path, settings: KubeSettings = QUICK) -> KubeClient:
    content = yaml.safe_load(cluster.kubeconfig().read_text())
    content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    (folder / "config").write_text(yaml.safe_dump(content))
    return KubeClient.load(folder / "config", settings=settings)


async def put(client: KubeClient, path: str, name: str, value: str) -> None:
    await create(client, path, {"metadata": {"name": name}, "data": {"key": value}})


async def patch(client: KubeClient, path: str, name: str, value: str) -> None:
    body = msgspec.json.encode({"data": {"key": value}})
    await client.request("PATCH", f"{path}/{name}", body=body, content_type="application/merge-patch+json")


async def test_what_is_there_then_what_changes_in_order(admin: KubeClient, path: str) -> None:
    await put(admin, path, "a", "1")
    follower = Follower(admin, path)
    await follower.until(lambda: follower.count(Kind.LISTED) == 1)
    assert follower.state == {"a": "1"}
    await put(admin, path, "b", "1")
    await patch(admin, path, "b", "2")
    await admin.request("DELETE", f"{path}/a")
    await follower.until(lambda: follower.state == {"b": "2"})
    kinds = [event.kind for event in follower.events]
    assert kinds == [Kind.ADDED, Kind.LISTED, Kind.ADDED, Kind.MODIFIED, Kind.DELETED]
    await follower.stop()


async def test_a_watch_that_the_server_ends_goes_on_unnoticed_with_bookmarks(
    cluster: ControlPlane, proxy: BreakingProxy, admin: KubeClient, path: str, tmp_path: Path
) -> None:
    async with through(cluster, proxy, tmp_path, SHORT) as client:
        follower = Follower(client, path)
        await follower.until(lambda: follower.count(Kind.LISTED) == 1)
        # A bookmark carries news of the collection elsewhere, which this watch does not see.
        elsewhere = resource_path("", "v1", "configmaps", namespace=await create_namespace(admin))
        # Each of these short watches sends one, shortly before it ends: two are from two watches.
        noise = itertools.count()
        async with asyncio.timeout(WAIT_S):
            while follower.count(Kind.BOOKMARK) < 2:
                await put(admin, elsewhere, f"noise-{next(noise)}", "1")
                await asyncio.sleep(0.3)
        await put(admin, path, "a", "1")
        await follower.until(lambda: follower.state == {"a": "1"})
        assert follower.count(Kind.LISTED) == 1
        assert follower.count(Kind.INTERRUPTED) == 0
        await follower.stop()


async def test_a_cut_wire_loses_nothing_and_lists_nothing_again(
    cluster: ControlPlane, proxy: BreakingProxy, admin: KubeClient, path: str, tmp_path: Path
) -> None:
    async with through(cluster, proxy, tmp_path) as client:
        follower = Follower(client, path)
        await follower.until(lambda: follower.count(Kind.LISTED) == 1)
        await put(admin, path, "a", "1")
        await follower.until(lambda: follower.state == {"a": "1"})
        await asyncio.to_thread(proxy.refuse)
        await patch(admin, path, "a", "2")
        await put(admin, path, "b", "1")
        await follower.until(lambda: follower.count(Kind.INTERRUPTED) >= 1)
        await asyncio.to_thread(proxy.accept)
        await follower.until(lambda: follower.state == {"a": "2", "b": "1"})
        assert follower.count(Kind.LISTED) == 1
        await follower.stop()


async def test_a_silent_wire_is_noticed_and_left(
    cluster: ControlPlane, proxy: BreakingProxy, admin: KubeClient, path: str, tmp_path: Path
) -> None:
    async with through(cluster, proxy, tmp_path, IMPATIENT) as client:
        follower = Follower(client, path)
        await follower.until(lambda: follower.count(Kind.LISTED) == 1)
        proxy.stall()
        await put(admin, path, "a", "1")
        await follower.until(lambda: follower.count(Kind.INTERRUPTED) >= 1)
        reasons = {event.error.reason for event in follower.events if event.error}
        assert reasons == {"Timeout"}
        proxy.flow()
        await follower.until(lambda: follower.state == {"a": "1"})
        await follower.stop()


async def test_what_vanished_behind_an_expired_version_is_told_as_deleted(
    cluster: ControlPlane, proxy: BreakingProxy, admin: KubeClient, path: str, tmp_path: Path
) -> None:
    for name in ("gone", "stays", "replaced"):
        await put(admin, path, name, "1")
    async with through(cluster, proxy, tmp_path) as client:
        follower = Follower(client, path)
        await follower.until(lambda: follower.count(Kind.LISTED) == 1)
        await asyncio.to_thread(proxy.refuse)
        await admin.request("DELETE", f"{path}/gone")
        await admin.request("DELETE", f"{path}/replaced")
        await put(admin, path, "replaced", "2")
        await asyncio.to_thread(cluster.expire_versions)
        await asyncio.to_thread(proxy.accept)
        await follower.until(lambda: follower.count(Kind.LISTED) == 2)
        assert follower.state == {"stays": "1", "replaced": "2"}
        expired = [event.error.status for event in follower.events if event.error]
        assert 410 in expired
        await follower.stop()


async def test_a_restart_of_the_api_server_is_survived(cluster: ControlPlane, admin: KubeClient, path: str) -> None:
    follower = Follower(admin, path)
    await follower.until(lambda: follower.count(Kind.LISTED) == 1)
    await put(admin, path, "before", "1")
    await asyncio.to_thread(cluster.restart_apiserver)
    await put(admin, path, "after", "1")
    await follower.until(lambda: follower.state == {"before": "1", "after": "1"})
    assert follower.count(Kind.INTERRUPTED) >= 1
    await follower.stop()
