"""The commands that the runbooks tell people to type exist, with these options."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from dashboards.alerts.generate import GROUPS
from logserver.client.cli import logs
from logserver.settings import RetentionSettings
from milepost.cli import COMMANDS
from milepost.settings import settings_of
from tests.dashboards.expressions import ROOT

PAGES = sorted((ROOT / "docs" / "runbooks").glob("Milepost*.md"))
COMMANDS_TOLD = sorted(
    {
        found
        for page in PAGES
        for found in re.findall(r"^(milepost [^#\n]+)|`(milepost [^`]+)`", page.read_text(), re.MULTILINE)
        for found in found
        if found
    }
)


@pytest.mark.parametrize("command", COMMANDS_TOLD)
def test_the_command_exists(command: str) -> None:
    _, name, *rest = shlex.split(command)
    assert name in COMMANDS, command
    if name == "logs":
        assert isinstance(logs, click.Command)
        with logs.make_context("logs", rest, resilient_parsing=False) as context:
            assert context.params
    else:
        assert name == "model"
        assert re.fullmatch(r"(why|rollback|scale|restart|rollout (abort|pause)) NAMESPACE/MODEL( --replicas \w+)?",
                            " ".join(rest)), command  # fmt: skip


def test_the_settings_named_exist() -> None:
    flags = {item.flag for item in settings_of({"retention": RetentionSettings})}
    told = {flag for page in PAGES for flag in re.findall(r"`(--retention-[a-z-]+)`", page.read_text())}
    assert told
    assert told <= flags


def test_promql_in_the_runbooks_is_about_recorded_or_served_series() -> None:
    recorded = {rule.entry()["record"] for group in GROUPS for rule in group.rules if "record" in rule.entry()}
    told = {name for page in PAGES for name in re.findall(r"\b\w+:milepost_\w+:\w+", page.read_text())}
    assert told
    assert told <= recorded
