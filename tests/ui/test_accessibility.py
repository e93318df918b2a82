"""Every page, light and dark, checked by axe-core in a real Chromium: WCAG 2.2 A and AA, and axe's best practices."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.logserver.api_server import ApiServer
from tests.ui.browser import Page
from tests.ui.served import Feed, numbered

pytestmark = pytest.mark.browser

_RUN = """
const done = arguments[arguments.length - 1];
const told = ({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`)];
axe.run(document, { resultTypes: ["violations"] }).then(
  ({ violations }) => done(violations.map(told)),
  (error) => done([["axe itself", [String(error)]]]));
"""


def violations(page: Page, axe: str) -> list[Any]:
    """What axe finds on the page as it is now; the policy of the page lets only a driver add a script."""
    page.run(axe)
    return list(page.driver.execute_async_script(_RUN))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_fault_that_axe_finds(page: Page, feed: Feed, server: ApiServer, axe: str, theme: str) -> None:
    levels = ["fatal", "error", "warn", "info", "debug", "trace", "unknown"]
    lines = numbered(0, 70)
    feed.send([{**line, "level": levels[place % 7]} for place, line in enumerate(lines)], server)
    page.open("#/models")
    page.run("localStorage.setItem('milepost-theme', arguments[0])", theme)
    page.open("#/models")
    page.one("tbody tr")
    assert violations(page, axe) == []

    page.open("#/logs?text=line")
    page.until_count("70 lines")
    page.until(lambda: page.all(".histogram rect"), "no histogram")
    page.press("g", Keys.ENTER)
    page.one(".detail")
    assert violations(page, axe) == []
    page.run("document.querySelector('.menu summary').click()")
    page.one(".menu[open] fieldset")
    assert violations(page, axe) == []
    page.run(
        "const range = document.querySelector('select[aria-label=\"Time range\"]'); range.value = 'other';"
        "range.dispatchEvent(new Event('change'))"
    )
    page.one("dialog#range[open]")
    assert violations(page, axe) == []
    page.press(Keys.ESCAPE)
    page.press("?")
    page.one("dialog#help[open]")
    assert violations(page, axe) == []

    page.open("#/logs?text=nothing-has-this&mode=words")
    page.one(".lines .empty")
    assert violations(page, axe) == []
    page.open("#/logs?mode=regex&text=(")
    page.one(".lines .failure")
    assert violations(page, axe) == []

    page.open("#/models/models/iris?live=1")
    page.until_count("live: 70 lines")
    assert violations(page, axe) == []
    page.run("localStorage.clear()")
