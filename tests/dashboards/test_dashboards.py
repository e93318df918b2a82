"""The dashboards: in step with their code, well made, and about metrics that exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.generate import render, stale
from deploy import metrics as platform_metrics
from deploy.dubbo import metrics as dubbo_metrics
from exporter.page.families import FAMILIES
from exporter.page.family import Kind
from logserver import metrics as logserver_metrics
from logserver.read.lines import WireLine
from milepost.instruments import MetricDef
from tests.dashboards.expressions import (
    DASHBOARDS,
    TARGET_LABELS,
    Target,
    fill_in,
    grouping_labels,
    panels,
    selectors,
    target_labels,
    targets,
)

CURRENT_PANELS = {"stat", "timeseries", "table", "state-timeline", "heatmap", "logs"}
WITH_UNIT = CURRENT_PANELS - {"logs"}
SCHEMA_VERSION = 42
VARIABLES = {
    "fleet": ["datasource", "job", "instance", "namespace", "model"],
    "model": ["datasource", "logs", "job", "instance", "namespace", "model", "predictor"],
    "gpu": ["datasource", "job", "instance", "node", "namespace", "model", "predictor"],
    "pipeline": ["datasource", "job", "instance"],
    "rollout": ["datasource", "job", "instance", "namespace", "model", "stable", "predictor", "ingress"],
    "dubbo": ["datasource", "job", "instance", "place", "interface"],
}


def known_labels() -> dict[str, frozenset[str]]:
    """Every series name that a Milepost program serves, with its labels."""
    known: dict[str, frozenset[str]] = {}
    for family in FAMILIES:
        labels = frozenset(family.label_names)
        if family.kind is Kind.HISTOGRAM:
            known[f"{family.name}_bucket"] = labels | {"le"}
        if family.kind in (Kind.HISTOGRAM, Kind.SUMMARY):
            known[f"{family.name}_sum"] = known[f"{family.name}_count"] = labels
        else:
            known[family.name] = labels
    known.update(labels_of(logserver_metrics.PREFIX, logserver_metrics.TABLE))
    known.update(labels_of(platform_metrics.PREFIX, platform_metrics.TABLE))
    known.update(labels_of(dubbo_metrics.PREFIX, dubbo_metrics.TABLE))
    return known


def labels_of(prefix: str, table: Sequence[MetricDef]) -> dict[str, frozenset[str]]:
    known: dict[str, frozenset[str]] = {}
    for row in table:
        name, labels = prefix + row.name, frozenset(row.labels)
        if row.kind.__name__ == "Histogram":
            known |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            known[name] = labels
    return known


KNOWN = known_labels()


def test_the_committed_json_is_what_the_code_makes() -> None:
    assert stale() == []


def test_rendering_is_the_same_every_time() -> None:
    assert render("model") == render("model")


def test_a_changed_missing_or_extra_file_is_stale(tmp_path: Path) -> None:
    for name in ("fleet", "model", "gpu", "pipeline", "dubbo"):
        (tmp_path / f"{name}.json").write_text(render(name))
    (tmp_path / "gpu.json").write_text("{}")
    (tmp_path / "old.json").write_text("{}")
    assert stale(tmp_path) == ["gpu.json", "old.json", "rollout.json"]


@pytest.fixture(params=sorted(DASHBOARDS))
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return DASHBOARDS[str(request.param)]


def test_there_is_one_dashboard_for_each_question() -> None:
    assert set(DASHBOARDS) == set(VARIABLES)
    assert len({board["uid"] for board in DASHBOARDS.values()}) == len(DASHBOARDS)


def test_the_frame_is_current_and_closed_to_editing(dashboard: Mapping[str, Any]) -> None:
    assert dashboard["schemaVersion"] == SCHEMA_VERSION
    assert dashboard["editable"] is False
    assert dashboard["description"]
    assert "milepost" in dashboard["tags"]


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_the_variables_narrow_each_other(name: str) -> None:
    listed = DASHBOARDS[name]["templating"]["list"]
    assert [variable["name"] for variable in listed] == VARIABLES[name]
    for variable in listed:
        if variable["type"] == "query":
            assert variable["datasource"]["uid"] == "${datasource}"
            assert variable["refresh"] == 2, "2 is: when the time range changes"
        if variable["name"] in ("job", "instance"):
            assert variable["multi"]
            assert variable["includeAll"]
            assert variable["allValue"] == ".+"
        (used,) = [{*re.findall(r"\$([a-z]+)", variable.get("definition") or "")}]
        assert used <= set(VARIABLES[name][: VARIABLES[name].index(variable["name"])])
    assert listed[0]["label"] == "Data Source"


def test_every_panel_says_what_it_shows_in_which_unit(dashboard: Mapping[str, Any]) -> None:
    for panel in panels(dashboard):
        assert panel["type"] in CURRENT_PANELS, panel["title"]
        assert panel["title"]
        assert len(panel["description"]) > 10, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"]["uid"] in ("${datasource}", "${logs}")
        assert panel["targets"], panel["title"]
        if panel["type"] in WITH_UNIT:
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_panels_have_numbers_of_their_own_and_do_not_overlap(dashboard: Mapping[str, Any]) -> None:
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not taken & cells, panel["title"]
        taken |= cells


@pytest.mark.parametrize("target", targets(), ids=str)
def test_every_query_is_narrowed_by_job_and_instance(target: Target) -> None:
    for selector in selectors(target.expr):
        assert selector.labels["job"] == "$job", target.expr
        assert selector.labels["instance"] == "$instance", target.expr


@pytest.mark.parametrize("target", targets(), ids=str)
def test_counters_are_only_seen_as_rates(target: Target) -> None:
    for found in re.finditer(r"\bmilepost_\w+?(_total|_bucket|_sum|_count)\b", target.expr):
        if target.panel == "Lost positions":  # how often since the start is the question there
            continue
        before = target.expr[: found.start()]
        assert re.search(r"\b(rate|increase)\($", before), target.expr
    for window in re.findall(r"\brate\([^[]*\[([^]]+)\]", target.expr):
        assert window == "$__rate_interval"


@pytest.mark.parametrize("target", targets(), ids=str)
def test_every_metric_and_label_exists(target: Target) -> None:
    found = selectors(target.expr)
    assert found, target.expr
    available = set(TARGET_LABELS)
    for selector in found:
        assert selector.metric in KNOWN, selector.metric
        labels = KNOWN[selector.metric] | target_labels(selector.metric)
        assert set(selector.labels) <= labels, f"{selector.metric}: {set(selector.labels) - labels}"
        available |= labels
    assert grouping_labels(target.expr) <= available


def test_variables_are_filled_from_metrics_that_exist(dashboard: Mapping[str, Any]) -> None:
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        match = re.fullmatch(r"label_values\((.*), ([a-z]+)\)", variable["definition"])
        assert match is not None
        (selector,) = selectors(match[1])
        assert {match[2], *selector.labels} <= KNOWN[selector.metric] | target_labels(selector.metric)


def test_a_legend_names_labels_that_the_query_keeps() -> None:
    for name, board in DASHBOARDS.items():
        for panel in panels(board):
            for target in panel["targets"]:
                wanted = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat") or ""))
                kept = grouping_labels(target["expr"]) if "by (" in target.get("expr", "") else None
                if kept is None:
                    continue
                assert wanted <= kept, f"{name}: {panel['title']}: {wanted - kept}"


def test_the_log_panel_reads_fields_that_the_log_server_writes() -> None:
    (panel,) = [panel for panel in panels(DASHBOARDS["model"]) if panel["type"] == "logs"]
    (query,) = panel["targets"]
    assert query["root_selector"] == "lines"
    assert {column["selector"] for column in query["columns"]} <= set(WireLine.__struct_fields__)
    assert {"timestamp", "body", "severity"} <= {column["text"] for column in query["columns"]}


def test_prometheus_can_parse_every_query(tmp_path: Path, promtool: str) -> None:
    rules = [{"record": f"check:q{index}", "expr": fill_in(target.expr, {})} for index, target in enumerate(targets())]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "check", "rules": rules}]}))
    result = subprocess.run(
        [promtool, "check", "rules", "--lint=none", path], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
