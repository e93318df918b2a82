"""The overlays: accepted whole by a real API server, hardened everywhere, and only with settings that exist."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

import exporter.settings
from deploy.app import SERVER_GROUPS
from deploy.dubbo.described import described
from deploy.dubbo.servicesfile import read_services
from deploy.dubbo.settings import GROUPS as DUBBO_GROUPS
from deploy.environments import parse
from deploy.install.checks import GPU_PAGE
from deploy.settings import Cluster
from deploy.spec.frameworks import SERVERS
from logserver.query_settings import HttpSettings
from logserver.settings import KafkaSettings, RetentionSettings, StoreSettings
from logserver.webui import UiSettings
from milepost.auth import AuthSettings
from milepost.kube import ContentType, KubeClient
from milepost.settings import Groups, load, settings_of
from milepost.units import parse_duration
from tests.conftest import need
from tests.parts import crds, kustomize
from tests.parts.kubernetes import ControlPlane

KUSTOMIZE = Path(__file__).parents[2] / "deploy" / "kustomize"
OVERLAYS = sorted(path.name for path in (KUSTOMIZE / "overlays").iterdir())
CLUSTER_WIDE = {"Namespace": "namespaces", "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"}
PLURALS = {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}
STRICT = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "milepost-install", "force": "true"}
HOST_ACCESS = {"exporter-node-gpu": "NVML and the pids of the host", "filebeat": "container logs belong to root"}
Objects = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def built() -> Objects:
    """The objects of every overlay."""
    return need(lambda: {name: kustomize.build(KUSTOMIZE / "overlays" / name) for name in OVERLAYS})


@pytest.fixture(scope="module")
def with_dubbo(built: Objects, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the entry for Dubbo adds to an overlay of prod."""
    folder = tmp_path_factory.mktemp("overlay")
    resources = [os.path.relpath(KUSTOMIZE / part, folder) for part in ("overlays/prod", "base/dubbo")]
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "milepost-prod",
        "resources": resources,
        "components": [os.path.relpath(KUSTOMIZE / "components/dubbo-monitoring", folder)],
        "images": [{"name": "milepost-lean", "newName": "ghcr.io/milepost/milepost-lean", "newTag": "0.1.0"}],
        "configMapGenerator": [
            {"name": "dubbo", "behavior": "merge", "literals": ["MILEPOST_REGISTRY_ZOOKEEPER=zk-0:2181,zk-1:2181"]}
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    known = {(body["kind"], body["metadata"]["name"]) for body in built["prod"]}
    return [body for body in kustomize.build(folder) if (body["kind"], body["metadata"]["name"]) not in known]


def path_of(body: dict[str, Any]) -> str:
    """Return where an object of this kind lives."""
    version, kind, metadata = body["apiVersion"], body["kind"], body["metadata"]
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    if kind in CLUSTER_WIDE:
        return f"{root}/{CLUSTER_WIDE[kind]}/{metadata['name']}"
    plural = PLURALS.get(kind, f"{kind.lower()}s")
    return f"{root}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"


@pytest.mark.cluster
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_real_server_accepts_every_object_with_strict_validation(
    cluster: ControlPlane, built: Objects, overlay: str
) -> None:
    definitions = need(crds.definitions)

    async def apply_all() -> None:
        async with cluster.client() as client:
            await crds.apply_definitions(client, definitions)
            namespaces = [body for body in built[overlay] if body["kind"] == "Namespace"]
            for body in namespaces:
                await _apply(client, body, {"fieldManager": "tests", "force": "true"})
            for body in built[overlay]:
                await _apply(client, body, STRICT)

    asyncio.run(apply_all())


@pytest.mark.cluster
def test_a_real_server_accepts_the_entry_for_dubbo(cluster: ControlPlane, with_dubbo: list[dict[str, Any]]) -> None:
    definitions = need(crds.definitions)

    async def apply_all() -> None:
        async with cluster.client() as client:
            await crds.apply_definitions(client, definitions)
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "milepost-prod"}}
            await _apply(client, namespace, {"fieldManager": "tests", "force": "true"})
            for body in with_dubbo:
                await _apply(client, body, STRICT)

    asyncio.run(apply_all())
    assert sorted(body["kind"] for body in with_dubbo) == [
        "ConfigMap", "ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount",
        "ServiceMonitor",
    ]  # fmt: skip


def test_the_entry_for_dubbo_is_hardened_and_needs_nothing_of_the_cluster(with_dubbo: list[dict[str, Any]]) -> None:
    ((body, pod),) = _pods(with_dubbo)
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    assert {"requests", "limits"} <= container["resources"].keys()
    assert container["image"] == "ghcr.io/milepost/milepost-lean:0.1.0"
    labels = body["spec"]["template"]["metadata"]["labels"]
    of_pods = [item for item in with_dubbo if item["kind"] != "ServiceMonitor" and _chosen(item)]
    selected = {item["kind"] for item in of_pods if _chosen(item).items() <= labels.items()}
    assert selected == {"Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"}


def test_prometheus_finds_the_entry_for_dubbo_and_the_alert_on_targets_knows_it(
    built: Objects, with_dubbo: list[dict[str, Any]]
) -> None:
    (service,) = [body for body in with_dubbo if body["kind"] == "Service"]
    (monitor,) = [body for body in with_dubbo if body["kind"] == "ServiceMonitor"]
    assert _selects(monitor["spec"]["selector"], service["metadata"]["labels"])
    ports = {port["name"] for port in service["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports
    assert re.fullmatch(_watched_jobs(built["prod"]), service["metadata"]["name"])


def test_the_entry_for_dubbo_finds_its_services_and_has_time_to_stop(with_dubbo: list[dict[str, Any]]) -> None:
    (config,) = [body for body in with_dubbo if _generated(body, "ConfigMap", "dubbo")]
    (services,) = [body for body in with_dubbo if _generated(body, "ConfigMap", "dubbo-services")]
    ((_, pod),) = _pods(with_dubbo)
    (container,) = pod["containers"]
    variables = {**config["data"], **{item["name"]: "10.0.0.7" for item in container["env"]}}
    assert set(variables) <= {item.variable for item in settings_of(DUBBO_GROUPS)}
    settings = load(DUBBO_GROUPS, flags={}, env=variables, file=None)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"dubbo": settings["dubbo"].port, "metrics": settings["http"].port}
    (mount,) = [item for item in container["volumeMounts"] if item["name"] == "services"]
    text = services["data"][Path(settings["dubbo"].services).relative_to(mount["mountPath"]).name]
    assert next(described(read_services(text))) == "com.example.risk.FraudService:1.0.0"
    stop_s = settings["dubbo"].stop_notice + settings["dubbo"].stop_timeout
    assert stop_s + 10 <= pod["terminationGracePeriodSeconds"]


@pytest.mark.cluster
def test_gpu_managers_service_is_accepted_and_names_the_page_that_the_check_wants(cluster: ControlPlane) -> None:
    objects = need(lambda: kustomize.build(KUSTOMIZE / "gpu-manager"))

    async def apply_all() -> None:
        async with cluster.client() as client:
            for body in objects:
                await _apply(client, body, STRICT)

    asyncio.run(apply_all())
    (service,) = objects
    assert service["metadata"]["annotations"]["prometheus.io/path"] == GPU_PAGE


def test_the_charts_values_agree_with_the_settings_of_the_platform() -> None:
    seldon = yaml.safe_load((KUSTOMIZE / "values" / "seldon-core.yaml").read_text())
    nginx = yaml.safe_load((KUSTOMIZE / "values" / "ingress-nginx.yaml").read_text())["controller"]
    settings = Cluster()
    ports = (seldon["executor"]["port"], seldon["executor"]["grpc"]["port"])
    assert ports == (settings.service_http_port, settings.service_grpc_port)
    assert not seldon["istio"]["enabled"], "routes are the platform's"
    assert not seldon["ambassador"]["enabled"], "routes are the platform's"
    implementations = {server.implementation for server in SERVERS.values()}
    assert set(seldon["predictor_servers"]) <= implementations
    assert nginx["ingressClassResource"]["name"] == settings.ingress_class
    shutdown_s = parse_duration(nginx["config"]["worker-shutdown-timeout"])
    assert settings.request_seconds_max < shutdown_s < nginx["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_is_hardened_and_probed(built: Objects, overlay: str) -> None:
    checked = 0
    for body, pod in _pods(built[overlay]):
        for container in pod["containers"]:
            name, context = body["metadata"]["name"], container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert {"requests", "limits"} <= container["resources"].keys(), name
            assert {"livenessProbe", "readinessProbe"} <= container.keys(), name
            if name not in HOST_ACCESS:
                assert pod["securityContext"]["runAsNonRoot"] is True, name
                assert context["allowPrivilegeEscalation"] is False, name
                assert context["capabilities"] == {"drop": ["ALL"]}, name
            checked += 1
    assert checked == 6


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_workload_has_its_account_a_policy_and_a_budget(built: Objects, overlay: str) -> None:
    objects = built[overlay]
    accounts = {body["metadata"]["name"] for body in objects if body["kind"] == "ServiceAccount"}
    policies = [body["spec"]["podSelector"] for body in objects if body["kind"] == "NetworkPolicy"]
    budgets = [body["spec"]["selector"] for body in objects if body["kind"] == "PodDisruptionBudget"]
    assert {} in policies, "without a policy that selects all pods, a new program would be open"
    for body, pod in _pods(objects):
        labels = body["spec"]["template"]["metadata"]["labels"]
        assert pod["serviceAccountName"] in accounts
        if body["kind"] == "Deployment":
            assert any(_selects(selector, labels) for selector in budgets), body["metadata"]["name"]
            assert any(selector and _selects(selector, labels) for selector in policies), body["metadata"]["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_find_what_they_are_meant_for(built: Objects, overlay: str) -> None:
    templates = [body["spec"]["template"]["metadata"]["labels"] for body, _ in _pods(built[overlay])]
    services = [body for body in built[overlay] if body["kind"] == "Service"]
    for service in services:
        found = [labels for labels in templates if service["spec"]["selector"].items() <= labels.items()]
        assert len(found) == 1, service["metadata"]["name"]
    for monitor in (body for body in built[overlay] if body["kind"] == "ServiceMonitor"):
        found = [item for item in services if _selects(monitor["spec"]["selector"], item["metadata"]["labels"])]
        assert len(found) == 1, monitor["metadata"]["name"]
        ports = {port["name"] for port in found[0]["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_binding_names_a_role_and_an_account_of_this_overlay(built: Objects, overlay: str) -> None:
    roles = {body["metadata"]["name"] for body in built[overlay] if body["kind"] == "ClusterRole"}
    accounts = {
        (body["metadata"]["namespace"], body["metadata"]["name"])
        for body in built[overlay]
        if body["kind"] == "ServiceAccount"
    }
    bindings = [body for body in built[overlay] if body["kind"] == "ClusterRoleBinding"]
    assert len(bindings) >= 3
    for binding in bindings:
        assert binding["roleRef"]["name"] in roles
        assert {(item["namespace"], item["name"]) for item in binding["subjects"]} <= accounts


LOGSERVER = {
    "kafka": KafkaSettings,
    "store": StoreSettings,
    "retention": RetentionSettings,
    "http": HttpSettings,
    "auth": AuthSettings,
    "ui": UiSettings,
}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize(
    ("name", "groups"),
    [("exporter", exporter.settings.GROUPS), ("logserver", LOGSERVER), ("platform", SERVER_GROUPS)],
)
def test_every_variable_is_a_setting_of_the_program_it_is_given_to(
    built: Objects, overlay: str, name: str, groups: Groups
) -> None:
    known = {item.variable for item in settings_of(groups)}
    (config,) = [body for body in built[overlay] if _generated(body, "ConfigMap", name)]
    assert set(config["data"]) <= known
    load(groups, flags={}, env=config["data"], file=None)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_models_admit_the_namespaces_that_the_overlay_really_uses(built: Objects, overlay: str) -> None:
    (config,) = [body for body in built[overlay] if _generated(body, "ConfigMap", "platform")]
    cluster = load(SERVER_GROUPS, flags={}, env=config["data"], file=None)["cluster"]
    (exporter_,) = [b for b in built[overlay] if b["kind"] == "Deployment" and b["metadata"]["name"] == "exporter"]
    policies = yaml.safe_dump([body["spec"] for body in built[overlay] if body["kind"] == "NetworkPolicy"])
    assert cluster.exporter_namespace == exporter_["metadata"]["namespace"]
    assert {cluster.ingress_namespace, cluster.monitoring_namespace} <= set(re.findall(r"name: (\S+)", policies))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_platform_finds_its_environment_in_the_file_it_mounts(built: Objects, overlay: str) -> None:
    (config,) = [body for body in built[overlay] if _generated(body, "ConfigMap", "platform")]
    (policy,) = [b for b in built[overlay] if b["kind"] == "ConfigMap" and b["metadata"]["name"] == "environments"]
    (platform,) = [b for b in built[overlay] if b["kind"] == "Deployment" and b["metadata"]["name"] == "platform"]
    settings = load(SERVER_GROUPS, flags={}, env=config["data"], file=None)["environments"]
    pod = platform["spec"]["template"]["spec"]
    assert {"name": "environments", "configMap": {"name": "environments"}} in pod["volumes"]
    (mount,) = [item for item in pod["containers"][0]["volumeMounts"] if item["name"] == "environments"]
    text = policy["data"][Path(settings.file).relative_to(mount["mountPath"]).name]
    assert parse(text)[overlay].name == settings.name


def test_only_qa_keeps_lines_on_a_volume(built: Objects) -> None:
    for overlay, objects in built.items():
        claims = [body for body in objects if body["kind"] == "PersistentVolumeClaim"]
        (deployment,) = [b for b in objects if b["kind"] == "Deployment" and b["metadata"]["name"] == "logserver"]
        assert len(claims) == (overlay == "qa")
        assert (deployment["spec"]["replicas"] == 1) == (overlay == "qa")


def test_every_dashboard_is_shipped() -> None:
    folder = KUSTOMIZE.parents[1] / "dashboards"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["configMapGenerator"]
    files = {file for item in listed for file in item["files"]}
    assert files == {f"json/{path.name}" for path in (folder / "json").glob("*.json")}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_alerts_and_the_jobs_they_name_are_shipped(built: Objects, overlay: str) -> None:
    wanted = _watched_jobs(built[overlay])
    jobs = [body["metadata"]["name"] for body in built[overlay] if body["kind"] == "ServiceMonitor"]
    jobs += [f"milepost-{overlay}/{b['metadata']['name']}" for b in built[overlay] if b["kind"] == "PodMonitor"]
    assert len(jobs) == 4
    assert all(re.fullmatch(wanted, job) for job in jobs)


def _watched_jobs(objects: list[dict[str, Any]]) -> str:
    """The expression for the jobs whose targets an alert watches."""
    (rules,) = [body for body in objects if body["kind"] == "PrometheusRule"]
    expressions = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    return next(found[1] for text in expressions if (found := re.search(r'up\{job=~"([^"]+)"\} == 0', text)))


async def _apply(client: KubeClient, body: dict[str, Any], params: dict[str, str]) -> None:
    content = msgspec.json.encode(body)
    await client.request("PATCH", path_of(body), params=params, body=content, content_type=ContentType.APPLY)


def _pods(objects: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(body, body["spec"]["template"]["spec"]) for body in objects if body["kind"] in ("Deployment", "DaemonSet")]


def _generated(body: dict[str, Any], kind: str, name: str) -> bool:
    return bool(body["kind"] == kind and body["metadata"]["name"].rpartition("-")[0] == name)


def _chosen(body: dict[str, Any]) -> dict[str, str]:
    """The labels that an object selects pods by."""
    spec = body.get("spec", {})
    selector = spec.get("podSelector") or spec.get("selector") or {}
    return dict(selector.get("matchLabels", selector))


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return bool(selector.get("matchLabels", {}).items() <= labels.items())
