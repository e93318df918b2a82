"""The README tells the truth about settings, files and commands."""

import re

import pytest

from milepost.cli import COMMANDS
from tests.readme import README, with_settings

TEXT = README.read_text()


def test_the_settings_are_those_of_the_code() -> None:
    assert with_settings(TEXT) == TEXT


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([\w./-]+)\)", TEXT))))
def test_what_it_links_to_exists(path: str) -> None:
    assert (README.parent / path).exists()


def test_the_commands_it_names_exist() -> None:
    named = set(re.findall(r"`milepost ([\w-]+)", TEXT)) | set(re.findall(r"bin/milepost (\w+)", TEXT))
    assert named
    assert named <= set(COMMANDS)
