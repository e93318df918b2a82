"""Every rendered object is accepted by a real API server: server-side apply, dry-run, strict field validation."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from deploy import rules
from deploy.objects import FIELD_MANAGER, KubeObject
from deploy.objects.seldon import seldon_deployment
from deploy.render import render
from deploy.settings import Cluster
from deploy.spec.file import from_document
from deploy.spec.release import Release
from milepost.kube import ContentType, KubeClient, KubeError
from tests.conftest import need
from tests.deploy.golden_cases import Case, cases
from tests.deploy.test_rules import ACCEPTED
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
            await dry_run(client, path, _named(body, f"d{index}"))


SPEC = {"name": "m", "namespace": "models", "image": "own:1"}
REFUSED: dict[str, dict[str, Any]] = {
    "a quantity": {"resources": {"limits": {"memory": "4 GB"}}},
    "a resource that is none": {"resources": {"requests": {"mem": "1Gi"}}},
    "a request above its limit": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "2047Mi"}}},
    "a card without a limit": {"resources": {"requests": {"nvidia.com/gpu": "1"}}},
    "a label's key": {"labels": {"a b": "c"}},
    "a label's value": {"labels": {"a": "b c"}},
    "a selector's value": {"nodeSelector": {"a": "x" * 64}},
    "an annotation's key": {"annotations": {"/a": ""}},
    "an operator": {"tolerations": [{"key": "a", "operator": "In"}]},
    "an effect": {"tolerations": [{"key": "a", "effect": "Never"}]},
    "a value that Exists has": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
    "a toleration without a key": {"tolerations": [{"effect": "NoSchedule"}]},
    "a time": {"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]},
    "a variable": {"env": {"1A": "x"}},
    "a key of a Secret": {"secretEnv": {"A": {"secret": "s", "key": "a b"}}},
    "two mounts in one place": {"mountSecrets": {"s": "/x", "t": "/x"}},
    "a priority": {"priority": "High!"},
}
"""What the API server says only about the Deployment that Seldon makes, and so the rules say before."""


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED.keys())
async def test_what_the_rules_refuse_of_a_pod_the_server_would_refuse_in_its_deployment(
    prepared: ControlPlane, fields: dict[str, Any]
) -> None:
    spec = from_document(SPEC | fields)
    assert list(rules.refusals(spec, Cluster())), "the rules let it pass"
    (body,) = _deployments(seldon_deployment(Release(stable=spec), Cluster()))
    async with prepared.client() as client:
        with pytest.raises(KubeError) as caught:
            await dry_run(client, "/apis/apps/v1/namespaces/models/deployments/refused", _named(body, "refused"))
    assert caught.value.status in (400, 422, 500), caught.value


@pytest.mark.parametrize("documents", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_what_the_rules_let_pass_the_server_takes(
    prepared: ControlPlane, documents: list[dict[str, Any]]
) -> None:
    async with prepared.client() as client:
        for document in documents:
            objects = render(from_document(document | {"namespace": "models"}), Cluster())
            for item in objects:
                await dry_run(client, item.path, item.body)
            for body in _deployments(objects[0]):
                await dry_run(client, "/apis/apps/v1/namespaces/models/deployments/taken", _named(body, "taken"))


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


def _named(body: dict[str, Any], name: str) -> dict[str, Any]:
    return body | {"metadata": body["metadata"] | {"name": name}}


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
