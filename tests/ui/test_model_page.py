"""A model's page in a real Chromium, with the exporter and the platform behind it as processes on a real API server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.keys import Keys

from logserver.engines.embedded import EmbeddedStore
from logserver.webui import UiSettings
from milepost.auth import TokenFile
from tests.parts.kubernetes import ControlPlane
from tests.ui.browser import Page
from tests.ui.neighbours import MODEL, Neighbours, neighbours
from tests.ui.served import Feed, served
from tests.ui.test_accessibility import violations

pytestmark = [pytest.mark.browser, pytest.mark.cluster, pytest.mark.slow]

UNKNOWN = "\u2013"
FIGURES = ["Requests/s", "Errors", "p95 latency", "CPU cores", "Memory", "GPU cards used"]


@pytest.fixture(scope="module")
def around(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    """The exporter, the platform and a model of two replicas."""
    with neighbours(cluster, tmp_path_factory.mktemp("neighbours")) as running:
        yield running


@pytest.fixture
def page(
    driver: WebDriver, lines_store: EmbeddedStore, feed: Feed, around: Neighbours, tmp_path: Path
) -> Iterator[Page]:
    """The web UI with both neighbours, signed in as the owner, with lines of the model's pods."""
    feed.send([
        {"namespace": around.namespace, "model": MODEL, "pod": pod, "message": f"line {number} of {pod}",
         "level": "error" if number % 5 == 0 else "info", "file_id": place, "file_path": f"/var/log/{pod}.log"}
        for place, pod in enumerate(around.pods()) for number in range(20)
    ])  # fmt: skip
    allow = [{"verbs": ["get"], "resources": ["pods/log"], "namespaces": [around.namespace]}]
    tokens = tmp_path / "tokens.yaml"
    entries = [{"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "allow": allow}
               for name, token in (("owner", around.owner), ("reader", around.reader))]  # fmt: skip
    tokens.write_text(json.dumps({"tokens": entries}))  # JSON is YAML
    ui = UiSettings(exporter_url=around.exporter_url, platform_url=around.platform_url)
    with served(lines_store, authorizer=TokenFile(tokens), ui=ui) as server:
        shown = Page(driver, server.url)
        sign_in(shown, around.owner)
        shown.errors()
        yield shown
        shown.run("sessionStorage.clear()")
        driver.get("about:blank")


def sign_in(page: Page, token: str) -> None:
    page.driver.get("about:blank")
    page.driver.get(f"{page.url}/ui/icon.svg")
    page.run("sessionStorage.setItem('milepost-token', arguments[0])", token)


def figure(page: Page, title: str) -> str:
    return str(page.run("return document.querySelector(`[data-figure='${arguments[0]}'] strong`)?.textContent", title))


def verbs(page: Page) -> list[str]:
    """What is offered; read in one go, since the page draws it anew while it is looked at."""
    return list(page.run("return [...document.querySelectorAll('.verbs button')].map((one) => one.dataset.verb)"))


def texts(page: Page, selector: str) -> list[str]:
    return list(page.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector))


def open_model(page: Page, around: Neighbours) -> None:
    page.open(f"#/models/{around.namespace}/{MODEL}")
    page.until(lambda: verbs(page), "the platform's controls are missing")
    page.until(lambda: page.count.endswith("0 lines"), "the lines are missing")


def press_verb(page: Page, verb: str) -> None:
    page.run("document.querySelector(`[data-verb='${arguments[0]}']`).focus()", verb)
    page.press(Keys.ENTER)
    page.one("dialog#confirm[open]")


def done(page: Page) -> None:
    page.until(lambda: texts(page, ".progress .state"), "the job did not end", seconds=120)
    assert texts(page, ".progress .state")[0].endswith(" done")


def test_logs_and_figures_share_one_time_axis(page: Page, around: Neighbours) -> None:
    open_model(page, around)
    page.until_count("40 lines")
    page.until(lambda: all(page.all(f"[data-figure='{title}'] path") for title in FIGURES), "a chart is empty")
    page.until(lambda: float(figure(page, "Requests/s")) > 20, "no requests")
    page.until(lambda: 0 < float(figure(page, "Errors").split(" ")[0]) < 20, "no errors")
    assert figure(page, "CPU cores") != UNKNOWN
    assert figure(page, "Memory").endswith("GiB")
    assert figure(page, "GPU cards used") not in (UNKNOWN, "0")
    page.until(lambda: texts(page, "h1 .state") == ["Available"], "the model's state is not told")
    assert texts(page, "h1 .muted") == [around.namespace, "version 1"]
    # One axis: the plots begin and end at the same pixels, and the cursor is at one time on all of them.
    edges = page.run(
        "return [...document.querySelectorAll('.plot')].map((one) => one.getBoundingClientRect())"
        ".map(({left, right}) => `${Math.round(left)} ${Math.round(right)}`)"
    )
    assert len(edges) == len(FIGURES) + 1
    assert len(set(edges)) == 1
    page.press("z", Keys.END, Keys.ARROW_LEFT)
    cursors = page.run("return [...document.querySelectorAll('.plot .cursor')].map((one) => one.style.left)")
    assert len(set(cursors)) == 1
    assert float(cursors[0].rstrip("%")) > 98


def test_the_list_of_models_shows_the_state_the_version_and_each_figure_with_its_chart(
    page: Page, around: Neighbours
) -> None:
    page.open("#/models")
    charts = "tbody .figure .spark"
    page.until(lambda: len(page.all(charts)) == len(FIGURES), "a chart is missing", seconds=120)
    page.until(lambda: texts(page, "tbody .state") == ["Available"], "the state is not told")
    assert len(page.all("tbody tr")) == 1, "an owner sees more than the own namespace"
    heads = [head.partition(" ")[0] for head in texts(page, "thead th")]
    told = dict(zip(heads, texts(page, "tbody tr > *"), strict=True))
    assert (told["Model"], told["State"]) == (f"{MODEL} {around.namespace}", "Available")
    assert (told["Version"], told["Replicas"]) == ("1revision 1", "default 2/2")
    assert float(told["Requests/s"]) > 20
    assert told["Errors"].endswith(" %")
    assert told["Memory"].endswith("GiB")
    assert float(told["GPU"]) > 0
    assert texts(page, "h1 [role=status]") == ["1 model, all serving"]
    page.run("document.querySelector('tbody a').click()")
    page.until(lambda: page.hash == f"#/models/{around.namespace}/{MODEL}", "the row does not lead to its page")


def test_rollouts_and_restarts_are_marked_and_lead_to_their_lines(page: Page, around: Neighbours) -> None:
    open_model(page, around)
    marks = "return [...document.querySelectorAll('.marks .mark')].map((one) => one.getAttribute('aria-label')).join()"
    page.until(lambda: f"apply by owner-{around.namespace}" in page.run(marks), "the first apply is not marked")
    press_verb(page, "restart")
    assert f"{around.namespace}/{MODEL}" in page.one("#confirm-title").text
    assert "Every pod" in page.one("#confirm-effect").text
    page.one("#confirm input[name=reason]").send_keys("memory grows")
    page.one("#confirm button[value=go]").click()
    done(page)
    page.until(lambda: "restart" in page.run(marks) and "memory grows" in page.run(marks), "the restart is not marked")
    page.run("[...document.querySelectorAll('.marks .mark')].at(-1).click()")
    page.until(lambda: "start=" in page.hash, "the mark does not lead to the lines around it")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_fault_with_figures_marks_and_a_question(
    page: Page, around: Neighbours, axe: str, theme: str
) -> None:
    page.run("localStorage.setItem('milepost-theme', arguments[0])", theme)
    open_model(page, around)
    page.until(lambda: page.all("[data-figure='Requests/s'] path") and page.all(".marks .mark"), "no figures or marks")
    assert violations(page, axe) == []
    press_verb(page, "scale")
    assert violations(page, axe) == []
    page.press(Keys.ESCAPE)
    page.open("#/models")
    page.until(lambda: page.all("tbody .spark"), "no charts in the list of models")
    assert violations(page, axe) == []
    page.run("localStorage.clear()")


def test_a_canary_is_paused_resumed_aborted_promoted_and_rolled_back_by_the_keyboard(
    page: Page, around: Neighbours
) -> None:
    around.start_canary("2")
    open_model(page, around)
    assert verbs(page) == ["resume", "promote", "abort", "rollback"]
    assert texts(page, ".track strong") == ["stable", "candidate"]

    press_verb(page, "abort")
    page.press(Keys.ESCAPE)
    page.until(lambda: not page.all("dialog#confirm"), "Escape does not close the question")
    assert page.all(".progress li") == []

    press_verb(page, "promote")
    assert "All requests go to revision 2" in page.one("#confirm-effect").text
    assert page.run("return document.activeElement.textContent") == "Cancel"
    page.press(Keys.TAB, Keys.TAB)
    page.run("document.querySelector('#confirm button[value=go]').focus()")
    page.press(Keys.ENTER)
    done(page)
    assert len(page.all(".progress li")) > 2
    page.until(lambda: texts(page, ".track strong") == ["stable"], "the old track is still there")

    page.until(lambda: "rollback" in verbs(page), "no rollback is offered")
    press_verb(page, "rollback")
    assert page.run("return document.activeElement.name") == "to"
    page.one("#confirm button[value=go]").click()
    done(page)
    page.until(lambda: "rollback by" in texts(page, ".tracks")[0], "the rollback is not told")


def test_scaling_asks_for_a_number_and_a_refusal_is_told(page: Page, around: Neighbours) -> None:
    open_model(page, around)
    for replicas in ("5000", "3"):
        press_verb(page, "scale")
        page.until(lambda: page.run("return document.activeElement.name") == "replicas", "the number has no focus")
        assert page.run("return document.activeElement.value") == "2"
        page.run("document.activeElement.select()")
        page.press(replicas, Keys.ENTER)
        assert page.run("return document.activeElement.textContent") == "Scale"
        page.press(Keys.ENTER)
        page.until(lambda: not page.all("dialog#confirm"), "the question stays open")
        if replicas == "5000":
            page.until(lambda: "was refused" in " ".join(texts(page, ".rollout .failure")), "the refusal is not told")
    done(page)
    page.until(lambda: "3/3 ready" in texts(page, ".tracks")[0], "the three replicas are not told")


def test_a_reader_sees_everything_and_may_press_nothing(page: Page, around: Neighbours) -> None:
    sign_in(page, around.reader)
    open_model(page, around)
    page.until(lambda: page.all("[data-figure='Requests/s'] path"), "the figures are missing")
    assert "restart" in verbs(page)
    reasons = page.run("return [...document.querySelectorAll('.verbs button')].map((one) => one.disabled && one.title)")
    assert all(reason and "may not" in reason for reason in reasons)


def test_why_a_model_does_not_serve_is_said(page: Page, around: Neighbours) -> None:
    around.crash(around.pods()[0])
    open_model(page, around)
    page.until(lambda: "132" in " ".join(texts(page, ".why")), "why says nothing of exit code 132")
    assert "AVX" in " ".join(texts(page, ".why"))
    page.open("#/models")
    page.until(lambda: "132" in " ".join(texts(page, "tbody .told .muted")), "the list of models says nothing of it")
