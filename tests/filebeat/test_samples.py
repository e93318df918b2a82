"""The sample documents are well formed, explained, and cover every input shape the log-server claims to read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from milepost.identity import model_and_predictor

SAMPLES = Path(__file__).parents[2] / "filebeat" / "samples"
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load((SAMPLES / "expected.yaml").read_text())
DOCUMENTS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_bytes()) for path in SAMPLES.glob("*.json")}
CONTAINERS_PATH = re.compile(r"/var/log/containers/([^_/]+)_([^_/]+)_([^_/]+)-([0-9a-f]{64})\.log")
PODS_PATH = re.compile(r"/var/log/pods/([^_/]+)_([^_/]+)_([^_/]+)/([^/]+)/\d+\.log")


def test_every_sample_has_a_row_and_every_row_a_sample() -> None:
    assert sorted(DOCUMENTS) == sorted(EXPECTED)


def test_each_sample_is_one_line_as_kafka_carries_it() -> None:
    for path in SAMPLES.glob("*.json"):
        assert path.read_text().count("\n") == 1, path.name


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_row_agrees_with_the_document_where_both_speak(name: str) -> None:
    document, row = DOCUMENTS[name], EXPECTED[name]
    kubernetes = document.get("kubernetes", {})
    assert row["what"]
    assert row["file_path"] == document["log"]["file"]["path"]
    assert row["file_offset"] == document["log"]["offset"]
    assert row["truncated"] == ("truncated" in document["log"].get("flags", []))
    assert row["message"] == (document["message"] if isinstance(document.get("message"), str) else None)
    if kubernetes:
        labels = {key: value for key, value in kubernetes["labels"].items() if isinstance(value, str)}
        assert (row["model"], row["predictor"]) == model_and_predictor(labels)
        assert (row["namespace"], row["pod"]) == (kubernetes["namespace"], kubernetes["pod"]["name"])


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_file_path_names_the_same_pod(name: str) -> None:
    row = EXPECTED[name]
    if match := CONTAINERS_PATH.fullmatch(row["file_path"]):
        assert match.groups() == (row["pod"], row["namespace"], row["container"], row["container_id"])
    else:
        match = PODS_PATH.fullmatch(row["file_path"])
        assert match is not None
        assert match.groups() == (row["namespace"], row["pod"], row["pod_uid"], row["container"])


def _fraction_digits(document: dict[str, Any]) -> int:
    match = re.search(r"\.(\d+)", document["@timestamp"])
    return len(match[1]) if match else 0


def test_the_samples_cover_the_shapes_that_filebeat_writes() -> None:
    documents = DOCUMENTS.values()
    versions = {(int(d["agent"]["version"].split(".")[0]), d["input"]["type"]) for d in documents}
    assert versions == {(7, "container"), (8, "container"), (8, "filestream"), (9, "filestream")}
    assert {_fraction_digits(d) for d in documents} == {0, 3, 6, 7, 9}
    assert {d["@timestamp"][-6:] for d in documents if not d["@timestamp"].endswith("Z")} == {"+05:30", "-10:00"}
    assert {type(d.get("message")) for d in documents} == {str, dict, type(None)}
    assert {tuple(d["log"].get("flags", ())) for d in documents} == {
        (),
        ("multiline",),
        ("truncated",),
        ("multiline", "truncated"),
    }
    assert any("kubernetes" not in d and "container" not in d for d in documents)
    assert {row["predictor"] for row in EXPECTED.values()} >= {"", "default", "canary", "shadow"}


def test_a_resent_line_differs_only_in_the_run_of_filebeat() -> None:
    first, second = DOCUMENTS["resend_first"], DOCUMENTS["resend_second"]
    assert first != second
    assert first["log"] == second["log"]
    assert {**first, "agent": None} == {**second, "agent": None}


def test_the_rejects_are_no_documents() -> None:
    for path in (SAMPLES / "rejects").iterdir():
        try:
            document = json.loads(path.read_bytes())
        except ValueError:
            continue
        readable = isinstance(document, dict) and re.fullmatch(r"\d{4}-\S+", str(document.get("@timestamp", "")))
        assert not readable or path.stem in ("impossible_date", "wrong_types"), path.name
