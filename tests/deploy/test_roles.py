"""The roles that the overlays bring, asked of a real API server with real tokens: what is not granted is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from milepost.kube import ContentType, KubeClient, KubeError
from tests.conftest import need
from tests.parts import crds, kustomize
from tests.parts.kubernetes import ControlPlane

pytestmark = pytest.mark.cluster
OVERLAY = Path(__file__).parents[2] / "deploy" / "kustomize" / "overlays" / "qa"
OWN, OTHER = "roles-own", "roles-other"
SDEP = ("machinelearning.seldon.io", "seldondeployments")
INGRESS = ("networking.k8s.io", "ingresses")
PODS, LOGS, SECRETS, NODES = ("", "pods"), ("", "pods/log"), ("", "secrets"), ("", "nodes")
REVIEWS, TOKENS = ("authorization.k8s.io", "subjectaccessreviews"), ("authentication.k8s.io", "tokenreviews")
Row = tuple[str, str, tuple[str, str], str, bool]

ACCESS: list[Row] = [
    ("viewer", "list", SDEP, OWN, True),
    ("viewer", "get", LOGS, OWN, True),
    ("viewer", "patch", SDEP, OWN, False),
    ("viewer", "list", SDEP, OTHER, False),
    ("viewer", "get", SECRETS, OWN, False),
    ("operator", "patch", SDEP, OWN, True),
    ("operator", "delete", INGRESS, OWN, True),
    ("operator", "create", ("coordination.k8s.io", "leases"), OWN, True),
    ("operator", "create", ("batch", "jobs"), OWN, True),
    ("operator", "patch", SDEP, OTHER, False),
    ("operator", "get", SECRETS, OWN, False),
    ("operator", "delete", PODS, OWN, False),
    ("operator", "create", ("rbac.authorization.k8s.io", "rolebindings"), OWN, False),
    ("serviceaccount:milepost-qa:logserver", "create", TOKENS, "", True),
    ("serviceaccount:milepost-qa:logserver", "create", REVIEWS, "", True),
    ("serviceaccount:milepost-qa:logserver", "list", PODS, OWN, False),
    ("serviceaccount:milepost-qa:platform", "impersonate", ("", "users"), "", True),
    ("serviceaccount:milepost-qa:platform", "watch", SDEP, OTHER, True),
    ("serviceaccount:milepost-qa:platform", "patch", SDEP, OWN, False),
    ("serviceaccount:milepost-qa:platform", "get", SECRETS, OWN, False),
    ("serviceaccount:milepost-qa:filebeat", "list", PODS, OWN, True),
    ("serviceaccount:milepost-qa:filebeat", "get", SECRETS, OWN, False),
    ("serviceaccount:milepost-qa:exporter", "patch", SDEP, OWN, False),
    ("serviceaccount:milepost-qa:exporter", "get", SECRETS, OWN, False),
    ("serviceaccount:milepost-qa:exporter-node", "get", ("", "nodes/proxy"), "", False),
]


@pytest.fixture(scope="module")
def granted(cluster: ControlPlane) -> ControlPlane:
    """The shared cluster with the overlay's roles, and a viewer and an operator of the namespace OWN."""
    definitions, objects = need(lambda: (crds.definitions(), kustomize.build(OVERLAY)))
    roles = {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"}
    own = {"ServiceAccount": "serviceaccounts", "Role": "roles", "RoleBinding": "rolebindings"}

    async def grant() -> None:
        async with cluster.client() as client:
            await crds.apply_definitions(client, definitions)
            for name in (OWN, OTHER, "milepost-qa"):
                await apply(client, f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace"})
            for body in objects:
                version = body["apiVersion"]
                root = f"/apis/{version}" if "/" in version else f"/api/{version}"
                if body["kind"] in own:
                    root = f"{root}/namespaces/{body['metadata']['namespace']}"
                if plural := (roles | own).get(body["kind"]):
                    await apply(client, f"{root}/{plural}/{body['metadata']['name']}", body)
            for user in ("viewer", "operator"):
                await apply(
                    client, f"/apis/rbac.authorization.k8s.io/v1/namespaces/{OWN}/rolebindings/{user}", binding(user)
                )

    asyncio.run(grant())
    return cluster


@pytest.mark.parametrize("row", ACCESS, ids=[f"{row[0]} {row[1]} {row[2][1]} {row[3]}" for row in ACCESS])
async def test_what_is_granted_is_allowed_and_nothing_else(granted: ControlPlane, row: Row) -> None:
    user, verb, (group, resource), namespace, expected = row
    name = f"system:{user}" if user.startswith("serviceaccount:") else user
    resource, _, subresource = resource.partition("/")
    attributes = {
        "verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace,
    }  # fmt: skip
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    groups = ("system:authenticated", "system:serviceaccounts") if ":" in user else ("system:authenticated",)
    async with granted.client(name, groups) as client:
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await client.request("POST", path, body=msgspec.json.encode(review))
        assert msgspec.json.decode(answer)["status"]["allowed"] is expected


async def test_a_viewers_write_is_refused_by_the_server_itself(granted: ControlPlane) -> None:
    path = f"/apis/machinelearning.seldon.io/v1/namespaces/{OWN}/seldondeployments/m"
    body = {"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment", "spec": {"predictors": []}}
    async with granted.client("viewer", ()) as client:
        with pytest.raises(KubeError) as caught:
            await apply(client, path, body)
    assert (caught.value.status, caught.value.reason) == (403, "Forbidden")
    async with granted.client("operator", ()) as client:
        await apply(client, path, body)
        await client.request("DELETE", path)


OWN_TOKENS: list[tuple[str, str, str, bool]] = [
    ("platform", "GET", "/apis/machinelearning.seldon.io/v1/seldondeployments", True),
    ("platform", "DELETE", f"/apis/machinelearning.seldon.io/v1/namespaces/{OWN}/seldondeployments/none", False),
    ("platform", "GET", "/api/v1/secrets", False),
    ("platform", "GET", "/api/v1/namespaces/milepost-qa/configmaps", True),
    ("platform", "DELETE", f"/api/v1/namespaces/{OWN}/configmaps/none", False),
    ("logserver", "GET", "/api/v1/pods", False),
    ("filebeat", "GET", "/api/v1/pods", True),
    ("filebeat", "GET", "/api/v1/secrets", False),
    ("exporter", "GET", "/api/v1/pods", True),
    ("exporter", "DELETE", f"/api/v1/namespaces/{OWN}/pods/none", False),
]


@pytest.mark.parametrize("row", OWN_TOKENS, ids=[" ".join(map(str, row[:3])) for row in OWN_TOKENS])
async def test_an_account_may_with_its_own_token_what_its_program_needs_and_no_more(
    granted: ControlPlane, tmp_path: Path, row: tuple[str, str, str, bool]
) -> None:
    """The token is the API server's own, as a pod gets it, and the request is the one that is refused."""
    account, verb, path, allowed = row
    async with KubeClient.load(await own_token(granted, account, tmp_path)) as client:
        try:
            await client.request(verb, path)
            status = 200
        except KubeError as error:
            status = error.status
    assert (status != 403) is allowed, status
    assert status in (200, 403)


async def own_token(cluster: ControlPlane, account: str, folder: Path) -> Path:
    """Return a kubeconfig with a token of this ServiceAccount of the overlay."""
    path = f"/api/v1/namespaces/milepost-qa/serviceaccounts/{account}"
    ask = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    async with cluster.client() as client:
        answer = msgspec.json.decode(await client.request("POST", f"{path}/token", body=msgspec.json.encode(ask)))
    config = yaml.safe_load(cluster.kubeconfig().read_text())
    config["users"][0]["user"] = {"token": answer["status"]["token"]}
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    return folder / "kubeconfig"


def binding(user: str) -> dict[str, Any]:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"milepost-model-{user}-qa"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "roleRef": role, "subjects": [subject]}


async def apply(client: KubeClient, path: str, body: dict[str, Any]) -> None:
    body = body | {"metadata": {"name": path.rpartition("/")[2]}}
    content = msgspec.json.encode(body)
    await client.request("PATCH", path, params={"fieldManager": "tests"}, body=content, content_type=ContentType.APPLY)
