"""Taking over what runs, on a real API server: nothing restarts, the address stays, and only then it can be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from deploy.errors import Refused
from deploy.objects.diff import Change, ObjectDiff
from deploy.operate.adoption import refuse_changes
from milepost.kube import KubeClient, resource_path
from tests.deploy.test_operations import model_namespace, routes, status
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, wait_for

SELDON = "machinelearning.seldon.io"
DEPLOYMENT: dict[str, Any] = yaml.safe_load("""
apiVersion: machinelearning.seldon.io/v1
kind: SeldonDeployment
metadata: {name: mnist, labels: {team: vision}}
spec:
  name: mnist
  predictors:
    - name: main
      replicas: 1
      traffic: 100
      graph: {name: classifier, type: MODEL, children: []}
      componentSpecs:
        - spec:
            containers:
              - {name: classifier, image: "registry.example/mnist:1", env: [{name: THREADS, value: "4"}]}
""")
INGRESS: dict[str, Any] = yaml.safe_load("""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: digits
  annotations: {nginx.ingress.kubernetes.io/limit-rps: "20", cert-manager.io/issuer: ca}
spec:
  ingressClassName: nginx
  rules:
    - host: HOST
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: mnist-main, port: {number: 8000}}}}]}
""")


async def pods_of(client: KubeClient, namespace: str) -> set[str]:
    raw = await client.request("GET", resource_path("", "v1", "pods", namespace=namespace))
    return {item["metadata"]["uid"] for item in msgspec.json.decode(raw)["items"]}


async def deployed(client: KubeClient, namespace: str) -> None:
    """Make the model as somebody with kubectl would, and wait until it serves."""
    collection = resource_path(SELDON, "v1", "seldondeployments", namespace=namespace)
    await create(client, collection, DEPLOYMENT)
    body = yaml.safe_load(yaml.safe_dump(INGRESS).replace("HOST", f"{namespace}.example"))
    await create(client, resource_path("networking.k8s.io", "v1", "ingresses", namespace=namespace), body)
    available: Any = lambda found: found.get("status", {}).get("state") == "Available"  # noqa: E731
    await wait_for(client, f"{collection}/mnist", available, timeout_s=120)


@pytest.mark.cluster
@pytest.mark.slow
async def test_a_model_is_taken_over_without_a_restart(cluster: ControlPlane, tmp_path: Path) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        await cli.run("adopt", cli.key, code=3)
        await deployed(client, cli.namespace)
        before = await pods_of(client, cli.namespace)
        assert len(before) == 1
        for verb in ("create", "apply"):
            said = await cli.run(verb, "-f", cli.spec("1"), code=1)
            assert f"SeldonDeployment is '{cli.key}': it is there and not Milepost's: `milepost model adopt`" in said

        said = await cli.run("adopt", cli.key, "--dry-run")
        document = yaml.safe_load(said)
        assert document["image"] == "registry.example/mnist:1"
        assert "#     + metadata.labels.milepost.dev/model: mnist" in said
        await cli.run("status", cli.key, code=3)

        said = await cli.run("adopt", cli.key, "--reason", "ours from now on")
        assert "adopt done" in said
        assert await routes(client, cli.namespace) == {"digits": "mnist-main"}
        found = await status(cli)
        assert (found["state"], found["tracks"][0]["predictor"]) == ("ready", "main")
        path = resource_path(SELDON, "v1", "seldondeployments", namespace=cli.namespace, name="mnist")
        owners = msgspec.json.decode(await client.request("GET", path))["metadata"]["managedFields"]
        assert "milepost" in {item["manager"] for item in owners}
        assert "managed already" in await cli.run("adopt", cli.key, code=1)

        await cli.run("scale", cli.key, "2")
        assert before < await pods_of(client, cli.namespace)

        document["image"] = "registry.example/mnist:2"
        (tmp_path / "new.yaml").write_text(yaml.safe_dump(document))
        await cli.run("apply", "-f", str(tmp_path / "new.yaml"))
        assert not before & await pods_of(client, cli.namespace)
        await cli.run("delete", cli.key)
        assert await routes(client, cli.namespace) == {}


@pytest.mark.cluster
@pytest.mark.slow
async def test_a_shadow_comes_and_goes(cluster: ControlPlane, tmp_path: Path) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        await cli.run("create", "-f", cli.spec("1"))
        file = tmp_path / "shadow.yaml"
        file.write_text("image: registry.example/mnist:2\npercent: 150\n")
        assert "Error: percent is 150" in await cli.run("shadow", cli.key, "-f", str(file), code=1)
        file.write_text("image: registry.example/mnist:2\n")
        await cli.run("shadow", cli.key, "-f", str(file))
        ingress = resource_path("networking.k8s.io", "v1", "ingresses", namespace=cli.namespace, name="mnist")
        annotations = msgspec.json.decode(await client.request("GET", ingress))["metadata"]["annotations"]
        assert "mnist-shadow" in annotations["nginx.ingress.kubernetes.io/mirror-target"]
        assert len(await pods_of(client, cli.namespace)) == 2
        await cli.run("shadow", cli.key, "--remove")
        annotations = msgspec.json.decode(await client.request("GET", ingress))["metadata"]["annotations"]
        assert "nginx.ingress.kubernetes.io/mirror-target" not in annotations
        pods = resource_path("", "v1", "pods", namespace=cli.namespace)
        await wait_for(client, pods, lambda found: len(found["items"]) == 1, timeout_s=120)
        assert "has no shadow" in await cli.run("shadow", cli.key, "--remove", code=1)


def test_an_adoption_that_would_change_what_runs_is_refused() -> None:
    labels = Change("metadata.labels.milepost.dev/model", None, "m")
    refuse_changes([ObjectDiff("SeldonDeployment", "m", "change", (labels,)), ObjectDiff("Ingress", "m", "keep")])
    refuse_changes([ObjectDiff("ServiceMonitor", "m", "create")])
    with pytest.raises(Refused) as refused:
        refuse_changes(
            [
                ObjectDiff("SeldonDeployment", "m", "change", (labels, Change("spec.predictors[main].replicas", 1, 2))),
                ObjectDiff("NetworkPolicy", "m", "create"),
                ObjectDiff("Ingress", "m", "remove"),
            ]
        )
    assert [str(item) for item in refused.value.refusals] == [
        "SeldonDeployment m: spec.predictors[main].replicas is 1: an adoption would change it to 2",
        "NetworkPolicy m is 'create': an adoption makes and removes nothing",
        "Ingress m is 'remove': an adoption makes and removes nothing",
    ]
