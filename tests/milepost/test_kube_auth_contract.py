"""Callers and permissions as a real cluster knows them, and what is said when the cluster is silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from milepost.auth import AuthUnavailable, Caller, KubernetesAuth, Unauthenticated
from milepost.kube import KubeClient, resource_path
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, create_namespace, grant

pytestmark = pytest.mark.cluster

REVIEWS = [
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def admin(cluster: ControlPlane) -> AsyncIterator[KubeClient]:
    async with cluster.client() as client:
        yield client


@pytest.fixture
async def namespace(admin: KubeClient) -> str:
    return await create_namespace(admin)


@pytest.fixture
async def reviewer(cluster: ControlPlane, admin: KubeClient, namespace: str) -> AsyncIterator[KubeClient]:
    """A client with exactly the rights a server of ours is given."""
    await grant(admin, f"reviewer-{namespace}", REVIEWS)
    async with cluster.client(f"reviewer-{namespace}", ()) as client:
        yield client


async def service_account_token(admin: KubeClient, namespace: str, audience: str = "") -> str:
    accounts = resource_path("", "v1", "serviceaccounts", namespace=namespace)
    name = f"robot-{audience or 'plain'}"
    await create(admin, accounts, {"metadata": {"name": name}})
    spec = {"audiences": [audience] if audience else [], "expirationSeconds": 600}
    path = resource_path("", "v1", "serviceaccounts", namespace=namespace, name=name, subresource="token")
    answer = await create(admin, path, {"spec": spec})
    token: str = answer["status"]["token"]
    return token


async def may_read_logs(auth: KubernetesAuth, caller: Caller, namespace: str) -> bool:
    return await auth.allowed(caller, verb="get", group="", resource="pods", subresource="log", namespace=namespace)


async def test_a_token_is_its_user_and_a_wrong_one_is_refused(
    cluster: ControlPlane, reviewer: KubeClient, admin: KubeClient, namespace: str
) -> None:
    auth = KubernetesAuth(reviewer)
    caller = await auth.authenticate(cluster.token("anna", ["team"]))
    assert caller == Caller("anna", ("team", "system:authenticated"), "uid-anna")
    robot = await auth.authenticate(await service_account_token(admin, namespace))
    assert robot.name == f"system:serviceaccount:{namespace}:robot-plain"
    for wrong in (None, "", "wrong", cluster.token("anna")[:-1] + "x", "y" * 20000):
        with pytest.raises(Unauthenticated):
            await auth.authenticate(wrong)


async def test_a_token_for_another_audience_is_refused(
    cluster: ControlPlane, reviewer: KubeClient, admin: KubeClient, namespace: str
) -> None:
    auth = KubernetesAuth(reviewer, audience="milepost")
    assert await auth.authenticate(await service_account_token(admin, namespace, "milepost"))
    for foreign in (await service_account_token(admin, namespace, "vault"), cluster.token("anna")):
        with pytest.raises(Unauthenticated):
            await auth.authenticate(foreign)


async def test_rbac_decides_by_namespace_verb_and_subresource(
    cluster: ControlPlane, reviewer: KubeClient, admin: KubeClient, namespace: str
) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]
    await grant(admin, f"team-{namespace}", rules, namespace=namespace, group=True)
    auth = KubernetesAuth(reviewer)
    anna = await auth.authenticate(cluster.token("anna", [f"team-{namespace}"]))
    assert await may_read_logs(auth, anna, namespace)
    assert not await may_read_logs(auth, anna, "default")
    assert not await may_read_logs(auth, anna, ""), "a right in one namespace is none in all of them"
    assert not await auth.allowed(anna, verb="get", group="", resource="pods", namespace=namespace)
    bert = await auth.authenticate(cluster.token("bert"))
    assert not await may_read_logs(auth, bert, namespace)


async def test_without_the_cluster_nobody_gets_in_beyond_the_short_memory(
    cluster: ControlPlane, reviewer: KubeClient, admin: KubeClient, namespace: str
) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]
    await grant(admin, f"user-{namespace}", rules, namespace=namespace)
    clock = Clock()
    auth = KubernetesAuth(reviewer, timeout_s=2, cache_for_s=10, clock=clock)
    token = cluster.token(f"user-{namespace}")
    caller = await auth.authenticate(token)
    assert await may_read_logs(auth, caller, namespace)
    await asyncio.to_thread(cluster.stop_apiserver)
    try:
        assert await auth.authenticate(token) == caller
        assert await may_read_logs(auth, caller, namespace)
        clock.now = 10
        with pytest.raises(AuthUnavailable):
            await auth.authenticate(token)
        with pytest.raises(AuthUnavailable):
            await may_read_logs(auth, caller, namespace)
        with pytest.raises(AuthUnavailable):
            await auth.authenticate(cluster.token("new"))
    finally:
        await asyncio.to_thread(cluster.start_apiserver)
    assert await auth.authenticate(token) == caller


async def test_a_withdrawn_right_is_gone_after_the_short_memory(
    cluster: ControlPlane, reviewer: KubeClient, admin: KubeClient, namespace: str
) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}]
    await grant(admin, f"user-{namespace}", rules, namespace=namespace)
    clock = Clock()
    auth = KubernetesAuth(reviewer, clock=clock)
    caller = await auth.authenticate(cluster.token(f"user-{namespace}"))
    assert await may_read_logs(auth, caller, namespace)
    bindings = resource_path("rbac.authorization.k8s.io", "v1", "rolebindings", namespace=namespace)
    for binding in msgspec.json.decode(await admin.request("GET", bindings))["items"]:
        await admin.request("DELETE", f"{bindings}/{binding['metadata']['name']}")
    async with asyncio.timeout(10):
        while await may_read_logs(auth, caller, namespace):
            clock.now += 10
            await asyncio.sleep(0.1)


async def test_a_server_without_the_right_to_ask_refuses_everybody(cluster: ControlPlane) -> None:
    async with cluster.client("powerless", ()) as client:
        with pytest.raises(AuthUnavailable, match="tokenreviews"):
            await KubernetesAuth(client).authenticate(cluster.token("anna"))
