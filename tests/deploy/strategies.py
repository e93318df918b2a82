"""Hypothesis generators of spec documents: of the right types, and as often wrong as right in what they say."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["m", "a-b", "x" * 63, "tfserving"])
URIS = st.sampled_from(["gs://b/m", "hdfs://ns/m", "pvc://c/m", "m", "ftp://x", "s3:"])
FRAMEWORKS = st.sampled_from(
    ["tensorflow", "sklearn", "xgboost", "mlflow", "triton", "huggingface", "pytorch", "custom"]
)
QUANTITIES = st.dictionaries(
    st.sampled_from(["cpu", "memory", "tencent.com/vcuda-core"]), st.sampled_from(["1", "500m", "x", ""]), max_size=2
)
GPUS = st.fixed_dictionaries(
    {},
    optional={
        "cores": st.sampled_from([-1, 0, 1, 30, 99, 100, 150, 200]),
        "memoryMiB": st.sampled_from([-1, 0, 1, 256, 7500, 90_000]),
        "cards": st.sampled_from([-1, 0, 1, 8]),
        "coreLimit": st.sampled_from([1, 100]),
        "model": st.just("Tesla-T4"),
    },
)
SERVING: dict[str, st.SearchStrategy[Any]] = {
    "framework": FRAMEWORKS,
    "server": st.sampled_from(["LIGHTGBM_SERVER", "NO_SERVER"]),
    "modelUri": URIS,
    "image": st.just("own:1"),
    "parameters": st.dictionaries(st.sampled_from("pq"), st.one_of(st.booleans(), st.integers(-2, 2), st.text("ab"))),
    "env": st.dictionaries(st.sampled_from(["A", "1B", "LD_LIBRARY_PATH"]), st.text("ab")),
    "resources": st.fixed_dictionaries({}, optional={"requests": QUANTITIES, "limits": QUANTITIES}),
    "gpu": GPUS,
    "probes": st.one_of(st.none(), st.fixed_dictionaries({}, optional={"kind": st.sampled_from(["tcp", "http"])})),
    "cpuFeatures": st.lists(st.sampled_from(["AVX2", "avx", "AVX512F"]), max_size=2),
    "mountSecrets": st.dictionaries(st.just("s"), st.sampled_from(["/x", "x", "/mnt/models"])),
}
UNITS: st.SearchStrategy[Any] = st.recursive(
    st.fixed_dictionaries({"name": NAMES}, optional=SERVING),
    lambda children: st.fixed_dictionaries(
        {"name": NAMES, "children": st.lists(children, max_size=2)},
        optional=SERVING
        | {
            "builtin": st.sampled_from(["simple-model", "simple-router", "random-abtest", "average-combiner"]),
            "type": st.sampled_from(["model", "router", "transformer"]),
            "ownPod": st.booleans(),
        },
    ),
    max_leaves=3,
)
SCALING = st.fixed_dictionaries(
    {"maxReplicas": st.integers(1, 200)},
    optional={
        "kind": st.sampled_from(["hpa", "keda"]),
        "minReplicas": st.integers(0, 3),
        "cpuPercent": st.just(50),
        "triggers": st.sampled_from([[{"type": "cron", "metadata": {}}], [{}]]),
    },
)
ROUTES = st.fixed_dictionaries(
    {},
    optional={
        "exposure": st.sampled_from(["internal", "external", "none"]),
        "host": st.sampled_from(["h.example.com", "Bad_Host", "*.x.y"]),
        "path": st.sampled_from(["/", "/m", "m", "/m?x"]),
        "stripPath": st.booleans(),
        "tlsSecret": st.just("cert"),
        "bodySize": st.sampled_from(["8MiB", "x"]),
        "limits": st.fixed_dictionaries({}, optional={"burst": st.just(2), "requestsPerSecond": st.just(1)}),
    },
)
SPECS = st.fixed_dictionaries(
    {"name": NAMES, "namespace": st.sampled_from(["n", "models"])},
    optional=SERVING
    | {
        "protocol": st.sampled_from(["seldon", "tensorflow", "v2"]),
        "transport": st.sampled_from(["rest", "grpc"]),
        "predictor": NAMES,
        "replicas": st.integers(0, 200),
        "autoscaling": SCALING,
        "disruption": st.fixed_dictionaries(
            {}, optional={"minAvailable": st.integers(0, 3), "maxUnavailable": st.just("x")}
        ),
        "graceSeconds": st.sampled_from([None, 5, 60]),
        "drainSeconds": st.sampled_from([None, 0, 10]),
        "orchestrator": st.booleans(),
        "cpuCheck": st.sampled_from(["affinity", "preflight", "both", "none"]),
        "graph": UNITS,
        "shadow": st.fixed_dictionaries({"framework": FRAMEWORKS, "modelUri": URIS}, optional={"percent": st.just(10)}),
        "requestLog": st.just({"url": "http://x"}),
        "route": ROUTES,
    },
)

GOOD_GPUS = st.sampled_from(
    [{"cores": 30, "memoryMiB": 7500}, {"cores": 99, "memoryMiB": 1, "coreLimit": 100}, {"cards": 1}, {"cards": 8}]
)
GOOD_SERVING: dict[str, st.SearchStrategy[Any]] = {
    "image": st.just("own:1"),
    "args": st.lists(st.text("ab-", min_size=1), max_size=2),
    "parameters": SERVING["parameters"],
    "env": st.dictionaries(st.sampled_from(["A", "B_C"]), st.text("ab")),
    "secretEnv": st.dictionaries(st.sampled_from(["D"]), st.just({"secret": "s", "key": "k"})),
    "storage": st.fixed_dictionaries({}, optional={"secret": st.just("s"), "serviceAccount": st.just("a")}),
    "resources": st.just({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}),
    "gpu": GOOD_GPUS,
    "probes": SERVING["probes"],
    "cpuFeatures": st.lists(st.sampled_from(["AVX2", "AVX512F"]), max_size=2),
    "mountSecrets": st.dictionaries(st.sampled_from(["s", "a.b"]), st.just("/x"), max_size=1),
}
GOOD_SCALING: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"replicas": 3},
        {"replicas": 0},
        {
            "autoscaling": {
                "kind": "keda",
                "minReplicas": 0,
                "maxReplicas": 3,
                "triggers": [{"type": "cron", "metadata": {}}],
            }
        },
        {
            "autoscaling": {"minReplicas": 2, "maxReplicas": 9, "cpuPercent": 50, "memoryPercent": 80},
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
        },
    ]
)
GOOD_ROUTES = st.fixed_dictionaries(
    {},
    optional={
        "exposure": st.sampled_from(["internal", "external", "none"]),
        "host": st.just("h.example.com"),
        "tlsSecret": st.just("cert"),
        "bodySize": st.just("8MiB"),
        "limits": st.just({"burst": 2, "requestsPerSecond": 1, "allow": ["10.0.0.0/8"]}),
        "timeouts": st.sampled_from([{"requestSeconds": None}, {"requestSeconds": 30, "connectSeconds": None}]),
    },
)
GOOD_COMMON: dict[str, st.SearchStrategy[Any]] = {
    "version": st.just("7"),
    "serviceName": st.just("pinned"),
    "graceSeconds": st.sampled_from([None, 60]),
    "drainSeconds": st.sampled_from([None, 0]),
    "disruption": st.just({"maxUnavailable": "25%"}),
    "cpuCheck": st.sampled_from(["affinity", "preflight", "both", "none"]),
    "priority": st.just("high"),
    "nodeSelector": st.just({"disk": "ssd"}),
    "tolerations": st.just([{"operator": "Exists"}]),
    "shadow": st.just({"framework": "custom", "image": "dark:1"}),
    "explainer": st.just({"type": "AnchorTabular", "modelUri": "gs://m/x", "replicas": 1}),
    "requestLog": st.just({"url": "http://x", "mode": "request"}),
    "logs": st.sampled_from([None, {"json": True}, {"multilinePattern": "^T"}]),
    "labels": st.just({"team": "risk"}),
    "annotations": st.just({"note": "x"}),
    "route": GOOD_ROUTES,
}
GOOD_GRAPHS = st.sampled_from(
    [
        {"name": "ab", "builtin": "random-abtest", "parameters": {"ratioA": 0.5},
         "children": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1", "ownPod": True}]},
        {"name": "t", "type": "transformer", "image": "t:1",
         "children": [{"name": "c", "image": "c:1", "env": {"A": "1"}, "gpu": {"cards": 1}}]},
        {"name": "avg", "builtin": "average-combiner", "children": [{"name": "only", "image": "a:1"}]},
    ]
)  # fmt: skip


@st.composite
def sound_specs(draw: st.DrawFn) -> dict[str, Any]:
    """Specs that break few rules, so that most of them render."""
    document: dict[str, Any] = {"name": "m", "namespace": "n"}
    document |= draw(st.fixed_dictionaries({}, optional=GOOD_COMMON))
    document |= draw(GOOD_SCALING)
    if draw(st.booleans()) and "cpuPercent" not in document.get("autoscaling", {}):
        return document | {"graph": draw(GOOD_GRAPHS)}
    serving = draw(
        st.fixed_dictionaries({"framework": FRAMEWORKS, "modelUri": st.just("gs://b/m")}, optional=GOOD_SERVING)
    )
    if serving["framework"] == "custom":
        serving["image"] = "own:1"
    return serving | document
