"""The time axis in a real Chromium: zoomed by keys and by dragging, also while it moves, and taken back."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.logserver.api_server import ApiServer
from tests.ui.browser import Page
from tests.ui.served import Feed, numbered

pytestmark = pytest.mark.browser

AXIS_S = 800

# No histogram is answered any more: what keys do in that time is not a matter of luck.
NEVER_COUNTED = """
const ask = window.fetch;
window.fetch = (url, how) => String(url).includes("/histogram") ? new Promise(() => {}) : ask(url, how);
"""


def every_second(feed: Feed, seconds: int = AXIS_S) -> None:
    now = time.time_ns()
    feed.send([{"ts": now - ago * 10**9, "message": f"{ago} s ago"} for ago in range(seconds, 0, -1)])


def told(page: Page) -> str:
    return str(page.run("return document.querySelector('.histogram output')?.textContent ?? ''"))


def span_s(page: Page) -> float:
    """The seconds between the address's start and end; 0 without."""
    query = parse_qs(page.hash.partition("?")[2])
    if "start" not in query:
        return 0.0
    return float(
        page.run("return (new Date(arguments[1]) - new Date(arguments[0])) / 1000", query["start"][0], query["end"][0])
    )


def test_the_keyboard_zooms_and_goes_back(page: Page, feed: Feed) -> None:
    every_second(feed)
    page.open("#/logs")
    page.until_count("500 lines, older ones exist")
    page.until(lambda: told(page).startswith("800 lines, up to "), "no histogram")
    whole = page.run("return [...document.querySelectorAll('.histogram .axis span')].map((one) => one.textContent)")
    page.press("z")
    assert page.run("return document.activeElement.classList.contains('plot')")
    page.press(Keys.HOME)
    for _ in range(30):
        page.press(Keys.ARROW_RIGHT, held=Keys.SHIFT)
    assert "Enter zooms" in told(page)
    assert not page.all(".histogram .brush[hidden]")

    page.press(Keys.ENTER)

    page.until(lambda: span_s(page) > 0, "the address has no start")
    # The bars are longer than the range asked for by at most one bar at each end: 120 of them fill 900 s.
    assert 220 <= span_s(page) <= 240
    page.until(
        lambda: not told(page).startswith("800 lines") and " lines, up to " in told(page),
        "the histogram is the old one",
    )
    page.press("z", "+", "+")  # faster than the histogram is drawn anew
    assert 52 <= span_s(page) <= 63, "plus did not halve the range, twice"
    page.press("-", "-")
    assert 210 <= span_s(page) <= 250, "minus did not double it, twice"
    page.press("0")
    page.until(lambda: span_s(page) == 0, "0 did not go back")
    page.until(lambda: told(page).startswith("800 lines, up to "), "the whole range is not shown again")
    again = page.run("return [...document.querySelectorAll('.histogram .axis span')].map((one) => one.textContent)")
    assert again[0][:15] == whole[0][:15]
    page.driver.back()
    page.until(lambda: 210 <= span_s(page) <= 250, "Back did not bring the zoom back")


def test_a_key_acts_on_the_range_that_was_gone_back_to_before_it_is_drawn(page: Page, feed: Feed) -> None:
    every_second(feed)
    page.open("#/logs")
    page.until(lambda: told(page).startswith("800 lines, up to "), "no histogram")
    page.press("z", "+", "+", "+")
    page.until(lambda: " lines, up to " in told(page) and not told(page).startswith("800"), "the zoom is not drawn")
    assert 105 <= span_s(page) <= 125
    page.run(NEVER_COUNTED)

    page.press("0", "+")

    assert 445 <= span_s(page) <= 455, "0 and plus are not half of the last 15 minutes"
    page.driver.back()
    page.until(lambda: span_s(page) == 0, "Back did not undo the zoom")
    page.one(".histogram .plot")
    page.press("z", "+")
    assert 445 <= span_s(page) <= 455, "Back and plus are not half of the last 15 minutes"
    page.driver.back()
    page.driver.back()
    page.until(lambda: 105 <= span_s(page) <= 125, "Back did not bring the zoom back")
    page.press("z", "+")
    assert 52 <= span_s(page) <= 63, "Back to a zoom and plus are not half of it"


@pytest.mark.parametrize(("since", "seconds"), [("1h30m", 5400), ("90", 90), ("0.5m", 30)])
def test_a_key_acts_on_the_range_of_the_address_before_it_is_drawn(page: Page, since: str, seconds: int) -> None:
    page.open("#/models")
    page.run(NEVER_COUNTED)
    page.run("location.hash = arguments[0]", f"#/logs?since={since}")
    page.one(".histogram .plot")
    page.press("z", "+")
    assert span_s(page) == pytest.approx(seconds / 2, rel=0.01)


def test_what_is_under_the_cursor_is_said(page: Page, feed: Feed) -> None:
    now = time.time_ns()
    feed.send([{"ts": now - 400 * 10**9, "level": "error", "message": str(n)} for n in range(7)])
    page.open("#/logs")
    page.until(lambda: told(page) == "7 lines, up to 7 in 10 s", "no histogram")
    page.press("z", Keys.END)
    for _ in range(120):
        page.press(Keys.ARROW_LEFT)
        if "error" in told(page):
            break
    assert told(page).endswith(": 7 error")
    page.press(Keys.ESCAPE)
    assert told(page) == "7 lines, up to 7 in 10 s"


def test_a_drag_survives_that_the_live_histogram_is_drawn_anew(page: Page, feed: Feed, server: ApiServer) -> None:
    every_second(feed)
    page.open("#/logs?live=1")
    page.until(lambda: told(page).startswith("800 lines, up to "), "no histogram")
    plot = page.one(".histogram .plot")
    width = plot.size["width"]
    ActionChains(page.driver).move_to_element_with_offset(plot, -width // 4, 0).click_and_hold().perform()
    drawn = page.run("return document.querySelector('.histogram svg').dataset.old = 'yes'")
    assert drawn == "yes"
    feed.send(numbered(0, 80), server)
    page.until(lambda: not page.all(".histogram svg[data-old]"), "the histogram of a live tail is not drawn anew")
    ActionChains(page.driver).move_by_offset(width // 4, 0).release().perform()
    page.until(lambda: 200 <= span_s(page) <= 260, f"not a quarter: {span_s(page)}")
    assert page.all("button[title^='Live'][aria-pressed=false]")
    page.one(".reset").click()
    page.until(lambda: span_s(page) == 0, "the button did not go back")
    page.until(lambda: not page.one(".reset").is_displayed(), "the button is offered without a zoom")


def test_lines_that_come_after_a_search_are_offered(page: Page, feed: Feed, server: ApiServer) -> None:
    feed.send(numbered(0, 8), server)
    page.open("#/logs?since=5m")
    page.until_count("8 lines")
    assert not page.one(".newer").is_displayed()
    # The bars of five minutes are some seconds long: lines of the present bar are not told from those found.
    later = [{**line, "ts": time.time_ns() + 6 * 10**9} for line in numbered(8, 8)]
    feed.send(later, server)
    page.until(lambda: page.one(".newer").is_displayed(), "new lines are not offered", seconds=60)
    page.one(".newer").click()
    page.until_count("16 lines")
