"""Custom resource definitions for the tests' cluster: the real ones out of their Go modules, and our SeldonDeployment.

Gateway API (https://gateway-api.sigs.k8s.io) and the Prometheus operator publish their CRDs inside their modules. The
Seldon operator's module cannot be had, so `seldon_crd.yaml` is written from its Go types.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import yaml

from milepost.kube import ContentType, KubeClient
from tests.parts.install import Part, Say, install, run, tool

GATEWAY = ("sigs.k8s.io/gateway-api", "v1.3.0", "config/crd/standard")
PROMETHEUS = ("github.com/prometheus-operator/prometheus-operator", "v0.76.2", "example/prometheus-operator-crd")
ESTABLISHED_S = 30.0
COLLECTION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SELDON_CRD = Path(__file__).with_name("seldon_crd.yaml")
WANTED = ("httproutes", "grpcroutes", "servicemonitors", "podmonitors", "prometheusrules")


def _fill(folder: Path, say: Say) -> None:
    go = tool("go", "the custom resource definitions")
    for module, version, inside in (GATEWAY, PROMETHEUS):
        say(f"{module}: fetching")
        answer = json.loads(run([go, "mod", "download", "-json", f"{module}@{version}"], cwd=folder))
        for path in sorted((Path(answer["Dir"]) / inside).glob("*.yaml")):
            if path.stem.rpartition("_")[2] in WANTED:
                shutil.copyfile(path, folder / path.name)


PART = Part("crds", f"gateway-{GATEWAY[1]}-prometheus-{PROMETHEUS[1]}", _fill)


def definitions() -> list[dict[str, Any]]:
    """Return every definition the tests install; raises Unavailable."""
    paths = [SELDON_CRD, *sorted(install(PART).glob("*.yaml"))]
    return [yaml.safe_load(path.read_text()) for path in paths]


async def apply_definitions(client: KubeClient, bodies: list[dict[str, Any]]) -> None:
    """Apply the definitions and wait until the API server serves all of them."""
    for body in bodies:
        path = f"{COLLECTION}/{body['metadata']['name']}"
        params = {"fieldManager": "tests", "force": "true"}
        await client.request(
            "PATCH", path, params=params, body=msgspec.json.encode(body), content_type=ContentType.APPLY
        )
    async with asyncio.timeout(ESTABLISHED_S):
        for body in bodies:
            while not await _established(client, body["metadata"]["name"]):  # noqa: ASYNC110 - only polling shows it
                await asyncio.sleep(0.05)


async def _established(client: KubeClient, name: str) -> bool:
    answer = msgspec.json.decode(await client.request("GET", f"{COLLECTION}/{name}"))
    conditions = answer.get("status", {}).get("conditions") or []
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)
