"""The lines of all pods of a model together, in a real Chromium: in order, told apart by colour, and reachable."""

from __future__ import annotations

import pytest

from tests.logserver.api_server import ApiServer
from tests.ui.browser import Page
from tests.ui.served import Feed, numbered

pytestmark = pytest.mark.browser

COLOURS = (
    "return Object.fromEntries([...document.querySelectorAll('.lines .row .pod')]"
    ".map((one) => [one.textContent, getComputedStyle(one).color]))"
)


def test_a_model_s_pods_are_merged_by_time_and_keep_their_colours(page: Page, feed: Feed) -> None:
    lines = numbered(0, 80)
    feed.send([*lines, {"message": "of another model", "model": "ranker"}])
    page.open("#/models/models/iris")
    page.until_count("80 lines")
    assert page.read_all()["messages"] == [line["message"] for line in lines]
    colours = page.run(COLOURS)
    assert len(colours) == 8
    assert len(set(colours.values())) == 8
    page.open("#/logs?model=iris")
    page.until_count("80 lines")
    page.read_all()
    elsewhere = page.run(COLOURS)
    assert {pod: colours[pod] for pod in elsewhere} == elsewhere


def test_only_this_pod_leaves_its_lines_and_back_brings_the_others_back(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 80))
    page.open("#/models")
    page.one("tbody tr a").click()
    page.until_count("80 lines")
    page.press("G", "\n")
    page.until(lambda: page.all(".detail"), "the line did not open")
    page.run(
        "[...document.querySelectorAll('.detail button')].find((one) => one.textContent === 'Only this pod').click()"
    )
    page.until_count("10 lines")
    assert "pod=iris-default-0-00007" in page.hash
    page.driver.back()
    page.until_count("80 lines")
    page.driver.back()
    page.until(lambda: page.all("tbody tr"), "Back does not lead to the models")
    page.driver.forward()
    page.until_count("80 lines")


def test_wrapping_shows_whole_messages_and_the_theme_is_kept(page: Page, feed: Feed, server: ApiServer) -> None:
    feed.send([{"message": "first\nsecond " + "long " * 100}], server)
    page.open("#/logs")
    page.until_count("1 lines")
    height = "return document.querySelector('.lines .row').offsetHeight"
    assert page.run(height) == 20
    page.press("w")
    page.until(lambda: page.run(height) > 50, "nothing is wrapped")
    assert "wrap=1" in page.hash
    theme = "return document.documentElement.dataset.theme"
    before = page.run(theme)
    page.press("t")
    page.driver.refresh()
    page.until_count("1 lines")
    assert page.run(theme) != before
    assert page.run(height) > 50
    page.press("t")
