"""The documentation says what the code says."""

from pathlib import Path

import msgspec
import yaml

from deploy.app import SERVER_GROUPS
from deploy.environments import parse
from deploy.hdfs.settings import GROUPS as INITIALIZER_GROUPS
from deploy.rebuild import Ask, job_of
from deploy.record import Record, RolloutPlan
from deploy.render import render
from deploy.settings import Cluster
from deploy.spec.fields import DESCRIPTIONS
from deploy.spec.file import json_schema, read_spec
from milepost.settings import table
from tests.deploy import field_reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_settings_table_is_that_of_the_code() -> None:
    assert table({"cluster": Cluster}) in (DOCS / "model-spec.md").read_text()


def test_the_settings_of_the_platform_are_those_of_the_code() -> None:
    groups = {name: SERVER_GROUPS[name] for name in ("platform", "operations", "lock", "judge", "logs")}
    assert table(groups) in (DOCS / "platform.md").read_text()


def test_the_settings_of_the_initializer_are_those_of_the_code() -> None:
    assert table(INITIALIZER_GROUPS) in (DOCS / "hdfs.md").read_text()


def test_the_published_schema_and_the_page_of_fields_are_those_of_the_code() -> None:
    assert field_reference.SCHEMA.read_bytes() == field_reference.published()
    assert field_reference.PAGE.read_text() == field_reference.page()


def test_every_field_of_a_spec_is_described_and_nothing_else_is() -> None:
    parts = json_schema()["$defs"]
    assert [f"{name}.{key}" for name, part in parts.items() for key, node in part["properties"].items()
            if not node.get("description")] == []  # fmt: skip
    for kind, told in DESCRIPTIONS.items():
        assert set(told) <= {field.encode_name for field in msgspec.structs.fields(kind)}, kind.__name__


def test_the_example_of_the_documentation_renders() -> None:
    blocks = (DOCS / "model-spec.md").read_text().split("```yaml\n")[1:]
    example, overrides = (block.partition("```")[0] for block in blocks)
    spec = yaml.safe_load(example) | yaml.safe_load(overrides)
    assert len(render(read_spec(yaml.safe_dump(spec)), Cluster())) == 3


def test_the_policy_and_the_job_template_of_the_documentation_are_read() -> None:
    blocks = (DOCS / "environments.md").read_text().split("```yaml\n")[1:]
    policy, template = (block.partition("```")[0] for block in blocks)
    prod = parse(policy)["prod"]
    assert (prod.after, prod.limits.pinned_images, prod.approvals[0].groups) == ("qa", True, ("release",))
    ask = Ask("registry.example.com/ner:2", RolloutPlan(), base="python:3.12", commit="4f2a91c")
    job = job_of(template, ask, Record("nlp", "ner"), "d1", timeout_s=60)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"][2] == "--push=registry.example.com/ner:2"
