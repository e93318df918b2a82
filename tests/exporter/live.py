"""The exporter on the tests' API server: a namespace of models, the shipped rights, and pages to look at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from milepost.kube import KubeClient, resource_path
from tests.exporter.program import ExporterProgram
from tests.exporter.workload import ingress, seldon_deployment, seldon_pod, service
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import RBAC, Object, create, create_namespace, create_nodes, create_pods, node, wait_for

ROOT = Path(__file__).parents[2]
SELDON_GROUP = "machinelearning.seldon.io"
PODS, MODELS = 60, 12
ENGINE_PORT, UNIT_PORT = 18000, 16000


async def create_models(client: KubeClient) -> str:
    """Create a namespace with 12 models of five pods each, on two nodes; return its name."""
    name = await create_namespace(client, "expo")
    crds = resource_path("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    crd = yaml.safe_load((ROOT / "tests/parts/seldon_crd.yaml").read_text())
    installed = msgspec.json.decode(await client.request("GET", crds))["items"]
    if crd["metadata"]["name"] not in {each["metadata"]["name"] for each in installed}:
        await create(client, crds, crd)
    await wait_for(client, f"{crds}/{crd['metadata']['name']}", _established)
    await create_nodes(client, [node(f"{name}-a", capacity={"nvidia.com/gpu": "4"}), node(f"{name}-b")])
    pods = [
        seldon_pod(f"m{n % MODELS}-default-0-classifier-{n}", namespace=name, model=f"m{n % MODELS}",
                   node=f"{name}-{'ab'[n % 2]}", engine_port=ENGINE_PORT, metrics_port=UNIT_PORT)
        for n in range(PODS)
    ]  # fmt: skip
    await create_pods(client, name, pods)
    for n in range(MODELS):
        seldon = resource_path(SELDON_GROUP, "v1", "seldondeployments", namespace=name)
        await create(client, seldon, seldon_deployment(f"m{n}", namespace=name))
    services = resource_path("", "v1", "services", namespace=name)
    await create(client, services, service("m0-renamed", model="m0", namespace=name))
    routes = resource_path("networking.k8s.io", "v1", "ingresses", namespace=name)
    await create(client, routes, ingress("m0", "m0-renamed", namespace=name))
    await wait_for(client, resource_path("", "v1", "pods", namespace=name), _all_running, timeout_s=120)
    return name


async def apply_rbac(client: KubeClient, namespace: str) -> None:
    """Create the objects of the shipped rbac.yaml in this namespace, with names of this test's own."""
    for body in yaml.safe_load_all((ROOT / "deploy/kustomize/base/exporter/rbac.yaml").read_text()):
        kind, meta = body["kind"], body["metadata"]
        if kind == "ServiceAccount":
            await create(client, resource_path("", "v1", "serviceaccounts", namespace=namespace), body)
            continue
        meta["name"] = f"{meta['name']}-{namespace}"
        if kind == "ClusterRoleBinding":
            body["roleRef"]["name"] += f"-{namespace}"
            body["subjects"][0]["namespace"] = namespace
        await create(client, resource_path(RBAC, "v1", f"{kind.lower()}s"), body)


async def account_kubeconfig(client: KubeClient, plane: ControlPlane, namespace: str, account: str, to: Path) -> Path:
    """Return a kubeconfig with a real token of a service account."""
    path = resource_path("", "v1", "serviceaccounts", namespace=namespace, name=account)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    token = (await create(client, f"{path}/token", asked))["status"]["token"]
    content = yaml.safe_load(plane.kubeconfig().read_text())
    content["users"][0]["user"] = {"token": token}
    to.write_text(yaml.safe_dump(content))
    return to


class Page:
    """A scraped page."""

    def __init__(self, body: bytes) -> None:
        self.lines = body.decode().splitlines()

    def count(self, family: str, *labels: str) -> int:
        return len(self.of(family, *labels))

    def of(self, family: str, *labels: str) -> list[str]:
        return [line for line in self.lines if line.startswith(family + "{") and all(each in line for each in labels)]

    def value(self, family: str, *labels: str) -> float:
        (line,) = self.of(family, *labels)
        return float(line.rpartition(" ")[2])


async def scrape(exporter: ExporterProgram) -> Page:
    return Page(await asyncio.to_thread(exporter.get, "/metrics"))


async def until(exporter: ExporterProgram, holds: Callable[[Page], bool], timeout_s: float = 60) -> Page:
    """Scrape until the page says so."""
    async with asyncio.timeout(timeout_s):
        while not holds(page := await scrape(exporter)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return page


async def answer(exporter: ExporterProgram, path: str, token: str) -> Any:
    return msgspec.json.decode(await asyncio.to_thread(exporter.get, path, token=token))


def _established(crd: Object) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _all_running(pods: Object) -> bool:
    return all(pod["status"].get("phase") == "Running" and pod["status"].get("podIP") for pod in pods["items"])
