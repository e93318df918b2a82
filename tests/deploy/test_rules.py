"""Every rule of the spec as a table: the smallest spec that breaks it, the field and value it names, its text."""

from typing import Any

import msgspec
import pytest

from deploy import rules
from deploy.errors import Refused
from deploy.render import render
from deploy.route.rules import ROUTE_RULES
from deploy.settings import Cluster
from deploy.spec import Release
from deploy.specfile import from_document
from tests.deploy.golden_cases import cluster_of

TF = {"name": "m", "namespace": "n", "framework": "tensorflow", "modelUri": "gs://b/m"}
SK = TF | {"framework": "sklearn"}
OWN = {"name": "m", "namespace": "n", "image": "own:1"}
GRAPH = {"name": "m", "namespace": "n", "protocol": "seldon"}
GATEWAY = {"router": "gateway"}
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
    ("quantities", SK | {"resources": {"limits": {"memory": "4 GB"}}}, {},
     "resources.limits[memory]", "4 GB", "quantity"),
    ("quantities", SK | {"resources": {"limits": {"tencent.com/vcuda-core": "10"}}}, {},
     "resources.limits[tencent.com/vcuda-core]", "10", "written as `gpu`"),
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
    ("environment", SK | {"mountSecrets": {"s": "/mnt/models/x"}}, {}, "mountSecrets[s]", "/mnt/models/x", "outside"),
    ("scaling", SK | {"replicas": 101}, {}, "replicas", 101, "--cluster-replicas-max"),
    ("scaling", SK | {"autoscaling": {"minReplicas": 3, "maxReplicas": 2, "kind": "keda", "triggers": [{}]}}, {},
     "autoscaling.minReplicas", 3, "above maxReplicas 2"),
    ("scaling", SK | {"autoscaling": {"maxReplicas": 2, "kind": "keda"}}, {}, "autoscaling.triggers", [], "trigger"),
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
