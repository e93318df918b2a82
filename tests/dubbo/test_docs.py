"""docs/dubbo.md says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from deploy.dubbo.described import described
from deploy.dubbo.metrics import PREFIX, TABLE, Outcome
from deploy.dubbo.services import PROTOCOLS
from deploy.dubbo.servicesfile import _Method, _Service, read_services
from deploy.dubbo.settings import GROUPS
from milepost.settings import settings_of, table

PAGE = (Path(__file__).parents[2] / "docs" / "dubbo.md").read_text()
EXAMPLES = [block.partition("```")[0] for block in PAGE.split("```yaml\n")[1:]]
KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}


def test_the_settings_are_those_of_the_code() -> None:
    assert table(GROUPS) in PAGE


def test_the_settings_it_names_exist() -> None:
    known = {f"{item.group}.{item.name}" for item in settings_of(GROUPS)}
    named = set(re.findall(rf"`((?:{'|'.join(GROUPS)})\.[a-z_]+)`", PAGE))
    assert len(named) > 8
    assert named <= known


def test_the_metrics_are_those_of_the_code() -> None:
    for row in TABLE:
        labels = ", ".join(f"`{label}`" for label in row.labels)
        assert f"| `{PREFIX}{row.name}` | {KINDS[row.kind]} | {labels} | {row.help} |" in PAGE


def test_the_outcomes_are_those_of_the_code() -> None:
    (told,) = re.findall(r"`outcome` is (.*?);", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", told)) == set(Outcome)


@pytest.mark.parametrize("number", [0, 1])
def test_the_examples_are_read(number: int) -> None:
    assert list(described(read_services(EXAMPLES[number])))


def test_the_tour_shows_what_the_first_example_means() -> None:
    assert "\n".join(described(read_services(EXAMPLES[0]))) in PAGE


def test_every_field_of_the_file_is_told() -> None:
    tables = PAGE.partition("## The services file")[2].partition("| protocol |")[0]
    told = {name for row in re.findall(r"^\| (`.+?`) \|", tables, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == {*_Service.__struct_encode_fields__, *_Method.__struct_encode_fields__}


def test_the_protocols_are_those_of_the_code() -> None:
    for name, protocol in PROTOCOLS.items():
        row = re.search(rf"^\| `{name}` \| `(.+?)` \| `.+?` \| `(.+?)` \| `(.+?)` \|$", PAGE, re.MULTILINE)
        assert row is not None
        assert row.groups() == (protocol.path, protocol.returns, protocol.bytes)
