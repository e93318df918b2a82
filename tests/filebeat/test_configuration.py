"""The Filebeat configurations: every option exists, the sizes fit together, and the pipeline cannot read itself."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import re2
import yaml

from logserver.settings import KafkaSettings
from tests.filebeat.options import ROOT, Version, check, nested

FOLDER = Path(__file__).parents[2] / "filebeat"
VARIANTS: dict[str, tuple[Version, ...]] = {"v9": ((9, 5),), "v8": ((8, 12), (9, 0)), "static": ((8, 12), (9, 5))}
WORST_JSON_GROWTH = 6  # one control character or invalid byte becomes \uXXXX


def config_of(variant: str) -> dict[str, Any]:
    tree: dict[str, Any] = nested(yaml.safe_load((FOLDER / variant / "filebeat.yml").read_text()))
    return tree


def input_of(config: dict[str, Any]) -> dict[str, Any]:
    filebeat = config["filebeat"]
    if "inputs" in filebeat:
        return dict(filebeat["inputs"][0])
    return dict(filebeat["autodiscover"]["providers"][0]["hints"]["default_config"])


@pytest.fixture(params=sorted(VARIANTS))
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_option_is_one_that_the_version_has(variant: str) -> None:
    for version in VARIANTS[variant]:
        assert list(check(config_of(variant), ROOT, version)) == []


def test_an_unknown_or_newer_option_is_found() -> None:
    config = config_of("v9")
    config["output"]["kafka"]["required_ack"] = -1
    assert list(check(config, ROOT, (9, 5))) == ["output.kafka.required_ack is not an option of Filebeat"]
    needed = list(check(config_of("v9"), ROOT, (9, 4)))
    assert len(needed) == 2
    assert all("needs Filebeat 9.5" in fault for fault in needed)


def test_a_container_is_keyed_so_that_its_lines_stay_in_order(variant: str) -> None:
    kafka = config_of(variant)["output"]["kafka"]
    assert kafka["key"] == "%{[container.id]}"
    assert kafka["required_acks"] == -1
    assert kafka["compression"] in ("lz4", "zstd")
    assert kafka["partition"]["hash"]["reachable_only"] is False
    if variant == "static":  # without metadata there is no container.id, but always a path
        assert kafka["partition"]["hash"]["hash"] == ["log.file.path"]


def topic_setting(name: str) -> str:
    match = re.search(rf'"{re.escape(name)}=([^"]+)"', (FOLDER / "create-topic.sh").read_text())
    assert match is not None
    return match[1]


def test_no_line_is_too_big_for_the_topic(variant: str) -> None:
    config = config_of(variant)
    line = input_of(config)["message_max_bytes"]
    document = config["output"]["kafka"]["max_message_bytes"]
    assert line * WORST_JSON_GROWTH + 64 * 1024 < document
    assert document < int(topic_setting("max.message.bytes"))
    assert topic_setting("message.timestamp.type") == "LogAppendTime"


def test_a_line_leaves_the_node_within_a_second(variant: str) -> None:
    config = config_of(variant)
    source = input_of(config)
    multiline = next(parser["multiline"] for parser in source["parsers"] if "multiline" in parser)
    waits = (source["backoff"]["max"], multiline["timeout"], config["queue"]["mem"]["flush"]["timeout"])
    assert sum(int(wait.removesuffix("ms")) for wait in waits) < 1000


def test_an_input_of_one_container_names_its_file_whole(variant: str) -> None:
    (path,) = input_of(config_of(variant))["paths"]
    assert ("*" in path) == (variant == "static")


def test_the_pipeline_never_reads_itself(variant: str) -> None:
    config = config_of(variant)
    (pattern,) = input_of(config)["prospector"]["scanner"]["exclude_files"]
    excluded = re2.compile(pattern)
    identity = "0123456789abcdef" * 4
    for namespace in ("milepost", "milepost-qa", "milepost-pre", "milepost-prod"):
        assert excluded.search(f"/var/log/containers/log-server-0_{namespace}_server-{identity}.log")
    for namespace in ("models", "milepost-models", "not-milepost"):
        assert not excluded.search(f"/var/log/containers/milepost-0_{namespace}_milepost-{identity}.log")
    (drop,) = [step["drop_event"] for step in config["processors"] if "drop_event" in step]
    field, value = next(iter(drop["when"]["equals"].items()))
    pod = daemon_set()["spec"]["template"]["metadata"]
    assert field == "kubernetes.labels.app_kubernetes_io/part-of"
    assert pod["labels"]["app.kubernetes.io/part-of"] == value
    assert pod["annotations"]["co.elastic.logs/enabled"] == "false"


def test_the_variants_differ_only_where_they_must() -> None:
    shared = {name: copy.deepcopy(config_of(name)) for name in VARIANTS}
    shared["static"]["output"]["kafka"]["partition"]["hash"].pop("hash")
    shared["static"]["processors"].pop(0)
    for config in shared.values():
        source = input_of(config)
        for name in ("id", "paths", "file_identity", "read_until_eof"):
            source.pop(name, None)
        source["prospector"]["scanner"].pop("fingerprint")
        config["filebeat"] = {"source": source, "shutdown_timeout": config["filebeat"]["shutdown_timeout"]}
    assert shared["v8"] == shared["v9"] == shared["static"]


def daemon_set() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "manifests" / "daemonset.yaml").read_text())
    return loaded


def test_the_pod_gives_the_configuration_every_variable_it_needs(variant: str) -> None:
    text = (FOLDER / variant / "filebeat.yml").read_text()
    needed = {name for name, default in re.findall(r"\$\{([A-Z_]+)(:[^}]*)?\}", text) if not default}
    container = daemon_set()["spec"]["template"]["spec"]["containers"][0]
    kafka = yaml.safe_load((FOLDER / "manifests" / "kustomization.yaml").read_text())["configMapGenerator"][0]
    given = {item["name"] for item in container["env"]} | {pair.split("=")[0] for pair in kafka["literals"]}
    assert needed <= given
    assert "resources" in container
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}


def test_filebeat_writes_the_topic_that_the_log_server_reads(variant: str) -> None:
    (topic,) = KafkaSettings().topics
    kafka = yaml.safe_load((FOLDER / "manifests" / "kustomization.yaml").read_text())["configMapGenerator"][0]
    assert config_of(variant)["output"]["kafka"]["topic"] == f"${{KAFKA_TOPIC:{topic}}}"
    assert f"KAFKA_TOPIC={topic}" in kafka["literals"]
    assert f"KAFKA_TOPIC:-{topic}}}" in (FOLDER / "create-topic.sh").read_text()


def test_filebeat_stops_before_it_is_killed(variant: str) -> None:
    grace_s = daemon_set()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert int(config_of(variant)["filebeat"]["shutdown_timeout"].removesuffix("s")) < grace_s


def test_filebeat_may_only_read_the_cluster() -> None:
    objects = yaml.safe_load_all((FOLDER / "manifests" / "rbac.yaml").read_text())
    (role,) = [item for item in objects if item["kind"] == "ClusterRole"]
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    resources = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert resources == {"pods", "namespaces", "nodes", "replicasets", "jobs"}
