"""What the documentation tells people to type, or to look at, exists: commands, settings, series."""

from __future__ import annotations

import re

import pytest

from dashboards.alerts.generate import GROUPS
from logserver.settings import RetentionSettings
from milepost.settings import settings_of
from tests.dashboards.expressions import ROOT
from tests.dashboards.told import Told, fault, told

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("Milepost*.md"))
COMMANDS = sorted({(path.relative_to(ROOT), said) for path in PAGES for said in told(path.read_text())}, key=str)


@pytest.mark.parametrize("said", [said for _, said in COMMANDS], ids=[f"{path}: {said}" for path, said in COMMANDS])
def test_the_command_exists(said: Told) -> None:
    assert fault(said) == ""


def test_the_documentation_is_read() -> None:
    assert len(COMMANDS) > 30
    assert {path.parts[0] for path, _ in COMMANDS} == {"README.md", "docs"}
    page = (
        "```console\n$ A=1 milepost logs -f \\\n   -n models | grep x; .venv/bin/milepost model why a/b\n"
        "$ kubectl exec p -- milepost logs\n$ kubectl -n milepost get pods\n```\n"
        "```yaml\nx: milepost logs\n```\n`milepost model …` and `milepost` alone.\n"
    )
    assert [(str(said), said.whole) for said in told(page)] == [
        ("milepost logs -f -n models", True),
        (".venv/bin/milepost model why a/b", True),
        ("milepost logs", True),
        ("milepost model", False),
    ]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ("milepost nothing", "no subcommand 'nothing'"),
        ("milepost model why", "needs"),
        ("milepost model", "needs a subcommand"),
        ("milepost model why a/b c/d", "takes no argument"),
        ("milepost logs --sinse 1h", "--sinse"),
        ("milepost logs --output loud", "'loud' is none of"),
        ("milepost logs -o FORMAT --since 1h", ""),
    ],
)
def test_a_command_that_does_not_exist_is_found(words: str, wrong: str) -> None:
    found = fault(Told(tuple(words.split()), whole=True))
    assert wrong in found
    assert bool(wrong) == bool(found)


def test_the_settings_named_exist() -> None:
    flags = {item.flag for item in settings_of({"retention": RetentionSettings})}
    named = {flag for page in RUNBOOKS for flag in re.findall(r"`(--retention-[a-z-]+)`", page.read_text())}
    assert named
    assert named <= flags


def test_promql_in_the_runbooks_is_about_recorded_or_served_series() -> None:
    recorded = {rule.entry()["record"] for group in GROUPS for rule in group.rules if "record" in rule.entry()}
    named = {name for page in RUNBOOKS for name in re.findall(r"\b\w+:milepost_\w+:\w+", page.read_text())}
    assert named
    assert named <= recorded
