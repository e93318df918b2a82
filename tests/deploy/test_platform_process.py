"""The platform as it is shipped: a process with nothing but its service account's token, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import yaml

from milepost.kube import ContentType, KubeClient, resource_path
from tests.conftest import need
from tests.deploy.http_caller import Http, done
from tests.deploy.platform_process import PlatformProcess
from tests.deploy.test_operations import Cli, model_namespace, old_address, routes
from tests.parts import kustomize
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import RBAC, create

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
OVERLAY = Path(__file__).parents[2] / "deploy" / "kustomize" / "overlays" / "qa"
HOME, ACCOUNT = "milepost-qa", "platform"
KINDS = {
    "Namespace": ("v1", "namespaces", False),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "ClusterRole": (f"{RBAC}/v1", "clusterroles", False),
    "ClusterRoleBinding": (f"{RBAC}/v1", "clusterrolebindings", False),
    "Role": (f"{RBAC}/v1", "roles", True),
    "RoleBinding": (f"{RBAC}/v1", "rolebindings", True),
}


async def shipped(cluster: ControlPlane, client: KubeClient, folder: Path) -> Path:
    """Apply the overlay's accounts and roles; return a kubeconfig with the platform's own token and nothing else."""
    objects = need(lambda: kustomize.build(OVERLAY))
    for body in sorted(
        (one for one in objects if one["kind"] in KINDS), key=lambda one: list(KINDS).index(one["kind"])
    ):
        version, plural, namespaced = KINDS[body["kind"]]
        group, _, number = version.rpartition("/")
        namespace = body["metadata"].get("namespace", HOME) if namespaced else ""
        path = resource_path(group, number, plural, namespace=namespace, name=body["metadata"]["name"])
        content = msgspec.json.encode(body)
        await client.request(
            "PATCH", path, params={"fieldManager": "tests", "force": True}, body=content, content_type=ContentType.APPLY
        )
    path = resource_path("", "v1", "serviceaccounts", namespace=HOME, name=ACCOUNT, subresource="token")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = msgspec.json.decode(await client.request("POST", path, body=msgspec.json.encode(request)))
    config = yaml.safe_load(cluster.kubeconfig().read_text())
    config["users"][0]["user"] = {"token": answer["status"]["token"]}
    config["contexts"][0]["context"]["namespace"] = HOME
    kubeconfig = folder / "platform.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return kubeconfig


@contextlib.asynccontextmanager
async def running(
    cluster: ControlPlane, folder: Path
) -> AsyncIterator[tuple[Cli, PlatformProcess, KubeClient, aiohttp.ClientSession]]:
    """The shipped platform beside a namespace whose `operator` and `viewer` have the shipped roles, and no more."""
    async with model_namespace(cluster, folder) as (cli, client), aiohttp.ClientSession() as session:
        platform = PlatformProcess(folder, await shipped(cluster, client, folder), {"PLATFORM_RESUME_EVERY": "500ms"})
        for user in ("operator", "viewer"):
            await create(
                client, resource_path(RBAC, "v1", "rolebindings", namespace=cli.namespace), role_of(user)
            )  # fmt: skip
        try:
            yield cli, platform.start(), client, session
        finally:
            platform.kill()


def role_of(user: str) -> dict[str, Any]:
    """Return the binding of a user to the shipped role of that name."""
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"milepost-model-{user}-qa"}
    subject = {"apiGroup": RBAC, "kind": "User", "name": f"{user}-of-tests"}
    return {"metadata": {"name": user}, "roleRef": role, "subjects": [subject]}


def spec_of(cli: Cli, version: str) -> dict[str, Any]:
    image = f"registry.example/mnist:{version}"
    return {"name": "mnist", "namespace": cli.namespace, "image": image, "drainSeconds": 1}


async def test_with_its_shipped_role_it_deploys_rolls_out_and_deletes_for_an_operator_and_for_nobody_else(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    async with running(cluster, tmp_path) as (cli, platform, client, session):
        path = f"/api/v1/models/{cli.namespace}/mnist"
        operator = Http(session, platform.url, cluster.token("operator-of-tests", ()))
        viewer = Http(session, platform.url, cluster.token("viewer-of-tests", ()))
        refused = await viewer.ask("PUT", path, spec_of(cli, "1"), status=403)
        assert "viewer-of-tests" in refused["detail"]
        await done(operator, "PUT", path, spec_of(cli, "1"))
        plan = {"steps": [{"split": {"percent": 50}, "hold_s": 0}], "judged": False, "auto_promote": False}
        rollout = {"spec": spec_of(cli, "2"), "plan": plan}
        await done(operator, "POST", f"{path}/rollout", rollout)
        for verb in ("pause", "resume", "promote", "abort", "rollback"):
            await barred(viewer, "POST", f"{path}/{verb}")
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default", "mnist-canary": "mnist-r2"}
        await done(operator, "POST", f"{path}/promote")
        assert await routes(client, cli.namespace) == {"mnist": "mnist-r2"}

        assert (await viewer.ask("GET", f"{path}/status"))["state"] == "ready"
        assert (await viewer.ask("GET", f"{path}/why"))["findings"] == []
        may = (await viewer.ask("GET", f"{path}/permissions"))["verbs"]
        assert {verb for verb, one in may.items() if one["allowed"]} == {"status", "history", "why", "events", "logs"}
        before = (await viewer.ask("GET", f"{path}/history"))["audit"]
        for verb in ("restart", "rollback", "scale?replicas=2"):
            await barred(viewer, "POST", f"{path}/{verb}")
        await barred(viewer, "POST", f"{path}/rollout", {**rollout, "spec": spec_of(cli, "3")})
        await old_address(client, cli.namespace)
        split = {"old": {"service": "old", "port": 80}, "split": {"percent": 30}}
        await barred(viewer, "POST", f"{path}/migrate", split)
        await barred(viewer, "PUT", f"{path}/shadow", {"image": "registry.example/mnist:3"})
        await barred(viewer, "DELETE", path)
        assert (await viewer.ask("GET", f"{path}/history"))["audit"] == before
        await viewer.ask("GET", "/api/v1/models", status=403)

        # The platform itself may change nothing: without a caller's rights its own are not enough.
        own = KubeClient.load(tmp_path / "platform.kubeconfig")
        async with own:
            for kind, name in (("seldondeployments", "mnist"), ("configmaps", "milepost-model-mnist")):
                group = "machinelearning.seldon.io" if kind == "seldondeployments" else ""
                target = resource_path(group, "v1", kind, namespace=cli.namespace, name=name)
                with pytest.raises(Exception, match="forbidden"):
                    await own.request("DELETE", target)
        await done(operator, "DELETE", path)
        assert await routes(client, cli.namespace) == {}


async def barred(viewer: Http, method: str, path: str, document: Any = None) -> None:
    """Send a change as somebody who may only look; the API server itself names who may not do what."""
    refused = await viewer.ask(method, path, document, status=403)
    assert "viewer-of-tests" in refused["detail"], refused


async def test_killed_again_and_again_it_goes_on_by_itself_until_what_was_asked_for_is_there(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    async with running(cluster, tmp_path) as (cli, platform, client, session):
        path, kills = f"/api/v1/models/{cli.namespace}/mnist", 0
        operator = Http(session, platform.url, cluster.token("operator-of-tests", ()))
        plan = {"steps": [{"split": {"percent": 50}, "hold_s": 0}], "judged": False}
        changes: list[tuple[str, str, Any, dict[str, str]]] = [
            ("PUT", path, spec_of(cli, "1"), {"mnist": "mnist-default"}),
            ("POST", f"{path}/rollout", {"spec": spec_of(cli, "2"), "plan": plan}, {"mnist": "mnist-r2"}),
        ]
        for method, address, document, wanted in changes:
            job = await operator.ask(method, address, document, status=202)
            stream = operator.follow(f"/api/v1/jobs/{job['id']}/events")
            async with asyncio.timeout(60), contextlib.aclosing(stream):
                assert (await anext(stream))[0] == "progress"
                platform.kill()
                kills += 1
            platform.start()
            await ended(operator, path)
            assert await routes(client, cli.namespace) == wanted
            # The job itself ends a moment after the operation, once the lock and the worklist are clean.
            events = await operator.ask("GET", f"/api/v1/jobs/{job['id']}/events")
            found = await operator.ask("GET", f"/api/v1/jobs/{job['id']}")
            assert (found["state"], found["verb"]) == ("done", "apply" if method == "PUT" else "rollout"), events
            await empty(client)
        assert kills == len(changes)
        history = await operator.ask("GET", f"{path}/history")
        assert {item["author"] for item in history["revisions"]} == {"operator-of-tests"}


async def ended(http: Http, path: str) -> None:
    """Wait until nobody has anything left to do for the model."""
    async with asyncio.timeout(180):
        while True:
            operation = (await http.ask("GET", path))["operation"]
            assert operation["state"] != "failed", operation
            if operation["state"] == "done":
                return
            await asyncio.sleep(0.2)


async def empty(client: KubeClient) -> None:
    """Wait until the worklist is empty."""
    path = resource_path("", "v1", "configmaps", namespace=HOME)
    async with asyncio.timeout(60):
        while True:
            found = msgspec.json.decode(
                await client.request("GET", path, params={"labelSelector": "milepost.dev/job=true"})
            )
            if not found["items"]:
                return
            await asyncio.sleep(0.2)
