"""The command line before it reaches a cluster: what is refused is said in one line, with the exit code for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import model

POLICY = """
environments:
  qa: {namespaces: {nlp: nlp-qa}}
  prod: {after: qa, namespaces: {nlp: nlp-prod}}
"""
SPEC = "name: ner\nnamespace: nlp\nimage: registry.example/ner:1\n"


def run(*words: str, code: int) -> str:
    result = CliRunner().invoke(model, list(words), env={"KUBECONFIG": "/nowhere"})
    assert result.exit_code == code, (words, result.exit_code, result.output, result.exception)
    return result.output


@pytest.mark.parametrize(
    ("spec", "told"),
    [("name: ner\n", "namespace is None"), ("- 1\n", "(spec) is"), (SPEC + "replicas: -1\n", "replicas is -1")],
)
@pytest.mark.parametrize("words", [("apply",), ("create",), ("diff",), ("rollout", "start")])
def test_a_bad_spec_is_told_by_field_and_not_by_a_traceback(
    words: tuple[str, ...], spec: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "spec.yaml").write_text(spec)
    assert f"Error: {told}" in run(*words, "-f", str(tmp_path / "spec.yaml"), code=1)


def test_steps_that_are_no_percentages_are_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    said = run("rollout", "start", "-f", str(tmp_path / "spec.yaml"), "--steps", "ten", code=1)
    assert "Error: steps is 'ten': percentages are whole numbers" in said


def test_a_key_without_a_namespace_is_wrong_usage() -> None:
    assert "'ner' is not NAMESPACE/NAME" in run("status", "ner", code=2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--env", "prod"), "environments.file names no file"),
        (("--environments-file", "{file}", "--env", "test"), "'test'; there are qa, prod"),
        (("--environments-file", "{file}"), "not given; there are qa, prod"),
        (("--environments-file", "/nowhere", "--env", "qa"), "No such file"),
    ],
)
def test_an_environment_that_is_not_known_is_refused(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    (tmp_path / "environments.yaml").write_text(POLICY)
    filled = [word.replace("{file}", str(tmp_path / "environments.yaml")) for word in words]
    assert told in run("status", "nlp/ner", *filled, code=1)
