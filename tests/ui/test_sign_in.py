"""A server that wants a token, in a real Chromium: the question for it, a wrong one, a good one, a narrow one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.keys import Keys

from logserver.engines.embedded import EmbeddedStore
from milepost.auth import TokenFile
from tests.ui.browser import Page
from tests.ui.served import Feed, numbered, served

pytestmark = pytest.mark.browser

READER = "a-token-of-a-reader"
NARROW = "a-token-of-one-namespace"


@pytest.fixture
def guarded(driver: WebDriver, lines_store: EmbeddedStore, feed: Feed, tmp_path: Path) -> Iterator[Page]:
    """The page of a server that asks for a token, with 30 lines in `models` and 5 in `secret`."""
    feed.send([*numbered(0, 30), *({"message": "hidden", "namespace": "secret"} for _ in range(5))])
    tokens = tmp_path / "tokens.yaml"
    allowed = {READER: "*", NARROW: "models"}
    entries = [
        {
            "name": f"reader of {namespace}",
            "sha256": hashlib.sha256(token.encode()).hexdigest(),
            "allow": [{"verbs": ["get"], "resources": ["pods/log"], "namespaces": [namespace]}],
        }
        for token, namespace in allowed.items()
    ]
    tokens.write_text(json.dumps({"tokens": entries}))  # JSON is YAML
    with served(lines_store, authorizer=TokenFile(tokens)) as server:
        page = Page(driver, server.url)
        page.open("#/logs")
        yield page
        page.run("sessionStorage.clear()")
        driver.get("about:blank")


def give(page: Page, token: str) -> None:
    page.one("dialog#sign-in[open]")
    page.one("#token").send_keys(token, Keys.ENTER)


def test_a_wrong_token_is_asked_for_again_and_a_good_one_works(guarded: Page) -> None:
    guarded.one("dialog#sign-in[open]")
    assert guarded.one("#sign-in-why").text
    give(guarded, "not-a-token")
    guarded.until(lambda: guarded.one("#token").get_property("value") == "", "the token was left in the page")
    give(guarded, READER)
    guarded.until_count("35 lines")
    assert guarded.all("dialog#sign-in[open]") == []
    guarded.press("l")
    guarded.until_count("live: 35 lines")
    assert READER not in guarded.driver.page_source
    assert READER not in guarded.driver.current_url
    guarded.driver.refresh()
    guarded.until_count("live: 35 lines")


def test_without_a_token_the_page_says_why_and_does_not_ask_for_ever(guarded: Page) -> None:
    guarded.one("dialog#sign-in[open]")
    guarded.press(Keys.ESCAPE)
    guarded.until(lambda: not guarded.all("dialog#sign-in[open]"), "the dialog does not close")
    assert guarded.one(".lines .failure").text
    guarded.run("document.dispatchEvent(new CustomEvent('sign-in', {detail: 'a request that was under way'}))")
    assert not guarded.all("dialog#sign-in[open]"), "who declined is asked again"
    guarded.open("#/models")
    guarded.one("dialog#sign-in[open]")


def test_what_a_token_may_not_read_is_named(guarded: Page) -> None:
    give(guarded, NARROW)
    guarded.until_count("30 lines")
    assert guarded.one(".bar .notice").text == "not allowed: secret"
    guarded.press("l")
    guarded.until_count("live: 30 lines")
    assert guarded.one(".bar .notice").text == "not allowed: secret"
