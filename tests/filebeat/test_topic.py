"""The topic plan, applied by the shipped script to a real Kafka."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.parts.install import install
from tests.parts.kafka import PART, KafkaBroker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SCRIPT = Path(__file__).parents[2] / "filebeat" / "create-topic.sh"
TOOLS = {"kafka-topics.sh": "TopicCommand", "kafka-configs.sh": "ConfigCommand"}


@pytest.fixture
def kafka_bin(tmp_path: Path) -> Path:
    """Kafka's own commands as its distribution names them, over the jars that the broker runs from."""
    libs = install(PART) / "libs"
    for name, main in TOOLS.items():
        package = "kafka.admin" if main == "ConfigCommand" else "org.apache.kafka.tools"
        command = tmp_path / name
        command.write_text(f'#!/bin/sh\nexec java -XX:TieredStopAtLevel=1 -cp "{libs}/*" {package}.{main} "$@"\n')
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def apply(kafka: KafkaBroker, kafka_bin: Path, **settings: str) -> str:
    env = {**os.environ, "KAFKA_HOSTS": kafka.bootstrap, "KAFKA_BIN": str(kafka_bin), "REPLICATION": "1"}
    done = subprocess.run(
        [SCRIPT], env={**env, "MIN_INSYNC": "1", **settings}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_topic_is_created_as_planned_and_brought_to_a_new_plan(kafka: KafkaBroker, kafka_bin: Path) -> None:
    created = apply(kafka, kafka_bin, KAFKA_TOPIC="planned", PARTITIONS="3")
    described = created.splitlines()[-4]
    assert "PartitionCount: 3" in described
    for setting in ("message.timestamp.type=LogAppendTime", "max.message.bytes=8388608", "retention.ms=172800000"):
        assert setting in described
    changed = apply(kafka, kafka_bin, KAFKA_TOPIC="planned", PARTITIONS="5", RETENTION_HOURS="96")
    assert re.search(r"PartitionCount: 5\b.*retention\.ms=345600000", changed)


def test_without_brokers_the_script_says_what_is_missing() -> None:
    done = subprocess.run(
        [SCRIPT], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode != 0
    assert "KAFKA_HOSTS" in done.stderr
