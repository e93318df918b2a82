"""A Chromium that selenium drives, and the few ways in which the tests look at the page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.parts.chromium import Chromium

WAIT_S = 60.0
"""What is waited for comes in a second on a quiet machine; only a failing test waits this long."""

# Walks down the list one screen at a time and notes every row that is drawn, in the order of the page.
_READ_ALL = """
const done = arguments[arguments.length - 1];
const view = document.querySelector('.lines');
// The list draws in the frame that follows a scroll; a task set up in that frame runs behind it.
const frame = () => new Promise((wake) => requestAnimationFrame(() => setTimeout(wake)));
(async () => {
  const seen = new Map();
  let most = 0, before = -1;
  view.scrollTop = 0;
  for (;;) {
    await frame();
    const rows = [...document.querySelectorAll('.lines .row')];
    most = Math.max(most, rows.length);
    rows.sort((a, b) => parseFloat(a.style.top) - parseFloat(b.style.top));
    for (const row of rows) {
      const message = row.querySelector('.message');
      seen.set(row.dataset.id ?? `gap ${row.textContent}`, message ? message.textContent : row.textContent);
    }
    if (view.scrollTop === before) break;
    before = view.scrollTop;
    view.scrollTop += view.clientHeight;
  }
  done({ messages: [...seen.values()], ids: [...seen.keys()], most });
})();
"""


@contextlib.contextmanager
def driving(chromium: Chromium, profile: Path, *, width: int = 1400, height: int = 900) -> Iterator[WebDriver]:
    """Start a browser with a new profile folder; it ends with the block."""
    options = Options()
    options.binary_location = chromium.browser
    for flag in (*chromium.flags_for(profile), f"--window-size={width},{height}", "--force-color-profile=srgb"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(chromium.driver))
    try:
        driver.set_script_timeout(60)
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        yield driver
    finally:
        driver.quit()


class Page:
    """The web UI in a browser, at one server."""

    def __init__(self, driver: WebDriver, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, route: str) -> None:
        """Load the UI anew at a hash route, such as `#/logs?since=1h`."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/ui/{route}")
        self.driver.set_window_size(1400, 900)

    def one(self, selector: str) -> WebElement:
        """Return the element, waiting for it."""
        found: WebElement = self.until(lambda: next(iter(self.all(selector)), None), f"there is no {selector}")
        return found

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements there are now."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def until(self, condition: Any, message: str, seconds: float = WAIT_S) -> Any:
        """Return what the condition says once that is true."""
        return WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(lambda _: condition(), message)

    def until_count(self, words: str, seconds: float = WAIT_S) -> None:
        """Wait until the bar above the lines contains the words, whole, and until the rows it is about are drawn."""
        self.until(lambda: f" {words}" in f" {self.count}", f"the count never said {words!r}", seconds)
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    @property
    def count(self) -> str:
        """The words about how many lines there are."""
        return str(self.run("return document.querySelector('.bar span')?.textContent ?? ''"))

    @property
    def hash(self) -> str:
        """The view as the address says it."""
        return str(self.run("return location.hash"))

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript and return what it returns."""
        return self.driver.execute_script(script, *arguments)

    def messages(self) -> list[str]:
        """The messages of the rows that are drawn now, from the top down."""
        rows = self.run(
            "return [...document.querySelectorAll('.lines .row')].map((row) => [parseFloat(row.style.top), "
            "row.querySelector('.message')?.textContent ?? row.textContent])"
        )
        return [message for _, message in sorted(rows, key=lambda row: row[0])]

    def read_all(self) -> Any:
        """Scroll from the first line to the last: {messages, ids, most: rows that existed at once}."""
        return self.driver.execute_async_script(_READ_ALL)

    def press(self, *keys: str, held: str = "") -> None:
        """Press keys wherever the focus is then, as a keyboard does; `held` is a modifier that is down meanwhile."""
        chain = ActionChains(self.driver)
        if held:
            chain.key_down(held)
        for key in keys:
            chain.send_keys(key)
        if held:
            chain.key_up(held)
        chain.perform()

    def errors(self) -> list[str]:
        """What the page itself threw or was refused by its policy since the last call."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["source"] in ("javascript", "security")]
