"""Every rendered object is accepted by a real API server: server-side apply, dry-run, strict field validation."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from deploy.rendered import FIELD_MANAGER, KubeObject
from milepost.kube import ContentType, KubeClient, KubeError
from tests.conftest import need
from tests.deploy.golden_cases import Case, cases
from tests.parts import crds
from tests.parts.kubernetes import ControlPlane

pytestmark = pytest.mark.cluster
STRICT = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": FIELD_MANAGER, "force": "true"}


@pytest.fixture(scope="module")
def prepared(cluster: ControlPlane) -> ControlPlane:
    """The shared cluster with the custom resources and the namespaces of the golden cases."""
    definitions = need(crds.definitions)
    namespaces = {case.release.stable.namespace for case in cases()}

    async def prepare() -> None:
        async with cluster.client() as client:
            await crds.apply_definitions(client, definitions)
            for name in namespaces:
                await ensure_namespace(client, name)

    asyncio.run(prepare())
    return cluster


async def ensure_namespace(client: KubeClient, name: str) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    params = {"fieldManager": "tests"}
    path = f"/api/v1/namespaces/{name}"
    await client.request("PATCH", path, params=params, body=msgspec.json.encode(body), content_type=ContentType.APPLY)


async def dry_run(client: KubeClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the object as the server would store it."""
    content = msgspec.json.encode(body)
    answer = await client.request("PATCH", path, params=STRICT, body=content, content_type=ContentType.APPLY)
    decoded: dict[str, Any] = msgspec.json.decode(answer)
    return decoded


@pytest.mark.parametrize("case", cases(), ids=[case.name for case in cases()])
async def test_the_server_accepts_what_is_rendered_and_keeps_all_of_it(prepared: ControlPlane, case: Case) -> None:
    async with prepared.client() as client:
        for item in case.render():
            stored = await dry_run(client, item.path, item.body)
            assert_contains(stored, item.body, item.kind)


@pytest.mark.parametrize("case", cases(), ids=[case.name for case in cases()])
async def test_the_pods_are_valid_once_seldon_has_completed_them(prepared: ControlPlane, case: Case) -> None:
    """The CRD leaves PodSpecs open; a Deployment with the same PodSpec is checked field by field."""
    async with prepared.client() as client:
        for index, body in enumerate(_deployments(case.render()[0])):
            path = f"/apis/apps/v1/namespaces/{body['metadata']['namespace']}/deployments/d{index}"
            await dry_run(client, path, body | {"metadata": body["metadata"] | {"name": f"d{index}"}})


async def test_a_misspelt_field_would_have_been_found(prepared: ControlPlane) -> None:
    item = cases()[0].render()[0]
    predictor = item.body["spec"]["predictors"][0] | {"replicaz": 1}
    body = item.body | {"spec": item.body["spec"] | {"predictors": [predictor]}}
    async with prepared.client() as client:
        with pytest.raises(KubeError, match="replicaz"):
            await dry_run(client, item.path, body)


@pytest.mark.parametrize("version", ["v1", "v1alpha2", "v1alpha3"])
async def test_the_old_versions_of_the_resource_are_served(prepared: ControlPlane, version: str) -> None:
    async with prepared.client() as client:
        path = f"/apis/machinelearning.seldon.io/{version}/namespaces/models/seldondeployments"
        assert msgspec.json.decode(await client.request("GET", path))["kind"] == "SeldonDeploymentList"


def _deployments(seldon: KubeObject) -> list[dict[str, Any]]:
    rendered = []
    for predictor in seldon.body["spec"]["predictors"]:
        for component in predictor.get("componentSpecs") or []:
            pod = msgspec.json.decode(msgspec.json.encode(component["spec"]))
            for container in pod["containers"]:
                container.setdefault("image", "completed-by-seldon:1")
            labels = {"app": "x"} | component.get("metadata", {}).get("labels", {})
            annotations = component.get("metadata", {}).get("annotations", {})
            template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}
            spec = {"selector": {"matchLabels": {"app": "x"}}, "template": template}
            metadata = {"namespace": seldon.namespace}
            rendered.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    return rendered


def assert_contains(stored: Any, sent: Any, path: str) -> None:
    """Everything that was sent is in what the server would store: nothing was pruned."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            assert key in stored, f"{path}.{key} was dropped"
            assert_contains(stored[key], value, f"{path}.{key}")
    elif isinstance(sent, list):
        assert len(stored) == len(sent), path
        for index, (have, want) in enumerate(zip(stored, sent, strict=True)):
            assert_contains(have, want, f"{path}[{index}]")
    else:
        assert stored == sent, path
