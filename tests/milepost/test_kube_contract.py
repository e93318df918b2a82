"""The client against a real API server: reading in pages, writing without treading on others, being who one is."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from kubernetes.config import incluster_config

from milepost import kubeconfig
from milepost.kube import ContentType, KubeClient, KubeError, KubeSettings, resource_path
from milepost.units import Bytes
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, create_namespace, grant

pytestmark = pytest.mark.cluster

SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@pytest.fixture
async def client(cluster: ControlPlane) -> AsyncIterator[KubeClient]:
    async with cluster.client() as client:
        yield client


@pytest.fixture
async def namespace(client: KubeClient) -> str:
    return await create_namespace(client)


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def config_maps(namespace: str, name: str = "") -> str:
    return resource_path("", "v1", "configmaps", namespace=namespace, name=name)


async def read(client: KubeClient, path: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(await client.request("GET", path))
    return found


async def who(client: KubeClient) -> dict[str, Any]:
    answer = await create(client, SELF, {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    user: dict[str, Any] = answer["status"]["userInfo"]
    return user


async def test_a_list_in_pages_holds_every_object_once(client: KubeClient, namespace: str) -> None:
    for number in range(25):
        await create(client, config_maps(namespace), config_map(f"c-{number:02}"))
    selected = {"labelSelector": "!none", "fieldSelector": "metadata.name!=kube-root-ca.crt"}
    pages = [
        [item["metadata"]["name"] for item in msgspec.json.decode(page)["items"]]
        async for page in client.list_pages(config_maps(namespace), selected, limit=10)
    ]
    names = [name for page in pages for name in page]
    assert sorted(names) == [f"c-{number:02}" for number in range(25)]
    assert len(pages) >= 3
    assert max(map(len, pages)) <= 10


async def test_a_list_whose_token_expired_is_an_error_and_not_half_a_list(
    cluster: ControlPlane, client: KubeClient, namespace: str
) -> None:
    for number in range(3):
        await create(client, config_maps(namespace), config_map(f"c-{number}"))
    pages = client.list_pages(config_maps(namespace), limit=1)
    await anext(pages)
    await create(client, config_maps(namespace), config_map("later"))
    cluster.expire_versions()
    with pytest.raises(KubeError) as caught:
        await anext(pages)
    assert caught.value.expired


async def test_an_apply_that_would_take_a_field_names_its_owner_and_force_takes_it(
    client: KubeClient, namespace: str
) -> None:
    path = config_maps(namespace, "shared")

    async def apply(manager: str, value: str, **params: str | bool) -> dict[str, Any]:
        answer: dict[str, Any] = msgspec.json.decode(
            await client.request(
                "PATCH",
                path,
                params={"fieldManager": manager, **params},
                body=msgspec.json.encode(config_map("shared", key=value)),
                content_type=ContentType.APPLY,
            )
        )
        return answer

    await apply("first", "a")
    with pytest.raises(KubeError) as caught:
        await apply("second", "b")
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")
    assert [(cause.field, "first" in cause.message) for cause in caught.value.causes] == [(".data.key", True)]
    dry = await apply("second", "b", force=True, dryRun="All")
    assert dry["data"] == {"key": "b"}
    assert (await read(client, path))["data"] == {"key": "a"}
    await apply("second", "b", force=True)
    assert (await read(client, path))["data"] == {"key": "b"}


async def test_merge_and_json_patch_and_a_lost_update(client: KubeClient, namespace: str) -> None:
    before = await create(client, config_maps(namespace), config_map("c", one="1", two="2"))
    path = config_maps(namespace, "c")
    await client.request("PATCH", path, body=b'{"data":{"one":null}}', content_type=ContentType.MERGE)
    patch = b'[{"op":"test","path":"/data/two","value":"2"},{"op":"replace","path":"/data/two","value":"3"}]'
    await client.request("PATCH", path, body=patch, content_type=ContentType.JSON_PATCH)
    assert (await read(client, path))["data"] == {"two": "3"}
    with pytest.raises(KubeError) as failed:
        await client.request("PATCH", path, body=patch, content_type=ContentType.JSON_PATCH)
    assert failed.value.status == 422
    with pytest.raises(KubeError) as lost:
        await client.request("PUT", path, body=msgspec.json.encode(before))
    assert (lost.value.status, lost.value.reason, lost.value.transient) == (409, "Conflict", False)


async def test_the_message_about_a_refused_secret_is_kept_back(client: KubeClient, namespace: str) -> None:
    secret = {"metadata": {"name": "s"}, "type": "kubernetes.io/tls", "data": {"hunter2!": "aHVudGVyMg=="}}
    with pytest.raises(KubeError) as caught:
        await create(client, resource_path("", "v1", "secrets", namespace=namespace), secret)
    assert caught.value.status == 422
    assert "hunter2!" not in caught.value.message
    assert "kept back" in caught.value.message


async def test_a_user_does_what_rbac_grants_and_nothing_else(
    cluster: ControlPlane, client: KubeClient, namespace: str
) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    await grant(client, f"reader-{namespace}", rules, namespace=namespace)
    async with cluster.client(f"reader-{namespace}", ()) as reader:
        assert await reader.request("GET", config_maps(namespace))
        for method, path in (("GET", config_maps("default")), ("DELETE", config_maps(namespace, "c"))):
            with pytest.raises(KubeError) as caught:
                await reader.request(method, path)
            assert (caught.value.status, caught.value.reason) == (403, "Forbidden")


async def test_impersonation_acts_as_the_other_and_needs_the_right_to(
    cluster: ControlPlane, client: KubeClient
) -> None:
    other = client.as_user("anna", ["team/a", "b c"], uid="7", extra={"Example.test/Scope": ["x", "y"]})
    assert await who(other) == {
        "username": "anna",
        "uid": "7",
        "groups": ["team/a", "b c", "system:authenticated"],
        "extra": {"example.test/scope": ["x", "y"]},
    }
    with pytest.raises(KubeError) as refused:
        await other.request("GET", "/api/v1/pods")
    assert refused.value.status == 403
    await other.close()
    assert (await who(client))["username"] == "admin", "closing a derived client leaves the first one open"
    async with cluster.client("nobody", ()) as nobody:
        with pytest.raises(KubeError, match="cannot impersonate"):
            await who(nobody.as_user("admin", ["system:masters"]))


@pytest.mark.parametrize(("user", "groups"), [("", []), ("a", [""]), ("a\r\nX: y", []), ("a", ["b\n"])])
async def test_an_impersonation_that_would_fall_back_to_our_own_rights_is_refused(
    client: KubeClient, user: str, groups: list[str]
) -> None:
    with pytest.raises(ValueError, match="cannot impersonate"):
        client.as_user(user, groups)


def rewrite(cluster: ControlPlane, path: Path, user: dict[str, Any]) -> Path:
    """Write a kubeconfig like the admin's with these credentials."""
    content = yaml.safe_load(cluster.kubeconfig().read_text())
    content["users"][0]["user"] = user
    content["contexts"][0]["context"]["namespace"] = "models"
    path.write_text(yaml.safe_dump(content))
    return path


async def test_a_client_certificate_and_the_namespace_of_the_context(cluster: ControlPlane, tmp_path: Path) -> None:
    certificate, key = cluster.pki.client_certificate("cert-user", ["g1", "g2"])
    credentials = {"client-certificate": str(certificate), "client-key": str(key)}
    async with KubeClient.load(rewrite(cluster, tmp_path / "config", credentials)) as client:
        user = await who(client)
        assert (user["username"], client.namespace) == ("cert-user", "models")
        assert set(user["groups"]) == {"g1", "g2", "system:authenticated"}


async def test_an_exec_plugin_is_asked_for_the_token(cluster: ControlPlane, tmp_path: Path) -> None:
    token = cluster.token("plugin-user")
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}}
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!/bin/sh\ncat <<'END'\n{msgspec.json.encode(answer).decode()}\nEND\n")
    plugin.chmod(stat.S_IRWXU)
    exec_ = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }
    async with KubeClient.load(rewrite(cluster, tmp_path / "config", {"exec": exec_})) as client:
        assert (await who(client))["username"] == "plugin-user"


async def test_a_refused_token_is_read_again_since_it_may_have_been_rotated(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    path = rewrite(cluster, tmp_path / "config", {"token": "outdated"})
    async with KubeClient.load(path) as client:
        rewrite(cluster, path, {"token": cluster.token("rotated")})
        assert (await who(client))["username"] == "rotated"
    async with KubeClient.load(rewrite(cluster, path, {"token": "outdated"})) as client:
        with pytest.raises(KubeError) as caught:
            await who(client)
        assert caught.value.status == 401
        assert "outdated" not in str(caught.value)


async def test_an_answer_above_the_bound_is_refused_and_names_the_setting(
    cluster: ControlPlane, client: KubeClient, namespace: str
) -> None:
    await create(client, config_maps(namespace), config_map("large", text="x" * 200_000))
    small = dataclasses.replace(KubeSettings(), body_max=Bytes(100_000))
    async with KubeClient.load(cluster.kubeconfig(), settings=small) as bounded:
        with pytest.raises(KubeError, match=r"exceeds 100000 bytes \(kube.body_max\)"):
            await bounded.request("GET", config_maps(namespace, "large"))


async def test_a_server_that_is_gone_or_untrusted_is_unreachable(cluster: ControlPlane, tmp_path: Path) -> None:
    content = yaml.safe_load(cluster.kubeconfig().read_text())
    del content["clusters"][0]["cluster"]["certificate-authority"]
    (tmp_path / "untrusted").write_text(yaml.safe_dump(content))
    async with KubeClient.load(tmp_path / "untrusted") as client:
        with pytest.raises(KubeError, match=r"(?i)certificate") as untrusted:
            await client.request("GET", "/version")
        assert (untrusted.value.status, untrusted.value.reason) == (0, "Unreachable")


async def test_in_a_pod_the_service_account_is_used_and_its_rotated_token_too(
    cluster: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, authority, namespace = tmp_path / "token", tmp_path / "ca.crt", tmp_path / "namespace"
    token.write_text(cluster.token("outdated")[:-1] + "\n")
    authority.write_bytes((cluster.pki.folder / "apiserver.crt").read_bytes())
    namespace.write_text("models")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setattr(kubeconfig, "_SERVICE_ACCOUNT_NAMESPACE", namespace)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    host, _, port = cluster.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    async with KubeClient.load() as client:
        token.write_text(cluster.token("pod-user") + "\n")
        assert (await who(client))["username"] == "pod-user"
        assert client.namespace == "models"
