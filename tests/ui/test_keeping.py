"""What is kept, left out, dropped, copied and downloaded, in a real Chromium: nothing goes missing in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.keys import Keys

from logserver.engines.embedded import EmbeddedStore
from logserver.query_settings import QuerySettings
from logserver.webui import UiSettings
from milepost.units import Bytes
from tests.logserver.api_server import ApiServer
from tests.ui.browser import Page
from tests.ui.served import Feed, numbered, served
from tests.ui.test_live_tail import by_file

pytestmark = pytest.mark.browser

KEPT = 1_000


@pytest.fixture
def small(driver: WebDriver, lines_store: EmbeddedStore) -> Iterator[tuple[Page, ApiServer]]:
    """A page that keeps a thousand lines, at a server that holds 200 for a slow one."""
    with served(lines_store, ui=UiSettings(lines_max=KEPT), tail_lines_max=200) as server:
        yield Page(driver, server.url), server
        driver.get("about:blank")


def notice(page: Page) -> str:
    return str(page.run("return document.querySelector('.bar .notice').textContent"))


def button(page: Page, words: str) -> None:
    page.run("[...document.querySelectorAll('button')].find((one) => one.textContent === arguments[0]).click()", words)


def test_a_live_tail_keeps_the_newest_lines_and_says_how_many_it_left_out(
    page: Page, feed: Feed, small: tuple[Page, ApiServer]
) -> None:
    page, server = small
    page.open("#/logs?live=1")
    page.until_count("live: 0 lines")
    for start in range(0, 1_200, 80):  # fewer at a time than the server holds
        feed.send(numbered(start, 80), server)
        page.until(
            lambda start=start: shown_lines(page) == min(KEPT, start + 80), f"the lines from {start} are missing"
        )
    told = "200 older ones left out: a page keeps 1,000 lines"
    page.until(lambda: notice(page) == told, "what was left out is not told")
    assert by_file(page.read_all()["messages"]) == {file: list(range(25, 150)) for file in range(8)}


def shown_lines(page: Page) -> int:
    return int(page.run("return document.querySelector('.lines').scrollHeight") / 20)


def test_a_search_stops_at_the_lines_a_page_keeps_and_says_what_to_do(
    feed: Feed, small: tuple[Page, ApiServer]
) -> None:
    page, _ = small
    feed.send(numbered(0, 1_300))
    page.open("#/logs")
    page.until_count("500 lines, older ones exist")
    button(page, "Older lines")
    page.until_count("1000 lines, older ones exist")
    assert notice(page) == "a page keeps 1,000 lines: narrow the range for older ones, or download"
    page.run("document.querySelector('.lines').scrollTop = 0")
    assert page.read_all()["messages"] == [line["message"] for line in numbered(300, KEPT)]


def test_a_live_page_says_when_older_lines_are_missing(
    driver: WebDriver, lines_store: EmbeddedStore, feed: Feed
) -> None:
    feed.send([{**line, "message": line["message"].ljust(2**20, ".")} for line in numbered(0, 12)])
    with served(lines_store, query=QuerySettings(running_max=3, memory_max=Bytes(32 * 2**20))) as server:
        page = Page(driver, server.url)
        page.open("#/logs?live=1")
        page.until_count("live: 6 lines")
        page.until(lambda: "there may be older lines: the memory limit" in notice(page), "it did not say so")
        driver.get("about:blank")


def test_lines_dropped_for_a_slow_page_are_told_in_their_place_and_can_be_fetched(
    driver: WebDriver, lines_store: EmbeddedStore, feed: Feed
) -> None:
    with served(lines_store, tail_lines_max=200) as server:
        page = Page(driver, server.url)
        page.open("#/logs?live=1")
        page.until_count("live: 0 lines")
        feed.send(numbered(0, 80), server)
        page.until_count("live: 80 lines")
        # Chunks have 500 lines: the first one goes through an empty queue, the others find it full.
        feed.send(numbered(80, 1_600), server)
        page.until(lambda: notice(page).endswith(" lines dropped"), "nothing was dropped")
        feed.send(numbered(1_680, 8), server)
        page.until(lambda: page.messages()[-1:] == ["file 7 line 210"], "the tail did not go on")
        page.press("G", "k")
        while left := len(page.all(".row.gap button")):
            page.one(".row.gap button").click()
            page.until(lambda left=left: len(page.all(".row.gap button")) < left, "the lines were not fetched")
        page.until_count("live: 1688 lines")
        assert notice(page) == ""
        page.press(Keys.ENTER)
        assert page.one(".row[aria-selected=true] pre").text == "file 6 line 210", "another line is selected now"
        assert by_file(page.read_all()["messages"]) == {file: list(range(211)) for file in range(8)}
        driver.get("about:blank")


def test_what_is_filtered_is_downloaded_whole(page: Page, feed: Feed, tmp_path: Path) -> None:
    feed.send(numbered(0, 1_600))
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.open("#/logs?pod=*-00003")
    page.until_count("200 lines")
    page.one("a.download").click()
    saved = tmp_path / "milepost.ndjson"
    page.until(lambda: saved.exists() and '"complete":true' in saved.read_text(), "nothing whole was saved")
    lines = [json.loads(line) for line in saved.read_text().splitlines()]
    assert [line["message"] for line in lines[:-1]] == [f"file 3 line {number}" for number in range(200)]
    assert lines[-1] == {"milepost": {"lines": 200, "complete": True}}


def test_a_copied_link_shows_the_same_lines_when_newer_ones_have_come(page: Page, feed: Feed) -> None:
    permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    page.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": permissions, "origin": page.url})
    feed.send(numbered(0, 40))
    page.open("#/logs?level=error&since=5m")
    page.until_count("4 lines")
    page.until(lambda: page.all(".histogram svg"), "no histogram")
    before = page.messages()
    button(page, "Copy link")
    page.until(lambda: notice(page) == "link copied", "nothing was copied")
    read = "const done = arguments[0]; navigator.clipboard.readText().then(done, (error) => done(String(error)))"
    link = page.driver.execute_async_script(read)
    assert link.startswith(f"{page.url}/ui/#/logs?")
    later = feed.store(numbered(40, 40)).lines
    assert later.num_rows == 40
    page.open(link.removeprefix(f"{page.url}/ui/"))
    page.until_count("4 lines")
    assert page.messages() == before


def test_where_the_browser_has_no_clipboard_the_page_copies_or_shows_the_link(page: Page, feed: Feed) -> None:
    feed.send(numbered(0, 8))
    page.open("#/logs")
    page.until_count("8 lines")
    page.run("Object.defineProperty(navigator, 'clipboard', { value: undefined }); document.execCommand = () => false")
    button(page, "Copy link")
    page.until(lambda: notice(page).startswith(f"copy this link: {page.url}/ui/#/logs?"), "the link is not shown")


def test_suggestions_come_from_what_the_other_filters_leave(page: Page, feed: Feed) -> None:
    feed.send([*numbered(0, 16), {"message": "x", "namespace": "search", "pod": "ranker-0"}])
    page.open("#/logs?namespace=models")
    page.until_count("16 lines")
    pod = page.one("input[name=pod]")
    pod.send_keys("!iris-default-0-00001,iris-default-0-0000")
    values = "return [...document.querySelectorAll('#values-pod option')].map((one) => one.value)"
    expected = {f"!iris-default-0-00001,iris-default-0-0000{number}" for number in range(8)}
    page.until(lambda: set(page.run(values)) == expected, "other values are suggested")
