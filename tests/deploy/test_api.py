"""The platform's HTTP API before a real API server: the caller's rights decide, and a job can be followed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from deploy.api import Jobs, create_app
from deploy.app import SERVER_GROUPS, caller_platform
from deploy.cache import ModelCache
from milepost.auth import KubernetesAuth
from milepost.kube import KubeClient
from milepost.settings import load
from tests.deploy.test_operations import model_namespace, routes
from tests.parts.asgi import serve
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import grant

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
ENV = {"MILEPOST_OPERATIONS_POLL": "200ms", "MILEPOST_OPERATIONS_ROUTE_SETTLE": "1s"}


class Http:
    """The API as one caller."""

    def __init__(self, session: aiohttp.ClientSession, base: str, token: str = "") -> None:
        self._session, self._base = session, base
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(self, method: str, path: str, document: Any = None, *, status: int = 200) -> Any:
        """Return the decoded answer, or its text for an event stream."""
        async with self._session.request(method, self._base + path, json=document, headers=self._headers) as answer:
            raw = await answer.read()
            assert answer.status == status, f"{method} {path}: {answer.status} {raw.decode()}"
            return msgspec.json.decode(raw) if "json" in answer.content_type else raw.decode()


@contextlib.asynccontextmanager
async def api(client: KubeClient) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    settings = load(SERVER_GROUPS, flags={}, env=ENV, file=None)
    cache, jobs = ModelCache(), Jobs()
    async with aiohttp.ClientSession() as session:
        app = create_app(KubernetesAuth(client), caller_platform(settings, client, session), cache, jobs)
        watching = asyncio.create_task(cache.follow(client))
        async with serve(app) as base:
            async with asyncio.timeout(30):
                while not cache.ready:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            yield session, base
        await jobs.stop()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_an_owner_deploys_over_http_and_a_stranger_sees_and_changes_nothing(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client), api(client) as (session, base):
        everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
        await grant(client, "owner", [everything], namespace=cli.namespace)
        owner = Http(session, base, cluster.token("owner", ()))
        stranger = Http(session, base, cluster.token("stranger", ()))
        path, listing = f"/api/v1/models/{cli.namespace}/mnist", f"/api/v1/models?namespace={cli.namespace}"
        spec: dict[str, Any] = {"name": "mnist", "namespace": cli.namespace, "image": "registry.example/mnist:1"}

        await Http(session, base).ask("PUT", path, spec, status=401)
        await stranger.ask("PUT", path, spec, status=403)
        await owner.ask("PUT", path, {**spec, "replicas": -1}, status=422)
        job = await owner.ask("PUT", path, spec, status=202)
        events = await owner.ask("GET", f"/api/v1/jobs/{job['id']}/events")
        assert "apply Ingress mnist" in events
        assert '"state":"done"' in events
        await stranger.ask("GET", f"/api/v1/jobs/{job['id']}", status=404)
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default"}

        assert [row["name"] for row in (await owner.ask("GET", listing))["models"]] == ["mnist"]
        await stranger.ask("GET", listing, status=403)
        await stranger.ask("GET", f"{path}/status", status=403)
        assert (await owner.ask("GET", f"{path}/status"))["state"] == "ready"
        assert (await owner.ask("GET", f"{path}/why"))["findings"] == []
        assert (await owner.ask("GET", f"{path}/history"))["revisions"][0]["author"] == "owner"
