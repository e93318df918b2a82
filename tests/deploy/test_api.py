"""The platform's HTTP API before a real API server: the caller's rights decide, and a job can be followed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.api import Jobs, create_app
from deploy.app import SERVER_GROUPS, caller_platform
from deploy.cluster.cache import ModelCache
from milepost.auth import KubernetesAuth
from milepost.kube import KubeClient, resource_path
from milepost.settings import load
from tests.deploy.http_caller import Http, done
from tests.deploy.test_operations import Cli, model_namespace, old_address, routes
from tests.parts.asgi import serve
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import RBAC, create, grant

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SELDON = {
    "apiVersion": "machinelearning.seldon.io/v1",
    "kind": "SeldonDeployment",
    "spec": {"predictors": [{"name": "default", "graph": {"name": "unit"}}]},
}
ENV = {"MILEPOST_OPERATIONS_POLL": "200ms", "MILEPOST_OPERATIONS_ROUTE_SETTLE": "1s"}


@contextlib.asynccontextmanager
async def api(client: KubeClient, **env: str) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    settings = load(SERVER_GROUPS, flags={}, env=ENV | env, file=None)
    cache, jobs = ModelCache(), Jobs()
    async with aiohttp.ClientSession() as session:
        platforms = caller_platform(settings, client, session)
        app = create_app(KubernetesAuth(client), platforms, cache, jobs, settings=settings["platform"])
        watching = asyncio.create_task(cache.follow(client))
        try:
            async with serve(app) as base:
                await eventually(lambda: cache.ready)
                yield session, base
        finally:
            await jobs.stop()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def eventually(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(60):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def owned(cluster: ControlPlane, tmp_path: Path, **env: str) -> AsyncIterator[tuple[Cli, Http, Http, KubeClient]]:
    """A namespace, the API as its owner, the API as a stranger, and the administrator's client."""
    async with model_namespace(cluster, tmp_path) as (cli, client), api(client, **env) as (session, base):
        everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
        await grant(client, "owner", [everything], namespace=cli.namespace)
        owner = Http(session, base, cluster.token("owner", ()))
        yield cli, owner, Http(session, base, cluster.token("stranger", ())), client


def spec_of(cli: Cli, version: str) -> dict[str, Any]:
    image = f"registry.example/mnist:{version}"
    return {"name": "mnist", "namespace": cli.namespace, "image": image, "drainSeconds": 1}


async def test_an_owner_deploys_over_http_and_a_stranger_sees_and_changes_nothing(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    async with owned(cluster, tmp_path) as (cli, owner, stranger, client):
        path, listing = f"/api/v1/models/{cli.namespace}/mnist", f"/api/v1/models?namespace={cli.namespace}"
        spec = spec_of(cli, "1")

        await owner.nobody().ask("PUT", path, spec, status=401)
        await stranger.ask("PUT", path, spec, status=403)
        await owner.ask("PUT", path, {**spec, "replicas": -1}, status=422)
        before = await owner.ask("GET", f"{path}/permissions")
        assert before["verbs"]["apply"] == {"allowed": True, "possible": True, "why": ""}
        assert not before["verbs"]["restart"]["possible"]
        job = await owner.ask("PUT", path, spec, status=202)
        events = await owner.ask("GET", f"/api/v1/jobs/{job['id']}/events")
        assert "apply Ingress mnist" in events
        assert '"state":"done"' in events
        followed = [item async for item in owner.follow(f"/api/v1/jobs/{job['id']}/events")]
        third = followed[2][1]
        assert [item async for item in owner.follow(f"/api/v1/jobs/{job['id']}/events", third)] == followed[3:]
        assert [item async for item in owner.follow(f"/api/v1/jobs/{job['id']}/events?after={third}")] == followed[3:]
        await stranger.ask("GET", f"/api/v1/jobs/{job['id']}", status=404)
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default"}

        assert [row["name"] for row in (await owner.ask("GET", listing))["models"]] == ["mnist"]
        await stranger.ask("GET", listing, status=403)
        await stranger.ask("GET", f"{path}/status", status=403)
        assert (await owner.ask("GET", f"{path}/status"))["state"] == "ready"
        assert (await owner.ask("GET", f"{path}/why"))["findings"] == []
        assert (await owner.ask("GET", f"{path}/history"))["revisions"][0]["author"] == "owner"


async def test_a_rollout_and_a_migration_are_driven_over_http_and_told_as_they_happen(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    async with owned(cluster, tmp_path) as (cli, owner, stranger, client):
        path = f"/api/v1/models/{cli.namespace}/mnist"
        await done(owner, "PUT", f"{path}?reason=first", spec_of(cli, "1"))
        plan = {
            "steps": [{"split": {"percent": 20}, "hold_s": 0}, {"split": {"percent": 50}, "hold_s": 0}],
            "judged": False,
            "auto_promote": False,
        }
        await done(owner, "POST", f"{path}/rollout", {"spec": spec_of(cli, "2"), "plan": plan})
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default", "mnist-canary": "mnist-r2"}
        may = await owner.ask("GET", f"{path}/permissions")
        assert {verb for verb, one in may["verbs"].items() if one["allowed"] and one["possible"]} == {
            "status", "history", "why", "events", "logs",
            "rollback", "delete", "resume", "promote", "abort", "converge",
        }  # fmt: skip
        assert "a rollout" in may["verbs"]["apply"]["why"]
        barred = await stranger.ask("GET", f"{path}/permissions", status=403)
        assert "cannot get resource" in barred["detail"]
        await done(owner, "POST", f"{path}/promote")
        happened = await owner.ask("GET", f"{path}/events")
        told = [(item["kind"], item["what"]) for item in happened["events"] if item["kind"] in ("operation", "step")]
        assert [what for _, what in told] == [
            "apply", "apply", "rollout", "step", "step", "pause", "promote", "rollout",
        ]  # fmt: skip
        assert [item["revision"] for item in happened["events"] if item["revision"]] == [1, 2]
        assert any(item["kind"] == "pod" and item["predictor"] == "r2" for item in happened["events"])
        since = happened["events"][-1]["at"]
        later = await owner.ask("GET", f"{path}/events?since={since}")
        assert {item["at"] for item in later["events"]} == {since}

        split = {"action": "split", "old": {"service": "old", "port": 80}, "split": {"percent": 30}}
        await owner.ask("POST", f"{path}/migrate", {"action": "split"}, status=422)
        lost = await owner.ask("POST", f"{path}/migrate", split, status=422)
        assert (lost["faults"][0]["field"], lost["faults"][0]["value"]) == ("migration.old.service", "old:80")
        await old_address(client, cli.namespace)
        elsewhere = {**split, "old": {"service": "old", "port": 81}}
        lost = await owner.ask("POST", f"{path}/migrate", elsewhere, status=422)
        assert "no such port, only 80" in lost["detail"]
        assert await routes(client, cli.namespace) == {"mnist": "mnist-r2"}
        await done(owner, "POST", f"{path}/migrate", split)
        assert await routes(client, cli.namespace) == {"mnist": "old", "mnist-canary": "mnist-r2"}
        await owner.ask("POST", f"{path}/migrate", {"action": "finish"}, status=422)
        await done(owner, "POST", f"{path}/migrate", {"action": "back"})
        assert (await owner.ask("GET", f"{path}/status"))["migration"] == "0 % to the model"
        await owner.ask("POST", f"{path}/dance", status=404)
        await owner.ask("POST", f"/api/v1/models/{cli.namespace}/nobody/restart", status=404)


async def test_followers_see_every_change_resume_where_they_were_and_lose_the_stream_with_the_right(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    beats = {"MILEPOST_PLATFORM_HEARTBEAT": "200ms"}
    async with owned(cluster, tmp_path, **beats) as (cli, owner, stranger, client):
        path, watch = f"/api/v1/models/{cli.namespace}/mnist", f"/api/v1/watch?namespace={cli.namespace}"
        await stranger.ask("GET", watch, status=403)
        stream = owner.follow(watch)
        async with asyncio.timeout(120), contextlib.aclosing(stream):
            event, mark, _ = await anext(stream)
            assert event == "listed"
            await done(owner, "PUT", path, spec_of(cli, "1"))
            states = [""]
            while states[-1] != "ready":
                event, _, row = await anext(stream)
                states += [row["state"]] if event == "model" else []
            assert states[1] == "progressing"

        again = owner.follow(watch, mark)
        async with asyncio.timeout(120), contextlib.aclosing(again):
            seen = [await anext(again)]
            while seen[-1][0] != "heartbeat":
                seen.append(await anext(again))
            # Exactly what came after the mark, not the list anew.
            assert {event for event, _, _ in seen[:-1]} == {"model"}
            assert seen[-2][2]["state"] == "ready"
        lost = owner.follow(f"{path}/watch", "elsewhere-7")
        async with asyncio.timeout(120), contextlib.aclosing(lost):
            assert [(await anext(lost))[0] for _ in range(3)] == ["reset", "model", "listed"]
            bindings = resource_path(RBAC, "v1", "rolebindings", namespace=cli.namespace)
            await client.request("DELETE", bindings)
            events = [event async for event, _, _ in lost]
            assert events[-1] == "end"


async def test_the_list_is_filtered_and_paged(cluster: ControlPlane, tmp_path: Path) -> None:
    async with owned(cluster, tmp_path) as (cli, owner, _, client):
        items = resource_path("machinelearning.seldon.io", "v1", "seldondeployments", namespace=cli.namespace)
        for number in range(5):
            metadata = {"name": f"m{number}", "labels": {"team": "even" if number % 2 == 0 else "odd"}}
            await create(client, items, SELDON | {"metadata": metadata})
        listing = f"/api/v1/models?namespace={cli.namespace}"

        async def all_seen() -> bool:
            return len((await owner.ask("GET", listing))["models"]) == 5

        await eventually(all_seen)
        even = await owner.ask("GET", f"{listing}&selector=team%3Deven")
        assert [row["name"] for row in even["models"]] == ["m0", "m2", "m4"]
        first = await owner.ask("GET", f"{listing}&limit=3")
        second = await owner.ask("GET", f"{listing}&limit=3&continue={first['continue']}")
        assert ([row["name"] for row in second["models"]], first["remaining"]) == (["m3", "m4"], 2)
        assert (await owner.ask("GET", f"{listing}&state=failed"))["models"] == []
        await owner.ask("GET", f"{listing}&state=great", status=422)
        await owner.ask("GET", f"{listing}&selector=a%3Db%3Dc", status=422)
        await owner.ask("GET", f"{listing}&limit=0", status=422)
