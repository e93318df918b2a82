"""Every query of every dashboard, and every rule, answered by a real Prometheus that holds the programs' own pages."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboards.expressions import DASHBOARDS, Target, fill_in, selectors, targets
from tests.dashboards.pages import write_blocks
from tests.dashboards.test_alerts import ALERTS, RECORDINGS, RULE_FILES, unfolded
from tests.parts.prometheus import Prometheus

pytestmark = pytest.mark.slow

CHOSEN = {
    "model": {"namespace": "models", "model": "fraud"},
    "rollout": {"namespace": "models", "model": "fraud", "stable": "default", "predictor": "canary"},
}


class Answers:
    """A Prometheus with the hour before `at`."""

    def __init__(self, url: str, at: int) -> None:
        self.url = url
        self.at = at

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the instant vector of an expression at the end of the hour."""
        parameters = urllib.parse.urlencode({"query": expr, "time": self.at})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{parameters}", timeout=30) as answer:  # noqa: S310
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def get(self, path: str) -> dict[str, Any]:
        """Return the data of an API path."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:  # noqa: S310
            data: dict[str, Any] = json.load(answer)["data"]
        return data


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, promtool: str) -> Iterator[Answers]:
    folder, end_s = tmp_path_factory.mktemp("prometheus"), int(time.time()) // 60 * 60 - 60
    write_blocks(promtool, folder, end_s)
    rules = json.dumps([str(path) for path in RULE_FILES])
    config = f"global: {{evaluation_interval: 2s}}\nrule_files: {rules}\n"
    prometheus = Prometheus(folder, config, "--storage.tsdb.retention.time=1d").start()
    yield Answers(prometheus.url, end_s)
    prometheus.stop()


@pytest.mark.parametrize("target", targets(), ids=lambda target: f"{target}: {target.expr[:60]}")
def test_no_panel_is_empty(answers: Answers, target: Target) -> None:
    expr = fill_in(target.expr, CHOSEN.get(target.dashboard, {}))
    result = answers.query(expr)
    assert result, expr
    assert any(series["value"][1] != "NaN" for series in result), f"{expr}: only NaN"


@pytest.mark.parametrize("name", sorted(DASHBOARDS))
def test_no_variable_is_empty(answers: Answers, name: str) -> None:
    for variable in DASHBOARDS[name]["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = variable["definition"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            found = {series["metric"].get(label) for series in answers.query(fill_in(selector, CHOSEN.get(name, {})))}
            assert found - {None}, variable["definition"]


def test_prometheus_runs_every_rule_without_an_error(answers: Answers) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        groups = answers.get("/api/v1/rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        if rules and all(rule["health"] != "unknown" for rule in rules):
            break
        time.sleep(0.5)
    assert {rule["health"] for rule in rules} == {"ok"}, [rule for rule in rules if rule["health"] != "ok"]
    assert len([rule for rule in rules if rule["type"] == "alerting"]) == len(ALERTS)


def test_every_series_that_an_alert_looks_at_is_there(answers: Answers) -> None:
    rare = {"up", "milepost_exporter_series_dropped_total"}
    for alert in ALERTS:
        for selector in selectors(unfolded(alert.expr)):
            if selector.metric not in rare:
                assert answers.query(selector.metric), f"{alert.name}: {selector.metric}"


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_every_recorded_series_has_values(answers: Answers, name: str) -> None:
    result = answers.query(unfolded(RECORDINGS[name]))
    assert any(series["value"][1] != "NaN" for series in result), name
