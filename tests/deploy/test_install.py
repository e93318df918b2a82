"""`milepost install --check`: each thing that can be missing, and the answer of a real cluster."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from deploy.install.checks import CHECKS, Finding, State, Survey, check
from deploy.install.cli import install, table
from deploy.settings import Cluster
from milepost.kube import ContentType, KubeClient
from tests.conftest import need
from tests.parts import crds
from tests.parts.kubernetes import ControlPlane

SERVERS = frozenset(
    f"{name}_SERVER" for name in ("TENSORFLOW", "SKLEARN", "XGBOOST", "MLFLOW", "TRITON", "HUGGINGFACE")
)
WHOLE = Survey(
    version=(1, 30),
    groups=frozenset({"machinelearning.seldon.io/v1", "gateway.networking.k8s.io/v1", "monitoring.coreos.com/v1",
                      "keda.sh/v1alpha1"}),
    seldon_servers=SERVERS,
    seldon_webhook=True,
    ingress_classes=frozenset({"nginx", "nginx-external"}),
    gateways=frozenset({"infra/models"}),
    nodes=3,
    nodes_with_nfd=3,
    nodes_with_avx2=2,
    nodes_with_gpu_manager=1,
    gpu_page="/metric",
    metrics_api=True,
)  # fmt: skip
NOTHING = frozenset[str]()
Row = tuple[str, dict[str, Any], Cluster, State, bool, str]

LACKING: list[Row] = [
    ("Kubernetes", {"version": (1, 20)}, Cluster(), State.MISSING, True, "1.23"),
    ("Kubernetes", {"version": None}, Cluster(), State.UNKNOWN, True, "kubeconfig"),
    ("SeldonDeployment v1", {"groups": NOTHING}, Cluster(), State.MISSING, True, "seldon-core"),
    ("seldon-config servers", {"seldon_servers": SERVERS - {"TRITON_SERVER"}}, Cluster(), State.MISSING, False,
     "predictor_servers"),
    ("seldon-config servers", {}, Cluster(servers=("LIGHTGBM_SERVER",)), State.MISSING, True, "predictor_servers"),
    ("seldon-config servers", {"seldon_servers": None}, Cluster(), State.MISSING, True, "name its namespace"),
    ("seldon-config servers", {"seldon_servers": None, "refused": {"seldon-config": "403 Forbidden"}}, Cluster(),
     State.UNKNOWN, True, "account"),
    ("Seldon's webhook", {"seldon_webhook": False}, Cluster(), State.MISSING, False, "itself"),
    ("Ingress class", {"ingress_classes": frozenset({"traefik"})}, Cluster(), State.MISSING, True, "ingress-nginx"),
    ("Ingress class for outside", {"ingress_classes": frozenset({"nginx"})}, Cluster(), State.MISSING, False,
     "exposure external"),
    ("Gateway", {"groups": NOTHING}, Cluster(router="gateway"), State.MISSING, True, "Gateway API's CRDs"),
    ("Gateway", {"gateways": NOTHING}, Cluster(router="gateway"), State.MISSING, True, "infra/models"),
    ("GpuManager", {"nodes_with_gpu_manager": 0}, Cluster(), State.MISSING, False, "gpu-admission"),
    ("GpuManager", {"nodes": None, "refused": {"nodes": "403"}}, Cluster(), State.UNKNOWN, False, "account"),
    ("GpuManager's metrics page", {"gpu_page": "/metrics"}, Cluster(), State.MISSING, False, "kustomize/gpu-manager"),
    ("GpuManager's metrics page", {"gpu_page": None}, Cluster(), State.MISSING, False, "kustomize/gpu-manager"),
    ("CPU feature labels", {"nodes_with_nfd": 0, "nodes_with_avx2": 0}, Cluster(), State.MISSING, True,
     "node-feature-discovery"),
    ("CPU feature labels", {"nodes_with_avx2": 0}, Cluster(), State.MISSING, True, "no node has AVX2"),
    ("CPU feature labels", {"nodes_with_nfd": 0, "nodes_with_avx2": 0}, Cluster(cpu_check="preflight"), State.MISSING,
     False, "node-feature-discovery"),
    ("metrics.k8s.io", {"metrics_api": False}, Cluster(), State.MISSING, False, "metrics-server"),
    ("Prometheus operator", {"groups": NOTHING}, Cluster(monitoring="servicemonitor"), State.MISSING, True, "operator"),
    ("KEDA", {"groups": NOTHING}, Cluster(), State.MISSING, False, "keda"),
]  # fmt: skip


@pytest.mark.parametrize("row", LACKING, ids=[f"{row[0]}: {row[1] or row[2].servers}" for row in LACKING])
def test_what_is_lacking_is_named_with_what_to_do(row: Row) -> None:
    name, change, cluster, state, required, todo = row
    found = next(item for item in check(dataclasses.replace(WHOLE, **change), cluster) if item.name == name)
    assert (found.state, found.required) == (state, required)
    assert todo in found.todo


@pytest.mark.parametrize("router", ["nginx", "gateway"])
def test_a_whole_cluster_lacks_nothing(router: str) -> None:
    findings = check(WHOLE, Cluster(router=router))
    assert {item.state for item in findings} == {State.PRESENT}
    assert not any(item.todo for item in findings)


def test_a_survey_that_read_nothing_claims_nothing() -> None:
    for item in check(Survey(), Cluster()):
        assert item.state is not State.PRESENT or "no GpuManager" in item.found, item.name


def test_every_check_has_a_row_and_the_table_ends_with_the_verdict() -> None:
    names = {item.name for router in ("nginx", "gateway") for item in check(WHOLE, Cluster(router=router))}
    assert {row[0] for row in LACKING} == names
    assert len(CHECKS) == len(names) - 1
    finding = Finding("GpuManager", State.MISSING, True, "nothing", "install it")
    assert table([finding]).splitlines()[-1] == "Missing and required: GpuManager"


def run(
    cluster: ControlPlane, *arguments: str, user: str = "admin", groups: tuple[str, ...] = ("system:masters",)
) -> Result:
    flags = ["--check", "--kube-config", str(cluster.kubeconfig(user, groups)), *arguments]
    return CliRunner().invoke(install, flags)


@pytest.mark.cluster
def test_a_real_cluster_is_looked_at(cluster: ControlPlane) -> None:
    definitions = need(crds.definitions)
    predictor_servers = json.dumps({name: {} for name in SERVERS})
    objects: dict[str, dict[str, Any]] = {
        "/api/v1/namespaces/seldon-check": {"apiVersion": "v1", "kind": "Namespace"},
        "/api/v1/namespaces/seldon-check/configmaps/seldon-config": {
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"predictor_servers": predictor_servers},
        },
        "/apis/networking.k8s.io/v1/ingressclasses/install-check": {
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "spec": {"controller": "k8s.io/ingress-nginx"},
        },
    }  # fmt: skip

    async def prepare() -> None:
        async with cluster.client() as client:
            await crds.apply_definitions(client, definitions)
            for path, body in objects.items():
                await apply(client, path, body)

    asyncio.run(prepare())
    flags = ("--seldon-namespace=seldon-check", "--cluster-ingress-class=install-check", "--cluster-cpu-check=none")
    result = run(cluster, *flags)
    assert result.exit_code == 0, result.output
    assert "Everything required is there." in result.output
    rows = {row["name"]: row for row in json.loads(run(cluster, *flags, "-o", "json").stdout)}
    assert rows["Kubernetes"]["found"] == "1.30"
    assert rows["seldon-config servers"]["found"] == "6 of 6"
    assert rows["Prometheus operator"]["state"] == "present"
    assert rows["metrics.k8s.io"]["state"] == "missing"
    lacking = run(cluster, *flags, "--cluster-servers=LIGHTGBM_SERVER")
    assert lacking.exit_code == 1
    assert "Missing and required: seldon-config servers" in lacking.output


@pytest.mark.cluster
def test_what_the_caller_may_not_read_is_unknown_not_missing(cluster: ControlPlane) -> None:
    result = run(cluster, "-o", "json", user="nobody-special", groups=())
    assert result.exit_code == 1
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["Ingress class"]["state"] == "unknown"
    assert "403" in rows["Ingress class"]["found"]


@pytest.mark.cluster
def test_a_seldon_config_that_is_no_json_is_unknown_with_the_reason(cluster: ControlPlane) -> None:
    async def prepare() -> None:
        async with cluster.client() as client:
            await apply(client, "/api/v1/namespaces/seldon-broken", {"apiVersion": "v1", "kind": "Namespace"})
            body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"predictor_servers": "{TRITON_SERVER:"}}
            await apply(client, "/api/v1/namespaces/seldon-broken/configmaps/seldon-config", body)

    asyncio.run(prepare())
    rows = {
        row["name"]: row for row in json.loads(run(cluster, "--seldon-namespace=seldon-broken", "-o", "json").stdout)
    }
    assert rows["seldon-config servers"]["state"] == "unknown"
    assert "cannot be read: JSON is malformed" in rows["seldon-config servers"]["found"]


def test_an_api_server_that_does_not_answer_is_another_exit_code(tmp_path: Any) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "x",
                "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:9"}}],
                "users": [],
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": ""}}],
            }
        )
    )
    result = CliRunner().invoke(install, ["--check", "--kube-config", str(config)])
    assert result.exit_code == 2, result.output


async def apply(client: KubeClient, path: str, body: dict[str, Any]) -> None:
    body = body | {"metadata": {"name": path.rpartition("/")[2]}}
    content = msgspec.json.encode(body)
    await client.request("PATCH", path, params={"fieldManager": "tests"}, body=content, content_type=ContentType.APPLY)
