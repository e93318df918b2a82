"""The tour itself: a healthy model, its failure, and what the dashboards, the web UI and a pager show of it.

While the alert waits for its two minutes, everything else is looked at, so that the tour takes hardly longer than they.
"""

from __future__ import annotations

import asyncio
import datetime
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from selenium.webdriver.chrome.webdriver import WebDriver

from dashboards.alerts.generate import GROUPS
from dashboards.alerts.rule import Recording
from tests.dashboards.answers import Answers, Vector, has_value
from tests.dashboards.expressions import DASHBOARDS, TOURED, fill_in, panels
from tests.e2e.tour.objects import CANARY, MODEL, STABLE
from tests.e2e.tour.stage import Stage, until
from tests.ui.browser import Page

RECORDINGS = tuple(rule.name for group in GROUPS for rule in group.rules if isinstance(rule, Recording))
ALERT = "MilepostModelErrorBudgetBurn"
RATE_INTERVAL = "1m"
HEALTHY_REQUESTS = 200
"""Requests that Prometheus has seen when the model starts to fail."""
FAILING_RATIO = 0.2
"""The share of errors from which on the dashboard shows that something is wrong."""
FIRES_WITHIN_S = 240.0
"""`for: 2m`, two evaluations 30 s apart, a scrape, and room for a busy machine."""
PANELS_S = 60.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What there was to see."""

    errors_before: float
    errors_after: float
    shown_after_s: float
    told_after_s: float
    receiver: str
    alert: Mapping[str, Any]
    firing: frozenset[str]
    panels: Mapping[str, Vector]
    variables: Mapping[str, set[str]]
    groups: list[dict[str, Any]]
    log_lines: list[dict[str, Any]]
    first_line: str
    opened_line: str
    browser_errors: list[str]
    metrics: frozenset[str]
    recorded: Mapping[str, Vector]


async def tell(on: Stage, driver: WebDriver, pictures: Path, say: Say = lambda _: None) -> Seen:
    """Let the model fail, and look. `pictures` gets PNG files."""
    answers = Answers(on.prometheus.url, RATE_INTERVAL, TOURED)
    of_model = {"namespace": on.namespace, "model": MODEL}
    chosen = {"model": of_model, "rollout": {**of_model, "stable": STABLE, "predictor": CANARY}}
    errors = panel_expr("model", "Errors", of_model)
    served = fill_in('sum(milepost_model_requests_total{namespace="$namespace",model="$model"})', of_model)
    await until(lambda: (answers.value(served) or 0) > HEALTHY_REQUESTS, "traffic in Prometheus")
    await until(lambda: answers.value(errors) is not None, "the dashboard's error ratio")
    before = answers.value(errors)
    say(f"{MODEL} answers; the dashboard shows {before:.1%} of errors")

    replica = next(each for each in on.replicas if each.predictor == STABLE)
    replica.failing, failed_at = True, time.time()
    await until(lambda: (answers.value(errors) or 0) > FAILING_RATIO, "errors on the dashboard")
    shown_after_s = time.time() - failed_at
    say(f"it fails; after {shown_after_s:.0f} s the dashboard shows more than {FAILING_RATIO:.0%} of errors")

    page = Page(driver, on.logserver.url)
    first, opened = await asyncio.to_thread(_open_traceback, page, on.namespace, pictures)
    say(f"its page shows: {opened.splitlines()[-1]}")
    shown, log_lines = await _dashboards(answers, chosen, on.logserver.url)
    say(f"{len(shown)} queries of {len(TOURED)} dashboards answered")

    await until(lambda: any(each.alert["labels"]["alertname"] == ALERT for each in on.told), ALERT, FIRES_WITHIN_S)
    told_after_s = time.time() - failed_at
    told = next(each for each in on.told if each.alert["labels"]["alertname"] == ALERT)
    say(f"after {told_after_s:.0f} s {told.receiver} is told: {told.alert['annotations']['summary']}")
    browser_errors = page.errors()  # before the page is another program's
    await asyncio.to_thread(_take_pictures, page, on, pictures)
    return Seen(
        errors_before=before or 0.0,
        errors_after=answers.value(errors) or 0.0,
        shown_after_s=shown_after_s,
        told_after_s=told_after_s,
        receiver=told.receiver,
        alert=told.alert,
        firing=_firing(answers, on.namespace),
        panels=shown,
        variables=answers.variables(chosen),
        groups=answers.get("/api/v1/rules")["groups"],
        log_lines=log_lines,
        first_line=first,
        opened_line=opened,
        browser_errors=browser_errors,
        metrics=frozenset(answers.get("/api/v1/label/__name__/values")),
        recorded={name: answers.query(name) for name in RECORDINGS},
    )


async def _dashboards(
    answers: Answers, chosen: Mapping[str, Mapping[str, str]], logserver: str
) -> tuple[dict[str, Vector], list[dict[str, Any]]]:
    """Return what every panel shows and the lines of the logs panel.

    Refreshes until every panel shows something, as Grafana does: a rate needs two scrapes, and a search of its own.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PANELS_S
    while True:
        lines = await asyncio.to_thread(_log_panel, logserver, chosen["model"])
        shown = await asyncio.to_thread(answers.panels, chosen)
        if all(map(has_value, shown.values())) or loop.time() > deadline:
            return shown, lines
        await asyncio.sleep(1)


def panel_expr(dashboard: str, title: str, chosen: Mapping[str, str]) -> str:
    """Return the first query of a panel as Grafana would send it."""
    panel = next(each for each in panels(DASHBOARDS[dashboard]) if each["title"] == title)
    return fill_in(panel["targets"][0]["expr"], chosen, rate_interval=RATE_INTERVAL)


def _open_traceback(page: Page, namespace: str, pictures: Path) -> tuple[str, str]:
    """Look for the error on the model's page; return the line as it is listed, and whole as it opens."""
    page.open("#/models")
    page.one("tbody tr")
    _save(page, pictures / "tour-models.png")
    page.open(f"#/models/{namespace}/{MODEL}?since=5m&text=Traceback")
    page.one(".lines .row .message").click()
    opened = str(page.one(".detail pre").get_property("textContent"))
    return page.one(".lines .row .message").text, opened


def _take_pictures(page: Page, on: Stage, pictures: Path) -> None:
    # The page that Debian's Prometheus has, which is built without the newer one.
    alerts = f"{on.prometheus.url}/classic/alerts"
    page.driver.get(alerts)
    page.run("localStorage.hideInactiveAlerts = localStorage.hidePendingAlerts = 'true'")
    page.driver.get(alerts)
    page.one("div.show-annotations").click()
    header = next(each for each in page.all("tr.alert_header.alert-danger") if ALERT in each.text)
    header.click()
    page.run("arguments[0].scrollIntoView()", header)
    _save(page, pictures / "tour-alert.png")
    _open_traceback(page, on.namespace, pictures)
    _save(page, pictures / "tour-model.png")


def _save(page: Page, path: Path) -> None:
    time.sleep(1)  # charts and fonts; nothing waits for them but the picture
    path.parent.mkdir(parents=True, exist_ok=True)
    page.driver.save_screenshot(str(path))


def _log_panel(logserver: str, chosen: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the lines of the Model dashboard's logs panel, asked as Grafana's Infinity data source asks."""
    (panel,) = [each for each in panels(DASHBOARDS["model"]) if each["type"] == "logs"]
    (query,) = panel["targets"]
    now = datetime.datetime.now(datetime.UTC)
    times = {"${__from:date:iso}": now - datetime.timedelta(minutes=15), "${__to:date:iso}": now}
    pairs = [
        (each["key"], times[each["value"]].isoformat() if each["value"] in times else fill_in(each["value"], chosen))
        for each in query["url_options"]["params"]
    ]
    url = f"{logserver}{query['url']}?{urllib.parse.urlencode(pairs)}"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - loopback
        lines: list[dict[str, Any]] = msgspec.json.decode(answer.read())[query["root_selector"]]
    return lines


def _firing(answers: Answers, namespace: str) -> frozenset[str]:
    """The alerts that fire about our namespace or about no namespace; the cluster may have others' models."""
    found = answers.query('ALERTS{alertstate="firing"}')
    ours = [each["metric"] for each in found if each["metric"].get("namespace", namespace) == namespace]
    return frozenset(f"{each['alertname']} {each['severity']}" for each in ours)
