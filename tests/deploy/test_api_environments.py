"""Proposals, adoption, shadow and rebuild over HTTP: the server's policy decides, whatever a client does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from milepost.kube import resource_path
from tests.deploy.http_caller import Http, done
from tests.deploy.test_adoption import deployed, pods_of
from tests.deploy.test_api import api
from tests.deploy.test_operations import model_namespace, routes
from tests.deploy.test_rebuild import DIGEST, TEMPLATE, end
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, grant

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
POLICY = """
environments:
  prod:
    limits: {replicasMax: 3}
    approvals: [{operations: [apply, rollout, delete], groups: [release]}]
"""


async def test_what_needs_approvals_gets_them_over_http(cluster: ControlPlane, tmp_path: Path) -> None:
    file = tmp_path / "environments.yaml"
    file.write_text(POLICY)
    env = {"MILEPOST_ENVIRONMENTS_FILE": str(file), "MILEPOST_ENVIRONMENTS_NAME": "prod"}
    async with model_namespace(cluster, tmp_path) as (cli, client), api(client, **env) as (session, base):
        everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
        for user in ("ada", "bob"):
            await grant(client, user, [everything], namespace=cli.namespace)
        ada = Http(session, base, cluster.token("ada", ()))
        bob = Http(session, base, cluster.token("bob", ("release",)))
        path = f"/api/v1/models/{cli.namespace}/mnist"
        spec: dict[str, Any] = {"name": "mnist", "namespace": cli.namespace, "image": "registry.example/mnist:1"}

        policy = await ada.ask("GET", "/api/v1/environment")
        assert policy["environment"]["limits"] == {"replicasMax": 3}
        refused = await ada.ask("PUT", path, spec, status=422)
        assert refused["faults"][0]["field"] == "operation"
        await ada.ask("POST", f"{path}/proposals", {"verb": "scale"}, status=422)
        beyond = await ada.ask("POST", f"{path}/proposals", {"spec": {**spec, "replicas": 4}}, status=422)
        assert [item["field"] for item in beyond["faults"]] == ["replicas"]

        asked = await ada.ask("POST", f"{path}/proposals?reason=first", {"spec": spec}, status=201)
        number = asked["proposal"]["id"]
        await ada.ask("POST", f"{path}/proposals/{number}/approve", status=422)
        await bob.ask("POST", f"{path}/proposals/0123/approve", status=422)
        await done(bob, "POST", f"{path}/proposals/{number}/approve?reason=seen")
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default"}
        history = await ada.ask("GET", f"{path}/history")
        assert history["revisions"][0]["author"] == "ada"

        asked = await ada.ask("POST", f"{path}/proposals", {"verb": "delete"}, status=201)
        assert (await bob.ask("GET", f"{path}/proposals"))["stale"] is False
        number = asked["proposal"]["id"]
        await done(ada, "POST", f"{path}/scale?replicas=2")
        assert (await bob.ask("GET", f"{path}/proposals"))["stale"] is True
        stale = await bob.ask("POST", f"{path}/proposals/{number}/approve", status=422)
        assert "stale: the model was at revision 1" in stale["detail"]
        assert (await bob.ask("POST", f"{path}/proposals/{number}/reject"))["proposal"] is None


async def test_a_model_is_adopted_shadowed_and_rebuilt_over_http(cluster: ControlPlane, tmp_path: Path) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        settings = {"MILEPOST_REBUILD_TEMPLATE": f"{cli.namespace}/rebuild"}
        config = {"metadata": {"name": "rebuild"}, "data": {"job.yaml": TEMPLATE}}
        await create(client, resource_path("", "v1", "configmaps", namespace=cli.namespace), config)
        async with api(client, **settings) as (session, base):
            everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
            await grant(client, "ada", [everything], namespace=cli.namespace)
            ada = Http(session, base, cluster.token("ada", ()))
            path = f"/api/v1/models/{cli.namespace}/mnist"
            await ada.ask("GET", f"{path}/adopt", status=404)
            await deployed(client, cli.namespace)
            before = await pods_of(client, cli.namespace)
            assert (await ada.ask("GET", f"{path}/adopt"))["spec"]["image"] == "registry.example/mnist:1"
            await done(ada, "POST", f"{path}/adopt?reason=ours")
            assert await pods_of(client, cli.namespace) == before

            job = await ada.ask(
                "POST", f"{path}/rebuild", {"image": "r/mnist:2", "base": "b", "commit": "c"}, status=202
            )
            await end(client, cli.namespace, phase="Succeeded", code=0, message=DIGEST)
            assert "started" in await ada.ask("GET", f"/api/v1/jobs/{job['id']}/events")
            assert await routes(client, cli.namespace) == {"digits": "mnist-r2"}
            await ada.ask("PUT", f"{path}/shadow", {"image": "r/mnist:3", "percent": 0}, status=422)
            assert '"state":"done"' in await done(ada, "PUT", f"{path}/shadow", {"image": "r/mnist:3"})
            assert '"state":"done"' in await done(ada, "DELETE", f"{path}/shadow")
