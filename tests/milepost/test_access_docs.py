"""docs/access.md names every setting of the connection and every mode of access."""

from __future__ import annotations

from pathlib import Path

import pytest

from milepost.auth import AuthSettings
from milepost.kube import KubeSettings
from milepost.settings import settings_of

PAGE = (Path(__file__).parents[2] / "docs" / "access.md").read_text()


@pytest.mark.parametrize("flag", [item.flag for item in settings_of({"kube": KubeSettings})])
def test_every_flag_of_the_connection_is_explained(flag: str) -> None:
    assert f"`{flag}`" in PAGE


def test_every_mode_of_access_is_explained() -> None:
    (mode,) = (item for item in settings_of({"auth": AuthSettings}) if item.name == "mode")
    assert all(f"| `{choice}` |" in PAGE for choice in mode.choices)
