"""Every operation dies before and after each of its writes, on a real API server, and the next process goes on.

A client that dies sends nothing any more, not even the lock's release: for the API server that is a kill -9. Run after
run dies one write later, now just before it is sent, now when it was sent and its answer is lost. After every death
whatever the routes lead to can answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from deploy.cli.session import GROUPS, platform_of
from deploy.operate import Platform
from deploy.record import Record, RolloutPlan, edits
from deploy.record.journal import Deed
from deploy.rollout import canary
from deploy.spec import ModelSpec, Shadow
from deploy.spec.release import External, Split
from milepost.kube import KubeClient, resource_path
from milepost.settings import load
from tests.deploy.test_operations import break_lock, model_namespace, old_address, routes
from tests.parts.kubernetes import ControlPlane

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
ENV = {
    "MILEPOST_OPERATIONS_POLL": "100ms",
    "MILEPOST_OPERATIONS_ROUTE_SETTLE": "200ms",
    "MILEPOST_LOCK_DURATION": "30s",
}
DEATHS_MAX = 120

Edit = Callable[[Record, Deed], Record]


class Died(BaseException):
    """The process is gone."""


class Mortal(KubeClient):
    """A client whose process dies at its n-th write: before it is sent, or when its answer is on the way."""

    def __init__(self, client: KubeClient, at: int, *, sent: bool) -> None:
        super().__init__(client._pool, client.settings, owner=False)
        self._left, self._sent, self._dead = at, sent, False

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        """Send a request, if alive."""
        if self._dead:
            raise Died
        writes = method != "GET" and "dryRun" not in (options.get("params") or {}) and "/leases" not in path
        self._left -= writes
        if not writes or self._left > 0:
            return await super().request(method, path, **options)
        self._dead = True
        if self._sent:
            await super().request(method, path, **options)
        raise Died


@dataclass
class Model:
    """One model whose operations die."""

    client: KubeClient
    namespace: str
    session: aiohttp.ClientSession
    wish: str = ""
    written: Callable[[Record], bool] = lambda _: False

    def spec(self, version: str) -> ModelSpec:
        return ModelSpec(
            name="mnist", namespace=self.namespace, image=f"registry.example/mnist:{version}", drain_seconds=0
        )

    async def does(
        self, wish: str, edit: Edit, *, serving: bool = True, written: Callable[[Record], bool] | None = None
    ) -> int:
        """Do an operation under this id, death after death; return how often it died.

        `written` says whether the wish is in the record already; by itself, when the operation has its id.
        """
        self.wish = wish
        self.written = written or (lambda record: record.operation is not None and record.operation.id == wish)
        for deaths in range(DEATHS_MAX):
            platform = self._platform(Mortal(self.client, deaths // 2 + 1, sent=bool(deaths % 2)))
            try:
                await self._act(platform, edit)
            except Died:
                await break_lock(self.client, self.namespace)
                if serving:
                    await self._routes_answer()
                continue
            return deaths
        raise AssertionError(f"it did not end after {DEATHS_MAX} deaths")

    async def _act(self, platform: Platform, edit: Edit) -> None:
        """Write the wish down, unless an earlier process did, and carry it out."""
        record = (await platform.store.load(self.namespace, "mnist")).record
        if not self.written(record):
            deed = Deed("ada", 1000.0, id=self.wish)
            await platform.submit(self.namespace, "mnist", lambda found: edit(found, deed))
        await platform.converge(self.namespace, "mnist")

    def _platform(self, client: KubeClient) -> Platform:
        settings = load(GROUPS, flags={}, env=ENV, file=None)
        return platform_of(settings, client, self.session, author="ada")

    async def _routes_answer(self) -> None:
        raw = await self.client.request(
            "GET", resource_path("discovery.k8s.io", "v1", "endpointslices", namespace=self.namespace)
        )
        ready = {
            item["metadata"]["labels"]["kubernetes.io/service-name"]
            for item in msgspec.json.decode(raw)["items"]
            if any(one["conditions"].get("ready") for one in item.get("endpoints") or ())
        }
        led = set((await routes(self.client, self.namespace)).values())
        assert led <= {*ready, "old"}, f"a route leads to {led - ready}, which has no ready endpoint"


@contextlib.asynccontextmanager
async def mortal_model(cluster: ControlPlane, folder: Path) -> AsyncIterator[Model]:
    async with model_namespace(cluster, folder) as (cli, client), aiohttp.ClientSession() as session:
        yield Model(client, cli.namespace, session)


async def test_whatever_an_operation_was_at_when_it_died_the_next_process_ends_it(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    async with mortal_model(cluster, tmp_path) as model:
        one, two = model.spec("1"), model.spec("2")
        plan = canary((30,), 0.0, judged=False)
        deaths = {
            "create": await model.does("create", lambda record, deed: edits.apply(record, one, deed)),
            "rollout": await model.does("rollout", lambda record, deed: edits.start_rollout(record, two, plan, deed)),
        }
        assert await routes(model.client, model.namespace) == {"mnist": "mnist-r2"}
        deaths["rollback"] = await model.does("rollback", lambda record, deed: edits.rollback(record, 1, deed))
        assert (await _record(model)).tracks == (await _record(model)).tracks[:1]
        deaths["migrate"] = await _migrated(model)
        deaths["delete"] = await model.does("delete", edits.delete, serving=False)
        assert await routes(model.client, model.namespace) == {}
        left = resource_path("machinelearning.seldon.io", "v1", "seldondeployments", namespace=model.namespace)
        assert msgspec.json.decode(await model.client.request("GET", left))["items"] == []
        assert min(deaths.values()) >= 3, deaths
        assert sum(deaths.values()) >= 30, deaths


async def test_neither_does_a_death_leave_a_restart_an_abort_a_switch_or_a_shadow_undone(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    async with mortal_model(cluster, tmp_path) as model:
        one, two, three = model.spec("1"), model.spec("2"), model.spec("3")
        held = RolloutPlan(canary((30,), 0.0).steps, judged=False, auto_promote=False)
        copied = Shadow(image="registry.example/mnist:shadow")
        await model.does("create", lambda record, deed: edits.apply(record, one, deed))
        deaths = {"restart": await model.does("restart", edits.restart)}
        deaths["canary"] = await model.does("canary", lambda record, deed: edits.start_rollout(record, two, held, deed))
        assert await routes(model.client, model.namespace) == {"mnist": "mnist-default", "mnist-canary": "mnist-r2"}
        deaths["abort"] = await model.does("abort", edits.abort, written=lambda record: record.rollout is None)
        assert await routes(model.client, model.namespace) == {"mnist": "mnist-default"}
        assert [track.predictor for track in (await _record(model)).tracks] == ["default"]
        deaths["switch"] = await model.does(
            "switch", lambda record, deed: edits.start_rollout(record, three, RolloutPlan(), deed)
        )
        assert [track.predictor for track in (await _record(model)).tracks] == ["r3"]
        deaths["shadow"] = await model.does("shadow", lambda record, deed: edits.shadow(record, copied, deed))
        assert await routes(model.client, model.namespace) == {"mnist": "mnist-r3"}
        assert min(deaths.values()) >= 2, deaths


async def _migrated(model: Model) -> int:
    """Move half of the requests here from an old Service and back again, with deaths."""
    await old_address(model.client, model.namespace)
    old = External(port=80, service="old")

    def to(percent: int) -> Edit:
        return lambda record, deed: edits.migrate(record, old, Split(percent=percent), deed)

    deaths = await model.does("half", to(50))
    assert "old" in (await routes(model.client, model.namespace)).values()
    return deaths + await model.does("back", to(0))


async def _record(model: Model) -> Record:
    return await model._platform(model.client).record(model.namespace, "mnist")
