"""From one environment to the next on a real API server: policy, approvals, and who somebody really is."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from milepost.kube import KubeClient, resource_path
from tests.deploy.test_operations import Cli, model_namespace, routes
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, grant

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

POLICY = """
environments:
  qa:
    namespaces: {{nlp: {qa}}}
  prod:
    after: qa
    namespaces: {{nlp: {prod}}}
    patch: {{replicas: 2}}
    {rules}
"""
RULES = """
    who: [{operations: ["*"], groups: [nlp-team]}]
    limits: {replicasMax: 4, required: [version], forbiddenExposure: [external]}
    approvals: [{operations: [apply, rollout, delete], groups: [release], needed: 1}]
"""


class People:
    """The command as different people, each with their own token, in environments `qa` and `prod`."""

    def __init__(self, cluster: ControlPlane, folder: Path, qa: str, prod: str) -> None:
        self._cluster, self._folder = cluster, folder
        self.qa, self.prod = qa, prod
        self.file = folder / "environments.yaml"
        self.file.write_text(POLICY.format(qa=qa, prod=prod, rules=f"policyFrom: {prod}/policy"))

    def cli(self, user: str, *groups: str) -> Cli:
        return Cli(
            self._cluster.kubeconfig(user, groups),
            self._folder,
            "nlp",
            MILEPOST_ENVIRONMENTS_FILE=str(self.file),
            MILEPOST_AUTHOR="somebody-else",
        )

    async def give_policy(self, client: KubeClient) -> None:
        """Write the rules of prod where its file says that they are kept: in its cluster."""
        text = POLICY.format(qa=self.qa, prod=self.prod, rules=RULES)
        path = resource_path("", "v1", "configmaps", namespace=self.prod)
        await create(client, path, {"metadata": {"name": "policy"}, "data": {"environments.yaml": text}})


@contextlib.asynccontextmanager
async def people(cluster: ControlPlane, folder: Path) -> AsyncIterator[tuple[People, KubeClient]]:
    async with model_namespace(cluster, folder) as (qa, client), model_namespace(cluster, folder) as (prod, _):
        everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
        for namespace in (qa.namespace, prod.namespace):
            for group in ("nlp-team", "release"):
                await grant(client, group, [everything], namespace=namespace, group=True)
        yield People(cluster, folder, qa.namespace, prod.namespace), client


def proposal_in(text: str) -> str:
    match = re.search(r"proposal ([0-9a-f]{12}):", text)
    assert match, text
    return match[1]


async def test_a_model_comes_to_production_by_promotion_and_approval(cluster: ControlPlane, tmp_path: Path) -> None:
    async with people(cluster, tmp_path) as (some, client):
        ada, bob = some.cli("ada", "nlp-team"), some.cli("bob", "release")
        assert "prod.policyFrom" in await ada.run("status", ada.key, "--env", "prod", code=1)
        await some.give_policy(client)

        await ada.run("apply", "-f", ada.spec("1", more='version: "1"\n'), "--env", "qa")
        assert await routes(client, some.qa) == {"mnist": "mnist-default"}
        assert '"author":"ada"' in await ada.run("history", ada.key, "--env", "qa", "-o", "json")

        said = await ada.run("promote-to", "prod", ada.key, "--env", "qa", "--dry-run")
        assert f"~ namespace: {some.qa} → {some.prod}" in said
        assert "+ replicas: 2" in said
        assert "create SeldonDeployment mnist" in said
        await ada.run("status", ada.key, "--env", "prod", code=3)

        said = await ada.run("apply", "-f", ada.spec("1", more='version: "1"\n'), "--env", "prod", code=1)
        assert "operation is 'create': in prod it needs 1 approval(s) by group release" in said
        said = await ada.run("promote-to", "prod", ada.key, "--env", "qa", "--reason", "passed on digits")
        assert "apply from qa revision 1 by ada (passed on digits): waits, 0 of 1 approvals (nobody yet)" in said
        number = proposal_in(said)
        assert await routes(client, some.prod) == {}

        said = await ada.run("approve", ada.key, number, "--env", "prod", code=1)
        assert "a proposal is approved by somebody else than its author" in said
        await bob.run("approve", bob.key, number, "--env", "prod", "--reason", "seen")
        assert await routes(client, some.prod) == {"mnist": "mnist-default"}
        said = await bob.run("history", bob.key, "--env", "prod", "-o", "json")
        assert '"author":"ada"' in said
        assert "passed on digits (approved by bob)" in said


async def test_what_the_policy_refuses_names_field_value_and_rule(cluster: ControlPlane, tmp_path: Path) -> None:
    async with people(cluster, tmp_path) as (some, client):
        await some.give_policy(client)
        ada, bob = some.cli("ada", "nlp-team"), some.cli("bob", "release")
        versioned = 'version: "1"\n'

        said = await ada.run("promote-to", "prod", ada.key, "--env", "prod", code=3)
        assert "there is no model" in said
        said = await ada.run("propose", "-f", ada.spec("1", replicas=9), "--env", "prod", code=1)
        assert "Error: replicas is 9: prod allows 4 (limits.replicasMax)" in said
        assert "Error: version is None: prod wants it written in every spec (limits.required)" in said
        said = await bob.run("propose", "-f", bob.spec("1", more=versioned), "--env", "prod", code=1)
        assert "Error: caller is 'bob': create in prod is for group nlp-team (who)" in said

        said = await ada.run("propose", "-f", ada.spec("1", more=versioned), "--env", "prod")
        await bob.run("approve", bob.key, proposal_in(said), "--env", "prod")
        said = await ada.run(
            "propose", "-f", ada.spec("2", more=versioned), "--env", "prod", "--rollout", "--steps", ""
        )
        first = proposal_in(said)
        said = await ada.run("propose", "-f", ada.spec("3", more=versioned), "--env", "prod")
        second = proposal_in(said)
        said = await bob.run("approve", bob.key, first, "--env", "prod", code=1)
        assert f"another proposal by now, {second} by ada" in said
        assert "registry.example/mnist:1 → registry.example/mnist:3" in await bob.run(
            "proposal", bob.key, "--env", "prod"
        )
        await ada.run("scale", ada.key, "2", "--env", "prod", "--no-wait")
        said = await bob.run("approve", bob.key, second, "--env", "prod", code=1)
        assert "stale: the model was at revision 1 when it was proposed and is at 2 now" in said
        await ada.run("reject", ada.key, second, "--env", "prod")
        await bob.run("proposal", bob.key, "--env", "prod", code=3)
        assert (await status_in(ada, "prod"))["revision"] == 2


async def status_in(cli: Cli, environment: str) -> dict[str, int]:
    found = msgspec.json.decode((await cli.run("status", cli.key, "--env", environment, "-o", "json")).encode())
    stable: dict[str, int] = found["tracks"][0]
    return stable
