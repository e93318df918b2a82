"""Who may read what, through the log-server's routes and a real kube-apiserver, with tokens of service accounts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from logserver.engines.embedded import EmbeddedStore
from logserver.query_settings import TailSettings
from logserver.record import TopicPartition
from milepost.auth import KubernetesAuth
from milepost.kube import KubeClient, resource_path
from milepost.units import Seconds
from tests.logserver.api_server import ApiServer, api_server
from tests.logserver.rows import line_rows, write_positions
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, create_namespace, grant

pytestmark = pytest.mark.cluster

READ_LOGS = [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]
REVIEWS = [
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
]
WAIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A log-server with three lines each of two namespaces, and a cluster in which they exist."""

    api: ApiServer
    admin: KubeClient
    own: str
    other: str

    async def token(self, name: str) -> str:
        """Create a service account in `own` and return a token of it."""
        accounts = resource_path("", "v1", "serviceaccounts", namespace=self.own)
        await create(self.admin, accounts, {"metadata": {"name": name}})
        path = resource_path("", "v1", "serviceaccounts", namespace=self.own, name=name, subresource="token")
        answer = await create(self.admin, path, {"spec": {"expirationSeconds": 600}})
        return str(answer["status"]["token"])

    async def reader_token(self, name: str, *namespaces: str) -> str:
        """Return the token of a service account that may read the logs of these namespaces; "" is all of them."""
        token = await self.token(name)
        for namespace in namespaces:
            await grant(self.admin, f"system:serviceaccount:{self.own}:{name}", READ_LOGS, namespace=namespace)
        return token

    async def get(self, path: str, params: Any = (), *, token: str, status: int = 200) -> Any:
        """Return the JSON of an answer, or its text."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.api.http.get(f"/api/v1/{path}", params=list(params), headers=headers) as response:
            body = await response.text()
            assert response.status == status, body
            return json.loads(body) if response.content_type.endswith(("/json", "+json")) else body

    async def until_status(self, status: int, path: str, *, token: str) -> None:
        """Wait until the cluster's answer has become this one: it remembers tokens for some seconds."""
        headers = {"Authorization": f"Bearer {token}"}
        deadline = time.monotonic() + WAIT_S
        while True:
            async with self.api.http.get(f"/api/v1/{path}", headers=headers) as response:
                if response.status == status:
                    return
                assert time.monotonic() < deadline, f"still {response.status} after {WAIT_S:g} s"
            await asyncio.sleep(0.2)


@pytest.fixture
async def admin(cluster: ControlPlane) -> AsyncIterator[KubeClient]:
    async with cluster.client() as client:
        yield client


@pytest.fixture
async def scene(cluster: ControlPlane, admin: KubeClient, lines_store: EmbeddedStore) -> AsyncIterator[Scene]:
    own, other = await create_namespace(admin), await create_namespace(admin)
    lines_store.insert(
        "lines", line_rows({"namespace": name, "message": f"{name} {n}"} for name in (own, other) for n in range(3))
    )
    write_positions(lines_store, {TopicPartition("logs", 0): 6}, 1)
    await grant(admin, f"log-server-{own}", REVIEWS)
    tail = TailSettings(poll_interval=Seconds(0.05), heartbeat=Seconds(0.2), check_access=Seconds(0.2))
    async with cluster.client(f"log-server-{own}", ()) as client:
        auth = KubernetesAuth(client, cache_for_s=0.1, timeout_s=20)
        async with api_server(lines_store, authorizer=auth, tail=tail) as api:
            yield Scene(api, admin, own, other)


def namespaces_of(body: str) -> set[str]:
    """Return the namespaces of an NDJSON answer's lines."""
    rows = [json.loads(line) for line in body.splitlines() if line]
    return {row["namespace"] for row in rows if "milepost" not in row}


async def test_a_service_account_reads_its_own_namespace_and_no_other(scene: Scene) -> None:
    token = await scene.reader_token("one", scene.own)
    own, other = [("namespace", scene.own)], [("namespace", scene.other)]
    for path in ("logs", "histogram", "fields", "fields/pod/values", "export", "logs/tail"):
        refused = await scene.get(path, other, token=token, status=403)
        assert refused["refused_namespaces"] == [scene.other]
    assert len((await scene.get("logs", own, token=token))["lines"]) == 3
    assert (await scene.get("histogram", own, token=token))["total"] == 3
    assert namespaces_of(await scene.get("export", own, token=token)) == {scene.own}
    pod = "pods/iris-default-0-x2m7k/log"
    assert (await scene.get(f"namespaces/{scene.own}/{pod}", token=token)).count("\n") == 3
    await scene.get(f"namespaces/{scene.other}/{pod}", token=token, status=403)
    await scene.get(f"models/{scene.other}/iris/logs", token=token, status=403)
    await scene.get("rejects", token=token, status=403)


async def test_the_allowed_of_several_namespaces_are_answered_and_the_refused_named(scene: Scene) -> None:
    token = await scene.reader_token("several", scene.own)
    both = [("namespace", scene.own), ("namespace", scene.other)]
    for params in (both, []):  # a query that names none is one of all that are stored
        page = await scene.get("logs", params, token=token)
        assert {line["namespace"] for line in page["lines"]} == {scene.own}
        assert page["refused_namespaces"] == [scene.other]
        export = await scene.get("export", params, token=token)
        assert namespaces_of(export) == {scene.own}
        assert json.loads(export.splitlines()[-1])["milepost"]["refused_namespaces"] == [scene.other]
        headers = {"Authorization": f"Bearer {token}"}
        wanted = [*params, ("format", "ndjson")]
        async with scene.api.http.get("/api/v1/logs/tail", params=wanted, headers=headers) as tail:
            first = json.loads(await tail.content.readline())
            rows = [json.loads(await tail.content.readline()) for _ in range(3)]
        assert first["milepost"]["refused_namespaces"] == [scene.other]
        assert {row["namespace"] for row in rows} == {scene.own}


async def test_who_may_read_all_namespaces_needs_to_name_none(scene: Scene) -> None:
    everything = await scene.reader_token("everything", "")
    page = await scene.get("logs", token=everything)
    assert (len(page["lines"]), page["refused_namespaces"]) == (6, [])
    assert (await scene.get("rejects", token=everything))["total"] == 0
    nothing = await scene.token("nothing")
    await scene.get("logs", token=nothing, status=403)


async def test_a_token_that_is_missing_wrong_or_revoked_is_a_401_and_ends_its_tail(scene: Scene) -> None:
    await scene.get("logs", token="", status=401)
    await scene.get("logs", token="no-token-at-all", status=401)
    await scene.get("logs/tail", token="no-token-at-all", status=401)
    token = await scene.reader_token("leaving", scene.own)
    params = [("namespace", scene.own), ("format", "ndjson"), ("lines", "0")]
    pod = f"/api/v1/namespaces/{scene.own}/pods/iris-default-0-x2m7k/log?follow=true"
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        scene.api.http.get("/api/v1/logs/tail", params=params, headers=headers) as tail,
        scene.api.http.get(pod, headers=headers) as pod_log,
    ):
        assert (tail.status, pod_log.status) == (200, 200)
        account = resource_path("", "v1", "serviceaccounts", namespace=scene.own, name="leaving")
        await scene.admin.request("DELETE", account)
        async with asyncio.timeout(WAIT_S):
            notes = [json.loads(line)["milepost"] async for line in tail.content]
            text = await pod_log.text()
    assert "token" in notes[-1]["ended"]
    assert text.splitlines()[-1].startswith("# milepost: ended: ")
    await scene.until_status(401, f"logs?namespace={scene.own}", token=token)


async def test_a_cluster_that_is_down_lets_nobody_in(cluster: ControlPlane, scene: Scene) -> None:
    token = await scene.reader_token("early", scene.own)
    await scene.get("logs", [("namespace", scene.own)], token=token)
    cluster.stop_apiserver()
    try:
        await scene.until_status(503, f"logs?namespace={scene.own}", token=token)
        for path in ("logs", "export", "logs/tail", "histogram"):
            problem = await scene.get(path, [("namespace", scene.own)], token=token, status=503)
            assert "lines" not in problem
    finally:
        await asyncio.to_thread(cluster.start_apiserver)
    await scene.until_status(200, f"logs?namespace={scene.own}", token=token)
