"""Two at once on a real API server: 409s are retried, nothing is lost, and what does not become ready comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from deploy.cluster import Cluster
from deploy.cluster.store import TRIES_MAX, Store
from deploy.errors import Conflict
from deploy.record import Record, edits
from deploy.record.journal import Deed
from deploy.spec.file import from_document
from milepost.kube import KubeClient, resource_path
from tests.deploy.test_operations import model_namespace, routes, status
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create_namespace

pytestmark = pytest.mark.cluster


class Meddler(Store):
    """A store in front of which somebody else writes the record each time, right before it does."""

    def __init__(self, cluster: Cluster, times: int) -> None:
        super().__init__(cluster)
        self._other, self._times = Store(cluster), times

    async def save(self, record: Record, version: str) -> object:  # type: ignore[override]
        if self._times:
            self._times -= 1
            other = (await self._other.load(record.namespace, record.name)).record
            await self._other.save(edits.restart(other, Deed("eve", 2.0, id="x")), version)
        return await super().save(record, version)


async def deployed(client: KubeClient) -> tuple[Cluster, str]:
    cluster, namespace = Cluster(client), await create_namespace(client, "race")
    spec = from_document({"name": "m", "namespace": namespace, "image": "i:1"})
    await Store(cluster).change(namespace, "m", lambda record: edits.apply(record, spec, Deed("ada", 1.0, id="a")))
    return cluster, namespace


async def test_two_writers_at_once_lose_nothing(cluster: ControlPlane) -> None:
    async with cluster.client() as client:
        api, namespace = await deployed(client)

        async def scale(author: str, first: int) -> None:
            for replicas in range(first, first + 12, 2):
                deed = Deed(author, 2.0, id=f"{author}{replicas}")
                await Store(api).change(namespace, "m", lambda found: edits.scale(found, replicas, deed))  # noqa: B023

        await asyncio.gather(scale("bob", 10), scale("eve", 11))
        record = (await Store(api).load(namespace, "m")).record
        assert [item.number for item in record.revisions] == list(range(1, 14))
        assert sorted(int(item.spec["replicas"]) for item in record.revisions[1:]) == list(range(10, 22))
        assert [entry.author for entry in record.audit].count("bob") == 6


async def test_a_conflict_is_tried_again_on_what_is_there_now_and_not_for_ever(cluster: ControlPlane) -> None:
    async with cluster.client() as client:
        api, namespace = await deployed(client)
        deed = Deed("ada", 3.0, id="b")
        stored = await Meddler(api, 3).change(namespace, "m", lambda found: edits.scale(found, 5, deed))
        assert [entry.verb for entry in stored.record.audit] == ["apply", "restart", "restart", "restart", "scale"]
        with pytest.raises(Conflict, match=f"was changed by others {TRIES_MAX} times in a row"):
            await Meddler(api, 100).change(namespace, "m", lambda found: edits.scale(found, 6, deed))
        assert "6" not in {str(item.spec.get("replicas")) for item in stored.record.revisions}


@pytest.mark.slow
async def test_an_atomic_apply_that_never_gets_ready_comes_back_and_purge_leaves_nothing(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        await cli.run("create", "-f", cli.spec("1"))
        # No node has this label, so its pod stays Pending beside the one that serves.
        homeless = cli.spec("2", more="nodeSelector: {disk: none}\n")
        said = await cli.run("apply", "-f", homeless, "--atomic", "--operations-ready-timeout", "5s", code=1)
        assert "revert done back to revision 1: waited 5 s (operations.ready_timeout) for default:" in said
        assert (await status(cli))["state"] == "ready"
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default"}
        said = await cli.run("apply", "-f", homeless, "--operations-ready-timeout", "5s", code=1)
        assert "Error: waited 5 s" in said
        assert (await status(cli))["state"] == "failed"

        configmaps = resource_path("", "v1", "configmaps", namespace=cli.namespace)
        names = {
            item["metadata"]["name"] for item in msgspec.json.decode(await client.request("GET", configmaps))["items"]
        }
        assert "milepost-model-mnist" in names
        await cli.run("delete", cli.key, "--purge")
        names = {
            item["metadata"]["name"] for item in msgspec.json.decode(await client.request("GET", configmaps))["items"]
        }
        assert "milepost-model-mnist" not in names
        await cli.run("history", cli.key, code=3)


async def _configmaps(client: KubeClient, namespace: str) -> set[str]:
    raw = await client.request("GET", resource_path("", "v1", "configmaps", namespace=namespace))
    return {item["metadata"]["name"] for item in msgspec.json.decode(raw)["items"]}
