"""Several cluster exporters: the component renders shards that together own every pod once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from exporter.settings import GROUPS, Settings, shard_of
from milepost.kube import ContentType, resource_path
from milepost.settings import load
from tests.conftest import need
from tests.parts import kustomize
from tests.parts.kubernetes import ControlPlane

KUSTOMIZE = Path(__file__).parents[2] / "deploy" / "kustomize"


def rendered(folder: Path, **more: object) -> list[dict[str, Any]]:
    """The exporter's base with the component, built in a folder of its own."""
    relative = Path(os.path.relpath(KUSTOMIZE, folder))
    overlay = {
        "resources": [str(relative / "base" / "exporter")],
        "components": [str(relative / "components" / "exporter-shards")],
        **more,
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return need(lambda: kustomize.build(folder))


def workload(objects: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """The cluster exporter and its variables."""
    (found,) = [each for each in objects if each["kind"] in ("Deployment", "StatefulSet")]
    reference = found["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
    (config,) = [each for each in objects if each["kind"] == "ConfigMap" and each["metadata"]["name"] == reference]
    own = found["spec"]["template"]["spec"]["containers"][0].get("env", ())
    return found, {**config["data"], **{each["name"]: each["value"] for each in own}}


@pytest.mark.parametrize("count", [3, 5])
def test_the_pods_of_the_stateful_set_are_all_the_shards_each_once(tmp_path: Path, count: int) -> None:
    patch = f'- {{op: replace, path: /spec/template/spec/containers/0/env/0/value, value: "{count}"}}'
    other_count: dict[str, object] = {
        "replicas": [{"name": "exporter", "count": count}],
        "patches": [{"target": {"kind": "StatefulSet", "name": "exporter"}, "patch": patch}],
    }
    more = {} if count == 3 else other_count
    found, env = workload(rendered(tmp_path, **more))
    assert (found["kind"], found["spec"]["replicas"]) == ("StatefulSet", count)
    settings = Settings(**load(GROUPS, flags={}, env=env, file=None))
    # The controller names them <name>-<ordinal>, and a container's HOSTNAME is its pod's name.
    shards = [
        shard_of(settings.watch, {"HOSTNAME": f"{found['metadata']['name']}-{number}"})
        for number in range(found["spec"]["replicas"])
    ]
    assert [(shard.index, shard.count) for shard in shards] == [(number, count) for number in range(count)]
    uids = [f"5c0b9a52-6f6f-4b5e-9d55-{number:012}" for number in range(500)]
    assert all(sum(shard.owns(uid) for shard in shards) == 1 for uid in uids)


@pytest.mark.cluster
async def test_a_real_server_accepts_the_stateful_set(tmp_path: Path, cluster: ControlPlane) -> None:
    found, _ = workload(rendered(tmp_path))
    path = resource_path("apps", "v1", "statefulsets", namespace="default", name="exporter")
    async with cluster.client() as client:
        answer = await client.request(
            "PATCH", path, body=msgspec.json.encode(found), content_type=ContentType.APPLY,
            params={"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "tests", "force": "true"},
        )  # fmt: skip
    assert msgspec.json.decode(answer)["spec"]["podManagementPolicy"] == "Parallel"
