"""The map of the code names every package, and none that is gone."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECTIONS = (ROOT / "docs/architecture.md").read_text().split("\n## ")
CHAPTERS = {"logserver": "The log-server", "exporter": "The exporter", "deploy": "The platform"}


@pytest.mark.parametrize("program", sorted(CHAPTERS))
def test_the_packages_of_a_program_are_those_of_the_map(program: str) -> None:
    [chapter] = [section for section in SECTIONS if section.startswith(CHAPTERS[program])]
    rows = re.findall(r"^\| (`.+?`) \|", chapter, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    packages = {folder.parent.name for folder in (ROOT / program).glob("*/__init__.py")}
    assert packages <= named
    assert all((ROOT / program / name).is_dir() or (ROOT / program / f"{name}.py").is_file() for name in named)
