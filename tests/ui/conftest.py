"""One browser for the run, one log-server on an emptied store for each test."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from logserver.engines.embedded import EmbeddedStore
from tests.conftest import need
from tests.logserver.api_server import ApiServer
from tests.parts.axe import axe_script
from tests.parts.chromium import Chromium
from tests.ui.browser import Page, driving
from tests.ui.served import Feed, served


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save what the browser showed when a test failed, and say where."""
    report = yield
    given = getattr(item, "funcargs", {})
    if report.when == "call" and report.failed and "driver" in given:
        picture = Path(given["driver"].profile) / f"{item.name}.png"
        given["driver"].save_screenshot(str(picture))
        report.sections.append(("browser", f"the page is in {picture}"))
    return report


@pytest.fixture(scope="session")
def driver(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """A running Chromium."""
    profile = tmp_path_factory.mktemp("profile")
    with driving(chromium, profile) as started:
        started.profile = profile  # type: ignore[attr-defined]
        yield started


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which checks a page it is run in."""
    return need(axe_script)


@pytest.fixture
def feed(lines_store: EmbeddedStore) -> Feed:
    """Where lines come from."""
    return Feed(lines_store)


@pytest.fixture
def server(lines_store: EmbeddedStore) -> Iterator[ApiServer]:
    """A log-server with its web UI over the emptied store."""
    with served(lines_store) as running:
        yield running


@pytest.fixture
def page(driver: WebDriver, server: ApiServer) -> Iterator[Page]:
    """The web UI of that server; fails the test when the page threw an error."""
    shown = Page(driver, server.url)
    shown.errors()
    yield shown
    driver.get("about:blank")
    assert shown.errors() == []
