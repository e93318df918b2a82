"""`python -m tests.ui.pictures --url URL`: the README's pictures, of a running `milepost demo`.

Takes a minute of logs, an open traceback, the live tail and the list of models, 1400 by 900 pixels each. `--dark`
takes the dark theme.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
from selenium.webdriver.common.keys import Keys

from tests.parts.chromium import chromium
from tests.ui.browser import Page, driving

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


@click.command()
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where the demo answers.")
@click.option("--out", type=click.Path(path_type=Path), default=PICTURES, show_default=True, help="The folder.")
@click.option("--dark", is_flag=True, help="The dark theme.")
def pictures(url: str, out: Path, dark: bool) -> None:
    """Save logs.png, live.png and models.png."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, driving(chromium(click.echo), Path(profile)) as driver:
        page = Page(driver, url)
        page.open("#/models")
        page.run("localStorage.setItem('milepost-theme', arguments[0])", "dark" if dark else "light")
        page.open("#/models")
        page.one("tbody tr")
        _save(page, out / "models.png")
        page.open("#/logs?since=5m&text=Traceback")
        page.one(".lines .row .message")
        page.press("G", "k", "k", "k", Keys.ENTER)
        page.one(".detail")
        _save(page, out / "logs.png")
        page.open("#/logs?since=5m&live=1")
        page.until_count("live")
        time.sleep(4)  # lines arrive meanwhile: the picture shows some of each pod
        _save(page, out / "live.png")


def _save(page: Page, path: Path) -> None:
    time.sleep(1)  # the histogram and the fonts
    page.driver.save_screenshot(str(path))
    click.echo(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    pictures()
