"""The live tail in a real Chromium: nothing lost, nothing twice, in order, across a restart of the server."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from logserver.engines.embedded import EmbeddedStore
from tests.logserver.api_server import ApiServer
from tests.logserver.rows import stored_batch
from tests.ui.browser import Page
from tests.ui.served import Feed, numbered, served

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RATE = 2_000
BATCH = 400
SECONDS = 6
ROWS_MAX = 120


def by_file(messages: list[str]) -> dict[int, list[int]]:
    """Return the line numbers of each file in the order shown; the messages are those of `numbered`."""
    files: dict[int, list[int]] = defaultdict(list)
    for message in messages:
        found = re.fullmatch(r"file (\d+) line (\d+)", message)
        assert found, message
        files[int(found[1])].append(int(found[2]))
    return files


def shown(page: Page) -> int:
    """How many lines the page says it has, as exact as it says it."""
    number = page.count.partition(": ")[2].split(" ")[0]
    return round(float(number[:-1]) * 1000) if number.endswith("k") else int(number or 0)


def test_two_thousand_lines_a_second_arrive_exactly(
    page: Page, feed: Feed, server: ApiServer, record_property: Callable[[str, object], None]
) -> None:
    # Stored beforehand, so that the rate is that of the tail and not of this machine's disk.
    lines = feed.store(numbered(0, RATE * SECONDS)).lines
    batches = [stored_batch(lines.slice(start, BATCH)) for start in range(0, RATE * SECONDS, BATCH)]
    page.open("#/logs?live=1")
    page.until_count("live: 0 lines")
    begun = time.monotonic()
    for number, batch in enumerate(batches):
        time.sleep(max(0.0, begun + number * BATCH / RATE - time.monotonic()))
        server.hub.on_stored(batch)
    spent = time.monotonic() - begun
    page.until(lambda: shown(page) == RATE * SECONDS, "not all lines arrived", seconds=60)
    record_property("lines_per_second", round(RATE * SECONDS / spent))  # a slow machine sends them slower
    assert "line 1499" in page.messages()[-1], "the list did not stay at its end"

    read = page.read_all()

    per_file = RATE * SECONDS // 8
    assert by_file(read["messages"]) == {file: list(range(per_file)) for file in range(8)}
    assert len(read["ids"]) == len(set(read["ids"])) == RATE * SECONDS
    assert read["most"] < ROWS_MAX
    assert page.one(".notice").text == ""


def test_signs_of_life_do_not_break_the_connection(page: Page, feed: Feed, server: ApiServer) -> None:
    feed.send(numbered(0, 8), server)
    page.open("#/logs?live=1")
    page.until_count("live: 8 lines")
    page.run(
        "const count = document.querySelector('.bar span'); window.said = [];"
        "new MutationObserver(() => window.said.push(count.textContent)).observe(count, {childList: true})"
    )
    time.sleep(2.5)  # the server says that it lives every half second
    feed.send(numbered(8, 8), server)
    page.until_count("live: 16 lines")
    assert not [words for words in page.run("return window.said") if not words.startswith("live")]


def test_pausing_holds_lines_back_and_scrolling_up_holds_the_place(page: Page, feed: Feed, server: ApiServer) -> None:
    feed.send(numbered(0, 160), server)
    page.open("#/logs?live=1")
    page.until_count("live: 160 lines")
    page.press(" ")
    feed.send(numbered(160, 80), server)
    page.until_count("160 lines, 80 waiting")
    page.press(" ")
    page.until_count("live: 240 lines")
    page.until(lambda: page.messages()[-1:] == ["file 7 line 29"], "it did not go on at the end")

    page.run("document.querySelector('.lines').scrollTop = 400")
    page.until(lambda: "file 4 line 2" in page.messages(), "it did not scroll")
    feed.send(numbered(240, 800), server)
    page.until_count("live: 1040 lines")
    assert page.run("return document.querySelector('.lines').scrollTop") == 400
    page.press("G")
    feed.send(numbered(1040, 8), server)
    page.until(lambda: page.messages()[-1:] == ["file 7 line 130"], "it does not follow the end again")


def test_a_filter_holds_for_what_arrives(page: Page, feed: Feed, server: ApiServer) -> None:
    page.open("#/logs?live=1&level=error&pod=*-00002")
    page.until_count("live: 0 lines")
    feed.send(numbered(0, 400), server)
    page.until_count("live: 10 lines")
    assert by_file(page.messages()) == {2: list(range(1, 50, 5))}


def test_a_restart_of_the_server_loses_and_repeats_nothing(
    driver: WebDriver, lines_store: EmbeddedStore, feed: Feed
) -> None:
    feed.send(numbered(0, 80))
    with served(lines_store) as first:
        page = Page(driver, first.url)
        page.open("#/logs?live=1")
        page.until_count("live: 80 lines")
        feed.send(numbered(80, 400), first)
        page.until_count("live: 480 lines")
    page.until_count("reconnecting: 480 lines")
    feed.send(numbered(480, 3200))  # stored while no server answers
    with served(lines_store, port=int(first.url.rpartition(":")[2])) as second:
        page.until_count("live: 3680 lines")
        feed.send(numbered(3680, 320), second)
        page.until_count("live: 4000 lines")
        read = page.read_all()
        driver.get("about:blank")
    assert by_file(read["messages"]) == {file: list(range(500)) for file in range(8)}
    assert len(read["messages"]) == 4000
