"""What the reader arranges, in a real Chromium: columns, sorting and filters; all of it is in the address."""

from __future__ import annotations

import time

import pytest
from selenium.webdriver.common.keys import Keys

from tests.logserver.api_server import ApiServer
from tests.ui.browser import Page
from tests.ui.served import Feed, numbered

pytestmark = pytest.mark.browser

CELLS = "return [...document.querySelector('.lines .row').children].map((one) => one.className)"
FOCUSED = "return document.activeElement.value ?? document.activeElement.textContent"
# Says how many rows there are behind each of ten frames while the list becomes narrower; a task set up in a frame runs
# once it is painted.
ROWS_PAINTED = """
const done = arguments[0], view = document.querySelector('.lines'), seen = [];
const frame = () => {
  view.style.maxWidth = `${800 - seen.length}px`;
  setTimeout(() => {
    seen.push(document.querySelectorAll('.lines .row').length);
    if (seen.length < 10) requestAnimationFrame(frame); else done(seen);
  });
};
requestAnimationFrame(frame);
"""
# Whether rows come in the order in which they are shown.
IN_ORDER = """
const tops = [...document.querySelectorAll('.lines .row')].map((one) => parseFloat(one.style.top));
return tops.every((top, index) => index === 0 || tops[index - 1] < top);
"""
NAMES = "return [...document.querySelectorAll('tbody a')].map((one) => one.textContent)"


def cells(page: Page) -> list[str]:
    return list(page.run(CELLS))


def press_button(page: Page, words: str) -> None:
    page.run("[...document.querySelectorAll('button')].find((one) => one.textContent === arguments[0]).click()", words)


def type_time(page: Page, name: str, at_s: int) -> None:
    """Fill in a field of the question for a range, in the browser's own time zone."""
    page.run(
        "const [name, ms] = arguments, input = document.querySelector(`#range input[name=${name}]`);"
        "input.value = new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 19);"
        "input.dispatchEvent(new Event('input', { bubbles: true }))",
        name, at_s * 1000,
    )  # fmt: skip


def test_columns_are_chosen_by_the_keyboard_and_kept_in_the_address(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 8))
    page.open("#/logs")
    page.until_count("8 lines")
    assert cells(page) == ["time", "level", "pod", "message"]
    page.run("document.querySelector('.menu summary').focus()")
    page.press(Keys.ENTER, Keys.TAB)
    assert page.run(FOCUSED) == "time"
    page.press(Keys.SPACE)
    page.run("document.querySelector('.menu input[value=container]').focus()")
    page.press(Keys.SPACE)
    page.until(lambda: cells(page) == ["level", "pod", "container", "message"], "the columns are not those chosen")
    assert "columns=level%2Cpod%2Ccontainer" in page.hash
    page.press(Keys.ESCAPE)
    assert page.run(FOCUSED) == "Columns"
    assert page.all(".menu[open]") == []
    page.driver.refresh()
    page.until_count("8 lines")
    assert cells(page) == ["level", "pod", "container", "message"]


def test_no_column_leaves_the_message_and_an_unknown_one_is_left_out(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 8))
    page.open("#/logs?columns=")
    page.until_count("8 lines")
    assert cells(page) == ["message"]
    page.open("#/logs?columns=node,nonsense,time")
    page.until_count("8 lines")
    assert cells(page) == ["time", "node", "message"]


def test_a_list_that_changes_its_width_is_never_painted_without_its_lines(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 8))
    page.open("#/logs")
    page.until_count("8 lines")
    assert page.driver.execute_async_script(ROWS_PAINTED) == [8] * 10


def test_text_stays_selected_while_the_list_changes_its_size_and_lines_arrive(
    page: Page, feed: Feed, server: ApiServer
) -> None:
    feed.send(numbered(0, 8))
    page.open("#/logs?live=1")
    page.until_count("live: 8 lines")
    message = page.one(".lines .row .message")
    page.run("getSelection().selectAllChildren(arguments[0])", message)
    page.run("document.querySelector('.lines').style.maxWidth = '700px'")
    width = "return document.querySelector('.lines').clientWidth"
    page.until(lambda: page.run(width) <= 700, "it is as wide as before")
    feed.send(numbered(8, 8), server)
    page.until_count("live: 16 lines")
    assert page.run("return getSelection().toString()") == message.text


def test_rows_come_in_the_order_of_their_lines_wherever_the_reader_scrolled(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 400))
    page.open("#/logs")
    page.until_count("400 lines")
    page.press("g", *"jjj", "G", *"kkk")
    page.run("document.querySelector('.lines').scrollTop -= 300")
    page.until_count("400 lines")
    assert page.run(IN_ORDER)


def test_a_long_name_keeps_the_end_that_tells_replicas_apart(page: Page, feed: Feed) -> None:
    pod = "a-classifier-of-rather-many-documents-default-0-classifier-6c9f7d8b54-x2m7k"
    feed.send([{"message": "hello", "pod": pod}])
    page.open("#/logs")
    page.until_count("1 lines")
    edges = page.run(
        "return ['.row .pod', '.row .end'].map((one) => document.querySelector(one).getBoundingClientRect().right)"
    )
    assert edges[1] <= edges[0] + 1
    assert page.one(".row .end").text.startswith("-x2m7k")
    assert page.run("return document.querySelector('.row .pod').textContent.startsWith(arguments[0])", pod)


def test_where_nothing_is_found_a_longer_range_and_fewer_filters_are_one_press_away(page: Page, feed: Feed) -> None:
    feed.send([{**line, "ts": time.time_ns() - 3 * 3600 * 10**9} for line in numbered(0, 8)])
    page.open("#/logs?level=fatal&text=nothing&wrap=1")
    page.one(".lines .empty")
    page.run("document.querySelector('.lines').style.maxHeight = '200px'")
    height = "return document.querySelector('.lines').clientHeight"
    page.until(lambda: page.run(height) == 200, "it is as high as before")
    assert page.one(".lines .empty").text.startswith("No line in this range has all of these."), "it is wiped away"
    press_button(page, "Search the last 24h")
    page.until(lambda: "since=24h" in page.hash, "the range is the old one")
    page.one(".lines .empty")
    press_button(page, "Drop the filters")
    page.until_count("8 lines")
    assert page.hash == "#/logs?since=24h&wrap=1"
    assert page.one("input[type=search]").get_property("value") == ""
    assert page.all(".levels [aria-pressed=true]") == []


def test_an_exact_range_is_asked_for_in_the_readers_clock(page: Page, feed: Feed) -> None:
    now = time.time_ns() // 10**9
    feed.send([{"ts": (now - ago) * 10**9, "message": f"{ago} s ago"} for ago in range(600, 0, -10)])
    page.open("#/logs?text=ago")
    page.until_count("60 lines")
    choose = "const range = document.querySelector('select[aria-label=\"Time range\"]'); range.value = 'other';"
    page.run(f"{choose} range.dispatchEvent(new Event('change'))")
    page.one("dialog#range[open]")
    assert page.run("return document.activeElement.name") == "from"
    type_time(page, "from", now - 305)
    type_time(page, "to", now - 405)
    page.one("#range button.primary").click()
    assert page.all("dialog#range[open]"), "a range that ends before it begins is taken"
    type_time(page, "to", now - 205)
    page.one("#range button.primary").click()
    page.until_count("10 lines")
    assert page.read_all()["messages"] == [f"{ago} s ago" for ago in range(300, 205, -10)]


def test_a_live_tail_without_lines_says_that_it_waits(page: Page, feed: Feed, server: ApiServer) -> None:
    page.open("#/logs?live=1")
    page.until_count("live: 0 lines")
    assert page.one(".lines .empty").text == "Waiting for lines…"
    feed.send(numbered(0, 8), server)
    page.until_count("live: 8 lines")
    assert page.all(".lines .empty") == []


def test_the_models_filter_and_order_are_in_the_address(page: Page, feed: Feed) -> None:
    feed.send([
        {"message": str(number), "namespace": space, "model": model}
        for space, model, lines in (("search", "ranker", 3), ("search", "rank-old", 1), ("risk", "fraud", 2))
        for number in range(lines)
    ])  # fmt: skip
    page.open("#/models")
    page.until(lambda: page.run(NAMES) == ["fraud", "rank-old", "ranker"], "not by name")
    press_button(page, "Lines in 24 h")
    assert page.run(NAMES) == ["ranker", "fraud", "rank-old"]
    page.press("/")
    page.press("rank")
    assert page.run(NAMES) == ["ranker", "rank-old"]
    assert page.one("h1 [role=status]").text == "2 of 3 models"
    page.driver.refresh()
    page.until(lambda: page.run(NAMES) == ["ranker", "rank-old"], "the order is forgotten")
    assert page.all("th[aria-sort=descending]")[0].text.startswith("Lines in 24 h")
    page.one("input[type=search]").send_keys("nothing")
    assert page.one(".page > .empty").text == "No model has this in its name."


def test_a_models_name_stays_selected_when_the_table_is_drawn_anew(page: Page, feed: Feed) -> None:
    feed.send([{"message": "hello", "model": name} for name in ("iris", "ranker")])
    page.open("#/models")
    page.until(lambda: page.run(NAMES) == ["iris", "ranker"], "not two models")
    page.run("getSelection().selectAllChildren(document.querySelectorAll('tbody a')[1])")
    box = "document.querySelector('input[type=search]')"
    page.run(f"{box}.value = 'ran'; {box}.dispatchEvent(new Event('input'))")
    page.until(lambda: page.run(NAMES) == ["ranker"], "the filter left others")
    assert page.run("return getSelection().toString()") == "ranker"


def test_models_of_many_namespaces_are_all_listed(page: Page, feed: Feed) -> None:
    feed.send([{"message": "x", "namespace": f"team-{number:03}", "model": "m"} for number in range(110)])
    page.open("#/models")
    page.until(lambda: len(page.all("tbody tr")) == 110, "not one of each namespace")
    assert page.one("h1 [role=status]").text == "110 models"
    assert page.all(".page .notice") == []
