"""The logs page in a real Chromium: search, levels, histogram, links, keys, and a list of which little exists."""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qs

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.logserver.api_server import ApiServer
from tests.ui.browser import Page
from tests.ui.served import Feed, numbered

pytestmark = pytest.mark.browser

TRACEBACK = (
    "Traceback (most recent call last):\n"
    + "".join(f'  File "/app/model_{depth}.py", line {depth}, in predict\n' for depth in range(40))
    + "ValueError: could not convert string to float: '<b>n/a</b>'"
)
ROWS_MAX = 120
"""More rows than fit a window of 900 pixels with the spare ones, far fewer than the lines."""


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(page.hash.partition("?")[2])


def labels(page: Page) -> dict[str, str]:
    names = [one.text for one in page.all(".detail dt")]
    return dict(zip(names, [one.text for one in page.all(".detail dd")], strict=True))


def test_a_search_finds_the_line_and_opens_it_whole(page: Page, feed: Feed) -> None:
    feed.send([*numbered(0, 300), {"message": TRACEBACK, "level": "error", "trace_id": "4bf92f3577b34da6"}])
    page.open("#/logs")
    page.until_count("301 lines")
    page.one("input[type=search]").send_keys("ValueError", Keys.ENTER)
    page.until_count("1 lines")
    assert page.one(".row .message").text.startswith("Traceback (most recent call last):")
    assert "+41 lines" in page.one(".row .more").text

    page.one(".row .message").click()

    assert page.one(".detail pre").get_property("textContent") == TRACEBACK
    assert [hit.text for hit in page.all(".detail mark")] == ["ValueError"]
    shown = labels(page)
    assert shown["namespace"] == "models"
    assert shown["trace_id"] == "4bf92f3577b34da6"
    assert shown["label app"] == "iris"
    assert shown["position"].startswith("logs/")
    page.one(".row .message").click()
    assert page.all(".detail") == []


def test_a_message_in_json_opens_indented_and_markup_stays_text(page: Page, feed: Feed) -> None:
    record = {"request": {"rows": 3}, "note": "<img src=x onerror=alert(1)>"}
    feed.send([{"message": json.dumps(record)}])
    page.open("#/logs")
    page.one(".row .message").click()
    assert page.one(".detail pre").get_property("textContent") == json.dumps(record, indent=2)
    assert page.all(".lines img") == []


def test_levels_narrow_the_lines_and_are_in_the_address(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 100))
    page.open("#/logs")
    page.until_count("100 lines")
    next(button for button in page.all(".levels button") if button.text == "error").click()
    page.until_count("10 lines")
    assert query(page) == {"level": ["error"]}
    assert {row.get_attribute("class") for row in page.all(".lines .row")} == {"row error"}
    page.driver.back()
    page.until_count("100 lines")


def test_dragging_over_the_histogram_zooms(page: Page, feed: Feed) -> None:
    now = time.time_ns()
    feed.send([{"ts": now - ago * 10**9, "message": f"{ago} s ago"} for ago in range(800, 0, -1)])
    page.open("#/logs")
    page.until(lambda: len(page.all(".histogram rect")) > 50, "no bars")
    chart = page.one(".histogram svg")
    width = chart.size["width"]

    drag = ActionChains(page.driver).move_to_element_with_offset(chart, -width // 4, 0).click_and_hold()
    drag.move_by_offset(width // 4, 0).release().perform()

    page.until(lambda: "start" in query(page), "the address has no start")
    # A quarter of the 15 minutes that were shown: from a quarter to the half.
    page.until(lambda: 215 <= int(page.count.split(" ")[0].replace("searching…", "0")) <= 235, "not a quarter")
    ages = [int(message.split(" ")[0]) for message in page.read_all()["messages"]]
    assert ages == list(range(ages[0], ages[-1] - 1, -1))
    assert 435 <= ages[-1] <= 465


def test_a_link_restores_the_whole_view(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 400))
    page.open("#/logs?pod=iris-default-0-00003&text=LINE+1&ignoreCase=1&level=info&level=error&since=1h&wrap=1")
    page.until_count("11 lines")
    assert page.one("input[name=pod]").get_property("value") == "iris-default-0-00003"
    assert page.one("input[type=search]").get_property("value") == "LINE 1"
    pressed = [one.text for one in page.all("[aria-pressed=true]")]
    assert pressed == ["error", "info", "Aa", "Wrap"]
    before = page.messages()
    assert all("file 3 line 1" in message for message in before)
    page.driver.refresh()
    page.until_count("11 lines")
    assert page.messages() == before


def test_a_line_s_link_shows_it_among_the_lines_of_its_file(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 4000))
    page.open("#/logs?text=file+5+line+250")
    page.one(".row .message").click()
    next(button for button in page.all(".detail button") if button.text == "Lines around it").click()
    page.until_count("201 lines of the same file")
    assert page.one(".row.here .message").text == "file 5 line 250"
    assert page.read_all()["messages"] == [f"file 5 line {number}" for number in range(150, 351)]
    page.driver.refresh()
    assert page.one(".row.here .message").text == "file 5 line 250"


@pytest.mark.slow
def test_older_lines_come_while_scrolling_up_and_few_rows_exist(page: Page, feed: Feed) -> None:
    total = 10_500
    for start in range(0, total, 3500):
        feed.send(numbered(start, 3500))
    page.open("#/logs")
    page.until_count("500 lines, older ones exist")
    top = "document.querySelector('.lines').scrollTop"
    for _ in range(total // 500 - 1):
        before = page.count
        page.run(f"{top} = 0")
        page.until(lambda before=before: page.count != before, "no older lines came")
        assert page.run(f"return {top}") > 5000, "what was being read jumped away"
    assert page.count == "10.5k lines"
    read = page.read_all()
    assert read["messages"] == [line["message"] for line in numbered(0, total)]
    assert read["most"] < ROWS_MAX


def test_the_keyboard_is_enough(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 100))
    page.open("#/logs")
    page.until_count("100 lines")
    selected = ".row[aria-selected=true] .message"
    page.press("g", "j", "j", "k")
    assert page.one(selected).text == "file 1 line 0"
    active = "document.getElementById(document.querySelector('.lines').getAttribute('aria-activedescendant'))"
    assert page.run(f"return {active}.querySelector('.message').textContent") == "file 1 line 0"
    page.press(Keys.ENTER)
    assert page.one(".detail pre").text == "file 1 line 0"
    page.press(Keys.ENTER)
    page.until(lambda: not page.all(".detail"), "Enter did not close the line")
    page.press("G")
    assert page.one(selected).text == "file 3 line 12"
    page.press(Keys.ENTER)
    end = "document.querySelector('.lines').getBoundingClientRect().bottom"
    below = page.run(f"return document.querySelector('.detail').getBoundingClientRect().bottom - {end}")
    assert below <= 0, "what was opened at the end is out of sight"
    page.press(Keys.ENTER)
    page.press("/")
    page.driver.switch_to.active_element.send_keys("file 7 line 3", Keys.ENTER)
    page.until_count("1 lines")
    page.press(Keys.ESCAPE, "?")
    assert page.one("dialog#help[open]")
    page.press(Keys.ESCAPE)
    theme = page.run("return document.documentElement.dataset.theme")
    page.press("t")
    assert page.run("return document.documentElement.dataset.theme") != theme


def test_a_wrong_expression_says_so_and_the_next_search_works(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 20))
    page.open("#/logs?mode=regex&text=(")
    assert "regex" in page.one(".lines .failure").text
    box = page.one("input[type=search]")
    box.clear()
    box.send_keys("file [12] line", Keys.ENTER)
    page.until_count("6 lines")
    assert page.all(".failure") == []


def test_the_models_that_printed_are_listed_and_lead_to_their_logs(page: Page, feed: Feed, server: ApiServer) -> None:
    feed.send([*numbered(0, 30), {"message": "hello", "model": "ranker", "namespace": "search"}], server)
    page.open("")
    page.until(lambda: len(page.all("tbody tr")) == 2, "not two models")
    assert [row.text for row in page.all("tbody tr")] == ["iris\nmodels\n30 3", "ranker\nsearch\n1 0"]
    assert len(page.all("tbody tr .spark")) == 2
    page.all("tbody tr a")[1].click()
    page.until_count("1 lines")
    assert page.hash.startswith("#/models/search/ranker")
    assert page.messages() == ["hello"]
