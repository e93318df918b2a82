"""The Kubernetes API as a source: complete, stale, absent, forbidden; and nothing that vanished unseen stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from exporter.cluster.podindex import PodIndex
from exporter.read.watching import KubernetesSource, Resource
from milepost.kube import KubeClient, KubeError
from milepost.watch import Kind, WatchEvent
from tests.exporter.workload import seldon_pod

Step = WatchEvent | KubeError
LISTED = WatchEvent(Kind.LISTED)
LOST = WatchEvent(Kind.INTERRUPTED, error=KubeError(0, "Unreachable", "the wire broke"))
NOT_FOUND = KubeError(404, "NotFound", "the server could not find the requested resource")
FORBIDDEN = KubeError(403, "Forbidden", "pods is forbidden")


def added(name: str) -> WatchEvent:
    pod = seldon_pod(name)
    pod["metadata"]["uid"] = name
    return WatchEvent(Kind.ADDED, msgspec.json.encode(pod))


class ScriptedClient(KubeClient):
    """A client whose watches follow scripts, one after the other; the last one stays open."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self.scripts = list(scripts)

    async def watch(
        self, path: str, params: Mapping[str, str | int | bool] | None = None
    ) -> AsyncGenerator[WatchEvent, None]:
        for step in self.scripts.pop(0):
            if isinstance(step, KubeError):
                raise step
            yield step
        await asyncio.Event().wait()


@asynccontextmanager
async def following(
    *scripts: Sequence[Step], stale_max_s: float = 60, optional: bool = False
) -> AsyncIterator[tuple[KubernetesSource, PodIndex]]:
    """A source that has gone through the scripts."""
    pods, client = PodIndex(render=True), ScriptedClient(*scripts)
    resource = Resource("pods", "/api/v1/pods", pods, {}, optional=optional)
    source = KubernetesSource(client, (resource,), pods.add_lines, stale_max_s=stale_max_s, absent_retry_s=0.01)
    task = asyncio.create_task(source.run())
    await asyncio.sleep(0.05)
    try:
        yield source, pods
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.read.watching._LOST_RETRY_S", 0.01)


async def test_nothing_is_served_before_the_first_list_is_complete() -> None:
    async with following([added("a")]) as (source, _):
        assert not source.complete
        result = await source.collect(0)
        assert (result.error, result.samples.blocks) == ("starting", [])


async def test_a_complete_list_is_served_with_no_age() -> None:
    async with following([added("a"), LISTED]) as (source, _):
        result = await source.collect(0)
        assert (source.complete, result.error, result.age_s) == (True, "", 0.0)
        assert result.samples.blocks


async def test_a_lost_watch_is_served_with_its_age_until_it_is_stale() -> None:
    async with following([added("a"), LISTED, LOST]) as (source, _):
        result = await source.collect(0)
        assert (result.error, result.age_s > 0, bool(result.samples.blocks)) == ("", True, True)
    async with following([added("a"), LISTED, LOST], stale_max_s=0.01) as (source, _):
        result = await source.collect(0)
        assert (result.error, result.samples.blocks) == ("stale", [])
        assert "the wire broke" in result.error_detail


async def test_a_watch_that_goes_on_is_young_again() -> None:
    async with following([added("a"), LISTED, LOST, added("b")]) as (source, pods):
        assert ((await source.collect(0)).age_s, len(pods)) == (0.0, 2)


async def test_a_resource_the_cluster_does_not_have_is_no_failure_and_is_found_later() -> None:
    async with following([NOT_FOUND], [NOT_FOUND], [added("a"), LISTED], optional=True) as (source, pods):
        assert (source.complete, (await source.collect(0)).error, len(pods)) == (True, "", 1)


async def test_a_resource_that_is_taken_away_leaves_nothing_behind() -> None:
    async with following([added("a"), LISTED, NOT_FOUND], [NOT_FOUND] * 1, [], optional=True) as (_, pods):
        assert len(pods) == 0


async def test_a_missing_right_ends_it_at_the_start_only() -> None:
    with pytest.raises(ExceptionGroup) as ended:
        await KubernetesSource(
            ScriptedClient([FORBIDDEN]), (Resource("pods", "/", PodIndex(render=False), {}),), lambda _: None,
            stale_max_s=1, absent_retry_s=1,
        ).run()  # fmt: skip
    assert ended.value.exceptions == (FORBIDDEN,)
    async with following([added("a"), LISTED, FORBIDDEN], [added("a"), LISTED]) as (source, _):
        assert (await source.collect(0)).error == ""


async def test_what_vanished_between_two_watches_is_forgotten() -> None:
    before: list[Step] = [added("stays"), added("goes"), LISTED, FORBIDDEN]
    async with following(before, [added("stays"), LISTED]) as (_, pods):
        assert [entry.uid for entry in pods] == ["stays"]


async def test_an_object_that_cannot_be_read_is_counted_and_costs_only_itself() -> None:
    bad = WatchEvent(Kind.ADDED, b'{"metadata":{"name":"x"},"spec":{"containers":[{"name":"c","resources":'
                                 b'{"limits":{"cpu":"plenty"}}}]}}')  # fmt: skip
    async with following([bad, added("a"), LISTED]) as (source, pods):
        assert (source.bad_objects, len(pods), (await source.collect(0)).error) == (1, 1, "")
