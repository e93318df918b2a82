"""`milepost model list`, `get` and `watch` against a real API server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec
import pytest
import yaml

from deploy.cli.completion import complete_key
from deploy.cli.look import status
from milepost.kube import resource_path
from tests.deploy.test_operations import Cli, model_namespace
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, grant

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


async def test_models_are_listed_shown_and_followed_from_a_terminal(cluster: ControlPlane, tmp_path: Path) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, _):
        empty = await cli.run("list", "-n", cli.namespace)
        assert "there is no such model" in empty
        late = await cli.run("watch", cli.key, "--until", "ready", "--timeout", "0.5", code=6)
        assert "did not become ready within 0.5 s" in late

        following = await cli.start("watch", cli.key, "--until", "ready", "--timeout", "100", "-o", "json")
        await cli.run("create", "-f", cli.spec("1", more="labels: {team: search}\n"))
        async with asyncio.timeout(120):
            out, err = await following.communicate()
        assert following.returncode == 0, err.decode()
        states = [msgspec.json.decode(line)["state"] for line in out.splitlines()]
        assert states[-1] == "ready"

        table = await cli.run("list", "-n", cli.namespace)
        head, row = table.splitlines()
        assert head.split() == ["NAMESPACE", "NAME", "STATE", "READY", "REVISION", "OPERATION", "ROLLOUT"]
        assert row.split() == [cli.namespace, "mnist", "ready", "1/1", "1", "create", "done"]
        everywhere = yaml.safe_load(await cli.run("list", "-A", "-o", "yaml", "--state", "ready"))
        assert cli.key in [f"{one['namespace']}/{one['name']}" for one in everywhere["models"]]

        spec = yaml.safe_load(await cli.run("get", cli.key, "--spec"))
        assert (spec["name"], spec["image"]) == ("mnist", "registry.example/mnist:1")
        shown = msgspec.json.decode((await cli.run("get", cli.key, "-o", "json")).encode())
        assert (shown["revision"]["author"], shown["now"]["replicas"]) == ("ada", 1)
        await cli.run("get", f"{cli.namespace}/nobody", code=3)

        leaving = await cli.start("watch", cli.key, "--until", "gone", "--timeout", "100")
        await cli.run("delete", cli.key)
        async with asyncio.timeout(120):
            out, err = await leaving.communicate()
        assert leaving.returncode == 0, err.decode()
        assert out.decode().splitlines()[-1].split()[2] == "gone"
        await cli.run("get", cli.key, "--spec", code=3)
        assert "registry.example/mnist:1" in await cli.run("get", cli.key, "--spec", "--revision", "1")


async def test_a_list_needs_the_right_to_list_and_a_selector_that_is_one(cluster: ControlPlane, tmp_path: Path) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        path = resource_path("machinelearning.seldon.io", "v1", "seldondeployments", namespace=cli.namespace)
        for number in range(3):
            body = {
                "apiVersion": "machinelearning.seldon.io/v1",
                "kind": "SeldonDeployment",
                "metadata": {"name": f"m{number}", "labels": {"team": "odd" if number % 2 else "even"}},
                "spec": {"predictors": [{"name": "default", "graph": {"name": "unit"}}]},
            }
            await create(client, path, body)
        chosen = await cli.run("list", "-n", cli.namespace, "-l", "team=odd", "-o", "json")
        assert [row["name"] for row in msgspec.json.decode(chosen.encode())["models"]] == ["m1"]
        assert "is no requirement" in await cli.run("list", "-n", cli.namespace, "-l", "a=b=c", code=1)
        await cli.run("list", "-n", cli.namespace, "-A", code=2)
        readable = {"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}
        await grant(client, "blind", [readable], namespace=cli.namespace)
        blind = Cli(cluster.kubeconfig("blind", ()), tmp_path, cli.namespace)
        assert "cannot list resource" in await blind.run("list", "-n", cli.namespace, code=1)

        async def completed(typed: str, kubeconfig: Path | None = None) -> list[str]:
            ctx = click.Context(status, info_name="status")
            ctx.params = {"kube_config": str(kubeconfig or cluster.kubeconfig())}
            found = await asyncio.to_thread(complete_key, ctx, status.params[0], typed)
            return [item.value for item in found]

        assert await completed(f"{cli.namespace}/") == [f"{cli.namespace}/m{number}" for number in range(3)]
        assert await completed(f"{cli.namespace}/m2") == [f"{cli.namespace}/m2"]
        assert f"{cli.namespace}/m0" in await completed(cli.namespace[:4])
        assert await completed(f"{cli.namespace}/", cluster.kubeconfig("blind", ())) == []
        assert await completed(cli.namespace, tmp_path / "nowhere") == []
