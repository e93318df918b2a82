"""The command line before it reaches a cluster: what is refused is said in one line, with the exit code for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner
from msgspec.structs import replace

from deploy.cli import model
from deploy.cli.command import exit_code
from deploy.rebuild import Ask, rebuild
from deploy.rebuild import built as image_built
from deploy.rebuild import cancelled as build_cancelled
from deploy.record import Record, RolloutPlan, edits
from deploy.record.journal import Deed
from deploy.rollout import advance, canary
from deploy.spec.file import from_document

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
@pytest.mark.parametrize("words", [("render",), ("apply",), ("create",), ("diff",), ("rollout", "start")])
def test_a_bad_spec_is_told_by_field_and_not_by_a_traceback(
    words: tuple[str, ...], spec: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "spec.yaml").write_text(spec)
    assert f"Error: {told}" in run(*words, "-f", str(tmp_path / "spec.yaml"), code=1)


def test_a_spec_is_rendered_without_a_cluster(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    flags = ("--cluster-router", "gateway", "--cluster-domain", "models.test")
    objects = list(yaml.safe_load_all(run("render", "-f", str(path), *flags, code=0)))
    assert [item["kind"] for item in objects] == ["SeldonDeployment", "NetworkPolicy", "HTTPRoute"]
    assert objects[2]["spec"]["hostnames"] == ["ner-nlp.models.test"]
    assert msgspec.json.decode(run("render", "-f", str(path), *flags, "-o", "json", code=0)) == objects


def test_everything_that_is_wrong_with_a_spec_is_told_in_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC + "gpu: {cores: 150}\nroute: {stripPath: true}\n")
    said = run("render", "-f", str(path), code=1).splitlines()
    assert [line.partition(":")[0] for line in said] == ["Error"] * 2
    assert [line.split(" is ")[0] for line in said] == ["Error: gpu.cores", "Error: route.stripPath"]


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


DEED = Deed("ada", 1.0, id="d")
PLAN = RolloutPlan(canary((50,), 0.0).steps, judged=False)


def rolled(**changes: Any) -> Record:
    """A model whose second revision is being rolled out."""
    one, two = (from_document({"name": "m", "namespace": "n", "image": f"i:{number}"}) for number in (1, 2))
    record = edits.apply(Record("n", "m"), one, DEED)
    return edits.start_rollout(record, two, replace(PLAN, **changes), DEED)


def settled(record: Record, looks: int = 9) -> Record:
    """The same after some looks at a model where all is well."""
    for look in range(looks):
        record = advance(record, now=10.0 + look)
    return record


def building(*, needed: int = 0) -> Record:
    ask = Ask("i:2", PLAN)
    job = {"metadata": {"name": "m-rebuild-d", "namespace": "n"}}
    return rebuild(edits.abort(rolled(), DEED), ask, job, DEED, needed=needed)


def built(record: Record) -> Record:
    return image_built(record, "sha256:" + "ab" * 32, now=5.0)


@pytest.mark.parametrize(
    ("asked", "ended", "code"),
    [
        (rolled(), settled(rolled()), 0),
        (rolled(auto_promote=False), settled(rolled(auto_promote=False)), 0),
        (rolled(), edits.pause(settled(rolled(), 2), DEED), 7),
        (edits.pause(rolled(), DEED), edits.pause(rolled(), DEED), 0),
        (rolled(), edits.abort(settled(rolled(), 2), DEED), 1),
        (edits.abort(rolled(), DEED), edits.abort(rolled(), DEED), 0),
        (building(), settled(built(building())), 0),
        (building(needed=1), built(building(needed=1)), 0),
        (building(), edits.abort(built(building()), DEED), 1),
        (building(), edits.pause(built(building()), DEED), 7),
        (edits.abort(building(), DEED), build_cancelled(edits.abort(building(), DEED), now=5.0), 0),
    ],
)
def test_the_exit_code_says_how_far_a_rollout_came(asked: Record, ended: Record, code: int) -> None:
    assert exit_code(asked, ended) == code
