"""Operations under a constant load through the real ingress-nginx: no request fails, and the splits are what was asked.

The pods are kwok's, whose addresses belong to this machine: one server answers on all of them with the predictor of the
pod that was asked, and with 500 for a pod that is gone, harsher than a real one, which would still finish its requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from milepost.kube import KubeClient, resource_path
from milepost.watch import Kind
from tests.deploy.test_operations import Cli, model_namespace
from tests.parts.backend import Backend, create_service
from tests.parts.ingress_nginx import IngressNginx
from tests.parts.kubernetes import ControlPlane
from tests.parts.ports import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
CALLERS = 4
PAUSE_S = 0.02
READY_S = 120


@dataclass
class Pods:
    """Pod address → predictor, kept up to date by a watch."""

    predictors: dict[str, str] = field(default_factory=dict)

    async def follow(self, client: KubeClient, namespace: str) -> None:
        path = resource_path("", "v1", "pods", namespace=namespace)
        async for event in client.watch(path, {"labelSelector": "seldon-deployment-id=mnist"}):
            if event.kind not in (Kind.ADDED, Kind.MODIFIED, Kind.DELETED):
                continue
            pod = msgspec.json.decode(event.object)
            address = pod.get("status", {}).get("podIP", "")
            if event.kind is Kind.DELETED or "deletionTimestamp" in pod["metadata"]:
                self.predictors.pop(address, None)
            elif address:
                self.predictors[address] = pod["metadata"]["labels"]["version"]

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        address = request.transport.get_extra_info("sockname")[0]
        predictor = self.predictors.get(address)
        return web.Response(text=predictor or f"no pod has {address}", status=200 if predictor else 500)


@dataclass
class Caller:
    """Requests to one host through the controller; `fresh` opens a connection for each."""

    session: aiohttp.ClientSession
    fresh: aiohttp.ClientSession
    controller: IngressNginx
    host: str
    answers: Counter[str] = field(default_factory=Counter)

    async def ask(self, count: int = 1, headers: Mapping[str, str] | None = None) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(count):
            found[await self._answer({**(headers or {}), "Host": self.host})] += 1
        return found

    async def at_once(self, count: int) -> Counter[str]:
        """Send that many requests side by side."""
        return Counter(await asyncio.gather(*(self._answer({"Host": self.host}) for _ in range(count))))

    async def _answer(self, headers: Mapping[str, str], method: str = "GET") -> str:
        url = f"http://127.0.0.1:{self.controller.http_port}/"
        session = self.session if method == "GET" else self.fresh
        try:
            async with session.request(method, url, headers=headers) as answer:
                text = await answer.text()
        except aiohttp.ClientError as error:
            raise AssertionError(f"{error!r}; {self.controller.state()}") from error
        return text if answer.status == 200 else f"{answer.status} {text[:60]}"

    async def until(self, ready: Callable[[Counter[str]], bool], count: int = 40) -> Counter[str]:
        deadline = time.monotonic() + READY_S
        while not ready(found := await self.ask(count)):
            assert time.monotonic() < deadline, f"the last answers: {found}; {self.controller.state()}"
            await asyncio.sleep(0.2)
        return found

    @contextlib.asynccontextmanager
    async def loaded(self) -> AsyncIterator[None]:
        """Ask all the time, from several callers, and count the answers.

        Half of them by POST, as models are asked: nginx and aiohttp send a GET that failed again, a POST they do not.
        Each POST has a connection of its own: a worker that ends closes the idle ones, and what a caller sends on one
        in that instant is lost with nginx before 1.27.4, whatever the platform does.
        """

        async def call(method: str) -> None:
            while True:
                self.answers[await self._answer({"Host": self.host}, method)] += 1
                await asyncio.sleep(PAUSE_S)

        tasks = [asyncio.create_task(call(method)) for method in ("GET", "POST") * (CALLERS // 2)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(item, asyncio.CancelledError) for item in ended), ended


@contextlib.asynccontextmanager
async def served(
    cluster: ControlPlane, controller: IngressNginx, folder: Path
) -> AsyncIterator[tuple[Cli, KubeClient, Caller]]:
    pods, port = Pods(), free_port()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", pods.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port).start()
    try:
        async with (
            model_namespace(cluster, folder, port=port) as (first, client),
            aiohttp.ClientSession() as session,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as fresh,
        ):
            watching = asyncio.create_task(pods.follow(client, first.namespace))
            cli = Cli(cluster.kubeconfig(), folder, first.namespace, settle="6s")
            try:
                yield cli, client, Caller(session, fresh, controller, f"mnist-{cli.namespace}.models.internal")
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
    finally:
        await runner.cleanup()


async def test_no_request_fails_while_a_model_is_rolled_out_and_back(
    cluster: ControlPlane, ingress_nginx: IngressNginx, tmp_path: Path
) -> None:
    async with served(cluster, ingress_nginx, tmp_path) as (cli, _, caller):
        await cli.run("create", "-f", cli.spec("1", 2))
        await caller.until(lambda found: set(found) == {"default"})
        async with caller.loaded():
            held = ("--steps", "30", "--hold", "0", "--unjudged", "--no-auto-promote")
            chosen = ("--header", "X-Canary", "--cookie", "canary")
            await cli.run("rollout", "start", "-f", cli.spec("2", 2), *held, *chosen)
            await caller.until(lambda found: found["r2"] > 0)
            shares = await caller.ask(300)
            assert 45 <= shares["r2"] <= 135, f"30 % of 300 are 90: {shares}"
            assert await caller.ask(20, {"X-Canary": "always"}) == {"r2": 20}
            assert await caller.ask(20, {"X-Canary": "never"}) == {"default": 20}
            assert await caller.ask(20, {"Cookie": "canary=always"}) == {"r2": 20}
            assert await caller.ask(20, {"Cookie": "canary=always", "X-Canary": "never"}) == {"default": 20}
            await cli.run("rollout", "promote", cli.key)
            await caller.until(lambda found: set(found) == {"r2"})
            # Blue/green, the old version kept: going back is a change of the route, by whoever holds the model's lock.
            switching = await cli.start("rollout", "start", "-f", cli.spec("3", 2), "--steps", "", "--keep", "600")
            await caller.until(lambda found: set(found) == {"r3"})
            said = await cli.run("rollback", cli.key)
            await caller.until(lambda found: set(found) == {"r2"})
            await switching.communicate()
            assert "to revision 2, which still runs as r2" in said
        assert set(caller.answers) == {"default", "r2", "r3"}
        assert caller.answers.total() > 500


async def test_a_migration_switches_back_from_whole_in_one_step(
    cluster: ControlPlane, ingress_nginx: IngressNginx, tmp_path: Path
) -> None:
    async with served(cluster, ingress_nginx, tmp_path) as (cli, client, caller):
        await cli.run("create", "-f", cli.spec("1"))
        await caller.until(lambda found: set(found) == {"default"})
        with Backend("old", 9) as old:
            await create_service(client, cli.namespace, "old", [old])
            await cli.run("migrate", cli.key, "40", "--from-service", "old")
            # First the whole goes to the old address, and the controller splits it at its next sync: a batch of answers
            # that spans the first change has both, and nothing is split yet.
            await caller.until(lambda found: found["old"] > 0)
            await caller.until(lambda found: set(found) == {"old", "default"})
            shares = await caller.ask(200)
            assert 40 <= shares["default"] <= 120, f"40 % of 200 are 80: {shares}"
            async with caller.loaded():
                await cli.run("migrate", cli.key, "100")
                await caller.until(lambda found: set(found) == {"default"})
                said = await cli.run("migrate", cli.key, "0")
                await caller.until(lambda found: set(found) == {"old"})
                await cli.run("migrate", cli.key, "100")
                await caller.until(lambda found: set(found) == {"default"})
                await cli.run("migrate", cli.key, "100", "--finish")
                await caller.until(lambda found: set(found) == {"default"})
            assert set(caller.answers) == {"old", "default"}
            assert "canary" in said


async def test_a_rate_limit_holds_at_the_route(
    cluster: ControlPlane, ingress_nginx: IngressNginx, tmp_path: Path
) -> None:
    limits = "route:\n  limits: {requestsPerSecond: 5, burst: 1}\n"
    async with served(cluster, ingress_nginx, tmp_path) as (cli, _, caller):
        await cli.run("create", "-f", cli.spec("1", more=limits))
        async with asyncio.timeout(READY_S):
            while not (await caller.ask())["default"]:  # noqa: ASYNC110 - only asking shows it
                await asyncio.sleep(0.3)
        began = time.monotonic()
        found = await caller.at_once(200)
        # A burst of 5 beside the one that the rate allows at once, and what a slow machine's time allows further.
        allowed = 6 + 5 * (time.monotonic() - began) + 1
        assert 1 <= found["default"] <= allowed, (found, allowed)
        assert sum(count for text, count in found.items() if text.startswith("503")) == 200 - found["default"], found
