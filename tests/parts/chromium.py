"""A real browser: Debian's Chromium and ChromeDriver, with the flags that keep it to this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.parts.install import Say, debian

_PACKAGES = ("chromium", "chromium-driver")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    # Without these it looks up its maker's hosts at every start.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
)


@dataclass(frozen=True, slots=True)
class Chromium:
    """Where the browser and its driver are; `flags` start it without a window and without calls to the outside."""

    browser: str
    driver: str
    flags: tuple[str, ...] = _FLAGS

    def flags_for(self, profile: Path) -> list[str]:
        """Return the flags with a profile folder, which must be a new one for each run."""
        return [*self.flags, f"--user-data-dir={profile}"]


def chromium(say: Say = lambda _: None) -> Chromium:
    """Return the installed browser; raises Unavailable."""
    found = debian(_PACKAGES, ("chromium", "chromedriver"), say)
    return Chromium(found["chromium"], found["chromedriver"])
