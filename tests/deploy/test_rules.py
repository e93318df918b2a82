"""Every rule of the spec as a table: the smallest spec that breaks it, the field and value it names, its text."""

import functools
from typing import Any

import msgspec
import pytest

from deploy import rules
from deploy.errors import Refused
from deploy.render import render
from deploy.route.rules import ROUTE_RULES
from deploy.settings import Cluster
from deploy.spec.file import from_document
from deploy.spec.release import Release
from tests.deploy.golden_cases import cluster_of

TF = {"name": "m", "namespace": "n", "framework": "tensorflow", "modelUri": "gs://b/m"}
SK = TF | {"framework": "sklearn"}
OWN = {"name": "m", "namespace": "n", "image": "own:1"}
GRAPH = {"name": "m", "namespace": "n", "protocol": "seldon"}
GATEWAY = {"router": "gateway"}
CRON = {"type": "cron", "metadata": {"timezone": "UTC"}}
LEAF: dict[str, Any] = {"name": "leaf", "image": "x"}
DEEP = functools.reduce(
    lambda below, n: {"name": f"u{n}", "type": "transformer", "image": "x", "children": [below]}, range(10), LEAF
)
Row = tuple[str, dict[str, Any], dict[str, Any], str, Any, str]

TABLE: list[Row] = [
    ("names fit", SK | {"name": "m" * 56}, {}, "name", "m" * 56, "64 characters"),
    ("names fit", GRAPH | {"graph": {"name": "a", "image": "x", "children": [{"name": "a", "image": "x"}]}}, {},
     "graph", "a", "2 units have this name"),
    ("one place for servers", GRAPH | {"image": "x", "graph": {"name": "a", "image": "x"}}, {}, "image", "x", "units"),
    ("one place for servers", GRAPH | {"framework": "sklearn", "graph": {"name": "a", "image": "x"}}, {},
     "framework", "sklearn", "units"),
    ("a server exists", {"name": "m", "namespace": "n"}, {}, "image", None, "needs an image"),
    ("a server exists", {"name": "m", "namespace": "n", "server": "X_SERVER", "modelUri": "gs://b"}, {},
     "server", "X_SERVER", "known: none"),
    ("a server exists", SK | {"server": "X_SERVER"}, {"servers": ["X_SERVER"]}, "server", "X_SERVER", "custom"),
    ("modelUri is readable", {"name": "m", "namespace": "n", "framework": "sklearn"}, {}, "modelUri", None, "needs"),
    ("modelUri is readable", SK | {"modelUri": "ftp://b/m"}, {}, "modelUri", "ftp://b/m", "must start with one of"),
    ("modelUri is readable", SK | {"modelUri": "hdfs:/b/m"}, {}, "modelUri", "hdfs:/b/m", "hdfs://"),
    ("the protocol is spoken", SK | {"protocol": "tensorflow"}, {}, "protocol", "tensorflow", "seldon or v2"),
    ("the protocol is spoken", TF | {"protocol": "v2"}, {}, "protocol", "v2", "tensorflow or seldon"),
    ("the protocol is spoken", TF | {"framework": "triton", "protocol": "seldon"}, {}, "protocol", "seldon", "v2"),
    ("containers of a pod differ", GRAPH | {"graph": {"name": "a", "framework": "tensorflow", "modelUri": "gs://b/1",
     "children": [{"name": "c", "framework": "tensorflow", "modelUri": "gs://b/2"}]}}, {},
     "graph", "tfserving", "ownPod"),
    ("built-in units", GRAPH | {"graph": {"name": "a", "builtin": "random-abtest"}}, {},
     "graph[a].children", 0, "two children"),
    ("built-in units", GRAPH | {"graph": {"name": "a", "builtin": "average-combiner"}}, {},
     "graph[a].children", 0, "needs children"),
    ("built-in units", GRAPH | {"graph": {"name": "a", "builtin": "simple-model", "image": "x"}}, {},
     "graph[a].builtin", "simple-model", "no image"),
    ("no orchestrator, no graph", SK | {"orchestrator": False, "requestLog": {"url": "http://x"}}, {},
     "orchestrator", False, "one unit"),
    ("names fit", SK | {"name": "m" * 40, "shadow": {"image": "x", "predictor": "s" * 30}}, {},
     "name", "m" * 40, "71 characters"),
    ("graph", GRAPH | {"graph": DEEP}, {}, "graph", "11 levels", "at most 10"),
    ("graph", GRAPH | {"graph": {"name": "a", "type": "router", "image": "x"}}, {}, "graph[a].children", 0, "router"),
    ("graph", GRAPH | {"graph": {"name": "a", "type": "combiner", "image": "x"}}, {},
     "graph[a].children", 0, "combiner"),
    *[("image", OWN | {"image": image}, {}, "image", image, "no reference to an image")
      for image in ("bad image", "Own:1", "own:", "own:1@sha256:12", "http://registry/own:1", "")],
    *[("modelUri is readable", SK | {"modelUri": uri}, {}, "modelUri", uri, text) for uri, text in (
        ("m", "must start with one of"), ("pvc://", "pvc://CLAIM/PATH"), ("pvc:///m", "pvc://CLAIM/PATH"),
        ("pvc:claim/m", "must start with pvc://"), ("oci:repo", "must start with oci://"), ("gs://", "no bucket"),
        ("s3:///m", "no bucket"), ("http:///m", "no bucket"), ("hdfs://", "no bucket"), ("gs://a b", "must start"))],
    ("storage", SK | {"storage": {"secret": "A_B"}}, {}, "storage.secret", "A_B", "this name"),
    ("storage", SK | {"storage": {"serviceAccount": "A"}}, {}, "storage.serviceAccount", "A", "this name"),
    ("storage", SK | {"storage": {"initializerImage": "a b"}}, {}, "storage.initializerImage", "a b", "an image"),
    ("resources", SK | {"resources": {"limits": {"memory": "4 GB"}}}, {},
     "resources.limits[memory]", "4 GB", "quantity"),
    ("resources", SK | {"resources": {"limits": {"tencent.com/vcuda-core": "10"}}}, {},
     "resources.limits[tencent.com/vcuda-core]", "10", "written as `gpu`"),
    ("resources", SK | {"resources": {"requests": {"mem": "4Gi"}}}, {}, "resources.requests[mem]", "4Gi", "no such"),
    ("resources", SK | {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "2047Mi"}}}, {},
     "resources.requests[memory]", "2Gi", "more than its limit, 2047Mi"),
    ("resources", SK | {"resources": {"requests": {"nvidia.com/gpu": "1"}}}, {},
     "resources.requests[nvidia.com/gpu]", "1", "must be the same; it is not set"),
    ("gpu is a share or cards", TF | {"gpu": {"cores": 150}}, {}, "gpu.cores", 150, "multiple of 100"),
    ("gpu is a share or cards", TF | {"gpu": {"cores": 30}}, {}, "gpu.memoryMiB", None, "memory above zero"),
    ("gpu is a share or cards", TF | {"gpu": {"cores": 30, "memoryMiB": 0}}, {}, "gpu.memoryMiB", 0, "above zero"),
    ("gpu is a share or cards", TF | {"gpu": {"cores": 100, "memoryMiB": 9}}, {}, "gpu.memoryMiB", 9, "exclusive"),
    ("gpu is a share or cards", TF | {"gpu": {"cores": 30, "memoryMiB": 16_000, "model": "T4"}},
     {"gpu_cards": ["T4=15109"]}, "gpu.memoryMiB", 16_000, "than one card, 15109 MiB"),
    ("gpu is a share or cards", TF | {"gpu": {"cores": 30, "memoryMiB": 900}, "env": {"LD_LIBRARY_PATH": "/opt"}}, {},
     "env[LD_LIBRARY_PATH]", "/opt", "escape the limit"),
    ("gpu is a share or cards", TF | {"gpu": {}}, {}, "gpu", {"cores": None, "cards": None}, "either"),
    ("gpu is a share or cards", TF | {"gpu": {"cores": 10, "memoryMiB": 1, "cards": 1}}, {},
     "gpu", {"cores": 10, "cards": 1}, "either"),
    ("gpu is a share or cards", TF | {"gpu": {"cards": 0}}, {}, "gpu.cards", 0, "at least one"),
    ("gpu is a share or cards", TF | {"gpu": {"cores": 0, "memoryMiB": 1}}, {}, "gpu.cores", 0, "at least 1"),
    ("gpu is a share or cards", TF | {"gpu": {"cards": 1, "memoryMiB": 1024}}, {}, "gpu.memoryMiB", 1024, "exclusive"),
    ("gpu is a share or cards", TF | {"gpu": {"cores": 1, "memoryMiB": -1}}, {}, "gpu.memoryMiB", -1, "not negative"),
    ("gpu is a share or cards", TF | {"gpu": {"cards": 1, "coreLimit": 50}}, {}, "gpu.coreLimit", 50, "only a share"),
    ("environment", SK | {"env": {"1A": "x"}}, {}, "env", "1A", "no name"),
    ("environment", SK | {"env": {"A": "x"}, "secretEnv": {"A": {"secret": "s", "key": "k"}}}, {},
     "secretEnv[A]", "A", "as well"),
    ("environment", SK | {"secretEnv": {"A": {"secret": "S", "key": "k"}}}, {}, "secretEnv[A].secret", "S", "Secret"),
    ("environment", SK | {"secretEnv": {"A": {"secret": "s", "key": "a b"}}}, {}, "secretEnv[A].key", "a b", "key"),
    ("mounts", SK | {"mountSecrets": {"s": "/mnt/models/x"}}, {}, "mountSecrets[s]", "/mnt/models/x", "outside"),
    ("mounts", SK | {"mountSecrets": {"S": "/x"}}, {}, "mountSecrets[S]", "S", "no Secret"),
    ("mounts", SK | {"mountSecrets": {"s": "/x", "t": "/x"}}, {}, "mountSecrets[t]", "/x", "2 Secrets"),
    ("probes", SK | {"probes": {"path": "ready"}}, {}, "probes.path", "ready", "absolute path"),
    ("probes", SK | {"probes": {"path": "/ready", "kind": "tcp"}}, {}, "probes.path", "/ready", "tcp probe"),
    ("names of objects", SK | {"priority": "High!"}, {}, "priority", "High!", "this name"),
    ("names of objects", SK | {"route": {"tlsSecret": "a/b"}}, {}, "route.tlsSecret", "a/b", "this name"),
    ("names of objects", SK | {"network": {"allowNamespaces": ["a.b"]}}, {}, "network.allowNamespaces", "a.b", "name"),
    ("labels and annotations", SK | {"labels": {"a b": "c"}}, {}, "labels", "a b", "this key"),
    ("labels and annotations", SK | {"labels": {"a": "b c"}}, {}, "labels[a]", "b c", "label's value"),
    ("labels and annotations", SK | {"nodeSelector": {"a": "x" * 64}}, {}, "nodeSelector[a]", "x" * 64, "63 letters"),
    *[("labels and annotations", SK | {"labels": {key: "x"}}, {}, f"labels[{key}]", "x", "find the model's objects")
      for key in ("seldon-deployment-id", "version", "app.kubernetes.io/managed-by", "milepost.dev/model")],
    ("labels and annotations", SK | {"annotations": {"/a": ""}}, {}, "annotations", "/a", "this key"),
    ("labels and annotations", SK | {"annotations": {"tencent.com/predicate-time": "1"}}, {},
     "annotations[tencent.com/predicate-time]", "1", "refused as predicated"),
    ("tolerations", SK | {"tolerations": [{"key": "a", "operator": "In"}]}, {},
     "tolerations[0].operator", "In", "Equal, Exists"),
    ("tolerations", SK | {"tolerations": [{"key": "a", "effect": "Never"}]}, {},
     "tolerations[0].effect", "Never", "NoSchedule"),
    ("tolerations", SK | {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, {},
     "tolerations[0].value", "b", "no value"),
    ("tolerations", SK | {"tolerations": [{"effect": "NoSchedule"}]}, {}, "tolerations[0].key", None, "must be Exists"),
    ("tolerations", SK | {"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]}, {},
     "tolerations[0].tolerationSeconds", 5, "NoExecute"),
    ("cards of a pod", TF | {"gpu": {"cards": 1, "model": "T4"}, "nodeSelector": {"gaia.tencent.com/gpu-model": "V"}},
     {}, "nodeSelector[gaia.tencent.com/gpu-model]", "V", "selects T4"),
    ("cards of a pod", GRAPH | {"graph": {"name": "a", "image": "x", "gpu": {"cards": 1, "model": "A"},
     "children": [{"name": "b", "image": "x", "gpu": {"cards": 1, "model": "B"}}]}}, {},
     "gpu.model", ["A", "B"], "ownPod"),
    ("beside the model", SK | {"orchestratorResources": {"requests": {"cpu": "x"}}}, {},
     "orchestratorResources.requests[cpu]", "x", "quantity"),
    ("beside the model", SK | {"explainer": {"type": "ALE", "modelUri": "ftp://x"}}, {},
     "explainer.modelUri", "ftp://x", "must start"),
    ("beside the model", SK | {"explainer": {"type": "ALE", "storage": {"secret": "S"}}}, {},
     "explainer.storage.secret", "S", "this name"),
    ("beside the model", SK | {"explainer": {"type": "ALE", "resources": {"limits": {"cpus": "1"}}}}, {},
     "explainer.resources.limits[cpus]", "1", "no such resource"),
    *[("beside the model", SK | {"requestLog": {"url": url}}, {}, "requestLog.url", url, "http://")
      for url in ("broker", "ftp://broker", "http://", "http://[x")],
    ("beside the model", SK | {"logs": {"multilinePattern": "["}}, {}, "logs.multilinePattern", "[", "missing ]"),
    ("beside the model", SK | {"logs": {"multilinePattern": "(?=x)"}}, {},
     "logs.multilinePattern", "(?=x)", "Filebeat"),
    ("scaling", SK | {"replicas": 101}, {}, "replicas", 101, "--cluster-replicas-max"),
    ("scaling", SK | {"autoscaling": {"minReplicas": 3, "maxReplicas": 2, "kind": "keda", "triggers": [CRON]}}, {},
     "autoscaling.minReplicas", 3, "above maxReplicas 2"),
    ("scaling", SK | {"autoscaling": {"maxReplicas": 2, "kind": "keda"}}, {}, "autoscaling.triggers", [], "trigger"),
    ("scaling", SK | {"autoscaling": {"maxReplicas": 2, "kind": "keda", "triggers": [CRON, {"metadata": {}}]}}, {},
     "autoscaling.triggers[1].type", None, "scaler"),
    ("scaling", SK | {"autoscaling": {"maxReplicas": 2, "kind": "keda", "triggers": [{"type": "cron"}]}}, {},
     "autoscaling.triggers[0].metadata", None, "mapping of texts"),
    ("scaling", SK | {"autoscaling": {"maxReplicas": 2, "kind": "keda",
     "triggers": [{"type": "cpu", "metadata": {"value": 5}}]}}, {},
     "autoscaling.triggers[0].metadata", {"value": 5}, "in quotes"),
    ("scaling", SK | {"autoscaling": {"maxReplicas": 2, "kind": "keda", "cpuPercent": 50, "triggers": [CRON]}}, {},
     "autoscaling.cpuPercent", 50, "by its triggers"),
    ("scaling", SK | {"autoscaling": {"maxReplicas": 2}}, {}, "autoscaling", None, "cpuPercent or memoryPercent"),
    ("scaling", SK | {"autoscaling": {"maxReplicas": 2, "cpuPercent": 50}}, {},
     "resources.requests[cpu]", None, "request is needed"),
    ("scaling", SK | {"autoscaling": {"minReplicas": 0, "maxReplicas": 2, "cpuPercent": 50},
     "resources": {"requests": {"cpu": "1"}}}, {}, "autoscaling.minReplicas", 0, "only keda"),
    ("scaling", SK | {"autoscaling": {"maxReplicas": 2, "cpuPercent": 50, "triggers": [{}]},
     "resources": {"requests": {"cpu": "1"}}}, {}, "autoscaling.triggers", 1, "belong to keda"),
    ("disruption budget", SK | {"disruption": {}}, {}, "disruption",
     {"minAvailable": None, "maxUnavailable": None}, "exactly one"),
    ("disruption budget", SK | {"disruption": {"maxUnavailable": "half"}}, {},
     "disruption.maxUnavailable", "half", "percentage"),
    ("disruption budget", SK | {"disruption": {"minAvailable": -1}}, {}, "disruption.minAvailable", -1, "from 0"),
    ("disruption budget", SK | {"disruption": {"maxUnavailable": "101%"}}, {},
     "disruption.maxUnavailable", "101%", "percentage"),
    *[("disruption budget", SK | {"disruption": budget}, {}, "disruption",
       {"minAvailable": None, "maxUnavailable": None} | budget, "node drains would hang")
      for budget in ({"maxUnavailable": 0}, {"maxUnavailable": "0%"}, {"minAvailable": "100%"})],
    ("disruption budget", SK | {"replicas": 2, "disruption": {"minAvailable": 2}}, {},
     "disruption.minAvailable", 2, "no pod could ever be evicted"),
    ("stopping", SK | {"drainSeconds": 30}, {}, "drainSeconds", 30, "before graceSeconds (30)"),
    ("cpu features", SK | {"cpuFeatures": ["avx2"]}, {}, "cpuFeatures", "avx2", "node-feature-discovery"),
    ("cpu features", SK | {"cpuFeatures": [f"F{n}" for n in range(17)]}, {}, "cpuFeatures", 17, "at most 16"),
    ("host", SK | {"route": {"host": "a_b.example.com"}}, {}, "route.host", "a_b.example.com", "DNS name"),
    ("path", SK | {"route": {"path": "x"}}, {}, "route.path", "x", "absolute path"),
    ("path", SK | {"route": {"path": "/m", "stripPath": True}}, {}, "route.stripPath", True, "regular expression"),
    ("grpc", SK | {"transport": "grpc"}, {}, "route.tlsSecret", None, "needs TLS"),
    ("grpc", SK | {"transport": "grpc", "route": {"path": "/x"}}, GATEWAY, "route.path", "/x", "own paths"),
    ("gateway", SK | {"route": {"limits": {"requestsPerSecond": 5}}}, GATEWAY,
     "route.limits.requestsPerSecond", 5, "has no limits"),
    ("gateway", SK | {"route": {"limits": {"allow": ["10.0.0.0/8"]}}}, GATEWAY,
     "route.limits.allow", ["10.0.0.0/8"], "has no limits"),
    ("gateway", SK | {"route": {"bodySize": "8MiB"}}, GATEWAY, "route.bodySize", "8MiB", "no limit of the body"),
    ("gateway", SK | {"route": {"tlsSecret": "s"}}, GATEWAY, "route.tlsSecret", "s", "the Gateway's"),
    ("limits", SK | {"route": {"limits": {"burst": 3}}}, {}, "route.limits.burst", 3, "multiplies a rate"),
    ("limits", SK | {"route": {"limits": {"allow": ["10.0.0/8"]}}}, {}, "route.limits.allow", "10.0.0/8", "network"),
    ("timeouts", SK | {"route": {"timeouts": {"requestSeconds": 900}}}, {},
     "route.timeouts.requestSeconds", 900, "--cluster-request-seconds-max"),
    ("body size", SK | {"route": {"bodySize": "8 apples"}}, {}, "route.bodySize", "8 apples", "not a size"),
    ("mirror", SK | {"shadow": {"framework": "sklearn", "modelUri": "gs://b/2", "percent": 10}}, {},
     "shadow.percent", 10, "all requests or none"),
    ("mirror", SK | {"transport": "grpc", "route": {"tlsSecret": "s"},
     "shadow": {"framework": "sklearn", "modelUri": "gs://b/2"}}, {}, "shadow", "set", "does not mirror gRPC"),
    ("mirror", SK | {"shadow": {"framework": "sklearn", "modelUri": "gs://b/2", "predictor": "default"}}, {},
     "shadow.predictor", "default", "own predictor"),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=[f"{row[0]}: {row[3]}" for row in TABLE])
def test_a_spec_that_breaks_a_rule_is_refused(row: Row) -> None:
    rule, document, cluster, field, value, text = row
    spec, settings = from_document(document), cluster_of(cluster)
    found = [item for item in rules.RULES[rule](spec, settings) if (item.field, item.value) == (field, value)]
    assert found, [str(item) for item in rules.RULES[rule](spec, settings)]
    assert text in found[0].rule
    with pytest.raises(Refused) as caught:
        render(spec, settings)
    assert found[0] in caught.value.refusals


ACCEPTED = {
    "every scheme": [SK | {"modelUri": uri} for uri in (
        "gs://b/m", "gs:b/m", "s3://b", "hdfs://ns/m", "hdfs:///m", "pvc://my.claim/m", "pvc://claim", "oci://r/m:1",
        "http://h/m.zip", "https://h:8443/m", "azure://c/m", "file:///opt/m", "webhdfs://h:9870/m")],
    "every form of an image": [OWN | {"image": image} for image in (
        "own", "own:1", "library/own:1.2-rc_3", "registry.example:5000/a/b-c__d/own", "localhost/own:Latest",
        "own@sha256:" + "a" * 64, "r.io/own:1@sha256:" + "0" * 64)],
    "every quantity": [SK | {"resources": {"requests": {"cpu": q}}} for q in ("1", "0.5", "250m", "2k", "1Ki", "3E")],
    "requests up to limits": [SK | {"resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1024Mi"}}}],
    "whole cards by a plugin": [SK | {"resources": {half: {"nvidia.com/gpu": "1"} for half in ("requests", "limits")}}],
    "limits alone": [SK | {"resources": {"limits": {"nvidia.com/gpu": "1", "ephemeral-storage": "1Gi"}}}],
    "GPU README's sample": [TF | {"gpu": {"cores": 50, "memoryMiB": 7680}}],
    "two cards by cores": [TF | {"gpu": {"cores": 200}}],
    "labels": [SK | {"labels": {"team": "", "example.com/Team_1": "a.B-1"}, "annotations": {"a/b": "any text!"}}],
    "all tolerated": [SK | {"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoExecute",
                      "tolerationSeconds": 60}]}],
    "budgets": [SK | {"replicas": 3, "disruption": budget} for budget in (
        {"maxUnavailable": 1}, {"maxUnavailable": "25%"}, {"minAvailable": "50%"}, {"minAvailable": 2})],
    "ten levels": [GRAPH | {"graph": DEEP["children"][0]}],
}  # fmt: skip


@pytest.mark.parametrize("documents", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_kubernetes_seldon_and_gpumanager_take_is_not_refused(documents: list[dict[str, Any]]) -> None:
    for document in documents:
        assert list(rules.refusals(from_document(document), Cluster())) == []


def test_the_table_covers_every_rule() -> None:
    assert {row[0] for row in TABLE} == set(rules.RULES)
    assert set(ROUTE_RULES) <= set(rules.RULES)


def test_all_refusals_come_at_once() -> None:
    spec = from_document(TF | {"drainSeconds": 60, "modelUri": "ftp://x", "gpu": {}})
    with pytest.raises(Refused) as caught:
        render(spec, Cluster())
    assert {item.field for item in caught.value.refusals} == {"drainSeconds", "modelUri", "gpu"}


R1, R2 = SK | {"predictor": "r1"}, SK | {"predictor": "r2"}
SPLIT = {"percent": 10}
RELEASES: list[tuple[dict[str, Any], dict[str, Any], str, Any, str]] = [
    ({"stable": R1, "candidate": R2, "external": {"service": "old", "port": 80}, "split": SPLIT}, {},
     "external", "set", "one split"),
    ({"stable": R1, "split": SPLIT}, {}, "split", "set", "no candidate"),
    ({"stable": R1, "candidate": R2, "split": {"headerValue": "x"}}, {}, "split.headerValue", "x", "needs"),
    ({"stable": R1, "candidate": R2, "split": {"header": "a b"}}, {}, "split.header", "a b", "letters"),
    ({"stable": R1, "candidate": R2, "split": {"cookie": "a;b"}}, {}, "split.cookie", "a;b", "letters"),
    ({"stable": R1, "candidate": R2, "split": {"header": "a", "headerValue": "$x"}}, {},
     "split.headerValue", "$x", "letters"),
    ({"stable": R1, "candidate": R2 | {"name": "other"}}, {}, "candidate", "n/other", "same model"),
    ({"stable": R1, "candidate": R1}, {}, "candidate.predictor", "r1", "has this predictor"),
    ({"stable": R1, "candidate": R2 | {"protocol": "v2"}}, {}, "candidate.protocol", "v2", "one protocol"),
    ({"stable": R1, "candidate": R2 | {"orchestrator": False}}, {}, "candidate.orchestrator", False, "has True"),
    ({"stable": R1 | {"serviceName": "s"}, "candidate": R2 | {"serviceName": "s"}}, {},
     "candidate.serviceName", "s", "cannot be the canary's"),
    ({"stable": R1, "candidate": R2 | {"modelUri": "x"}}, {}, "candidate.modelUri", "x", "must start"),
    ({"stable": R1, "external": {"port": 80}}, {}, "external",
     {"service": None, "hostname": None, "addresses": None}, "exactly one"),
    ({"stable": R1, "external": {"port": 80, "service": "m-r1"}}, {}, "external.service", "m-r1", "model's own"),
    ({"stable": R1, "external": {"port": 80, "hostname": "a_b"}}, {}, "external.hostname", "a_b", "DNS name"),
    ({"stable": R1, "external": {"port": 80, "hostname": "a.b"}}, GATEWAY, "external.hostname", "a.b", "addresses"),
    ({"stable": R1, "external": {"port": 80, "addresses": ["1.2.3"]}}, {}, "external.addresses", "1.2.3", "IP"),
    ({"stable": R1, "external": {"port": 80, "addresses": ["1.2.3.4", "::1"]}}, {},
     "external.addresses", ["1.2.3.4", "::1"], "one family"),
    ({"stable": R1 | {"serviceName": None}}, {}, "serviceName", None, "Seldon decides"),
]  # fmt: skip


@pytest.mark.parametrize("row", RELEASES, ids=[f"{row[2]}: {row[4]}" for row in RELEASES])
def test_a_release_that_cannot_be_routed_is_refused(row: Any) -> None:
    document, cluster, field, value, text = row
    with pytest.raises(Refused) as caught:
        render(msgspec.convert(document, Release), cluster_of(cluster))
    found = [item for item in caught.value.refusals if (item.field, item.value) == (field, value)]
    assert found, str(caught.value)
    assert text in found[0].rule
