"""The real promtool and amtool."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def promtool(prometheus_programs: dict[str, str]) -> str:
    """The path of promtool."""
    return prometheus_programs["promtool"]


@pytest.fixture(scope="session")
def amtool(prometheus_programs: dict[str, str]) -> str:
    """The path of amtool."""
    return prometheus_programs["amtool"]
