"""The alerts, told stories by the real promtool; their files, runbooks and names."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from dashboards.alerts.generate import FOLDER, GROUPS, stale
from dashboards.alerts.rule import Alert, Recording
from tests.dashboards.cases import Case, dubbo, models, pipeline, resources, samples, slo
from tests.dashboards.expressions import ROOT, grouping_labels, selectors
from tests.dashboards.test_dashboards import KNOWN

RULE_FILES = sorted(FOLDER.glob("milepost-*.yaml"))
ALERTS: list[Alert] = [alert for group in GROUPS for alert in group.alerts()]
NAMES = sorted({alert.name for alert in ALERTS})
RECORDINGS = {rule.name: rule.expr for group in GROUPS for rule in group.rules if isinstance(rule, Recording)}
CASES: dict[str, tuple[Case, ...]] = {
    "slo": slo.CASES,
    "models": models.CASES,
    "resources": resources.CASES,
    "pipeline": pipeline.CASES,
    "dubbo": dubbo.CASES,
}
ALL_CASES = [case for cases in CASES.values() for case in cases]
VANISHING = {
    name: [
        next(case for case in cases if case.alert == alert and any(case.fires.values()) and case.step == 1).vanishing()
        for alert in sorted({case.alert for case in cases})
        if not alert.endswith("Absent")
    ]
    for name, cases in CASES.items()
}
"""For every alert that is not about absence: what it is about goes missing while it fires."""
RUNBOOKS = ROOT / "docs" / "runbooks"


def test_the_committed_rules_are_what_the_code_makes() -> None:
    assert stale() == []


def test_promtool_finds_the_rules_sound(promtool: str) -> None:
    result = subprocess.run([promtool, "check", "rules", *RULE_FILES], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def run_promtool(promtool: str, folder: Path, tests: list[dict[str, object]], *, step: int, rules: list[str]) -> None:
    content = {
        "rule_files": [str(FOLDER / f"{name}.yaml") for name in rules],
        "evaluation_interval": f"{step}m",
        "tests": tests,
    }
    path = folder / "stories.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    result = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "step"), sorted({(name, case.step) for name in CASES for case in CASES[name]}))
def test_the_alerts_fire_rest_and_resolve(name: str, step: int, promtool: str, tmp_path: Path) -> None:
    told = [case for case in (*CASES[name], *VANISHING[name]) if case.step == step]
    about = {case.alert for case in told}
    rules = [group.name for group in GROUPS if about & {alert.name for alert in group.alerts()}]
    run_promtool(promtool, tmp_path, [case.test() for case in told], step=step, rules=rules)


def test_a_story_is_cut_sample_by_sample() -> None:
    assert samples("_x2 0+60x3 5 7-2x1 3x1 _") == ["_", "_", "0", "60", "120", "180", "5", "7", "5", "3", "3", "_"]
    assert {case.alert for cases in VANISHING.values() for case in cases} == {n for n in NAMES if n[-6:] != "Absent"}


def test_a_story_that_is_not_true_is_refused(promtool: str, tmp_path: Path) -> None:
    story = next(case for case in models.CASES if case.alert == "MilepostModelDown")
    wrong = dataclasses.replace(story, fires={15: 0})
    with pytest.raises(AssertionError, match="MilepostModelDown"):
        run_promtool(promtool, tmp_path, [wrong.test()], step=1, rules=["milepost-models"])


def test_nothing_but_absence_fires_where_nothing_is_scraped(promtool: str, tmp_path: Path) -> None:
    absent = [name for name in NAMES if name.endswith("Absent")]
    assert len(absent) == 4
    firing = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": "50m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in absent],
    }
    test: dict[str, object] = {
        "interval": "1m",
        "input_series": [{"series": "unrelated", "values": "1x60"}],
        "promql_expr_test": [firing],
    }
    run_promtool(promtool, tmp_path, [test], step=1, rules=[group.name for group in GROUPS])


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_has_its_stories(name: str) -> None:
    cases = [case for case in ALL_CASES if case.alert == name]
    assert any(any(case.fires.values()) for case in cases), "one in which it fires"
    assert any(not any(case.fires.values()) for case in cases), "one in which it does not"
    resolved = [case for case in cases if any(case.fires.values()) and case.fires[max(case.fires)] == 0]
    assert resolved, "one in which it resolves"
    expressions = " ".join(unfolded(alert.expr) for alert in ALERTS if alert.name == name)
    if re.search(r"\b(rate|increase)\(", expressions):
        assert any("again" in case.story or "replaced" in case.story or "restarted" in case.story
                   or "starts counting at 0" in case.story for case in cases), "one with a counter reset"  # fmt: skip


def unfolded(expr: str) -> str:
    """The expression with recorded series replaced by what they record."""
    for name in sorted(RECORDINGS, key=len, reverse=True):
        if name in expr:
            return unfolded(expr.replace(name, f"({RECORDINGS[name]})"))
    return expr


def test_every_story_is_about_an_alert() -> None:
    assert {case.alert for case in ALL_CASES} == set(NAMES)
    assert max(Counter((case.alert, case.story, case.where) for case in ALL_CASES).values()) == 1


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{dict(alert.labels).get('long_window', '')}")
def test_an_alert_is_about_series_that_exist_and_says_what_to_do(alert: Alert) -> None:
    entry = alert.entry()
    assert alert.severity in ("critical", "warning", "info")
    assert alert.summary
    assert alert.description.endswith(".")
    annotations = entry["annotations"]
    assert isinstance(annotations, dict)
    page = RUNBOOKS / f"{alert.name}.md"
    assert annotations["runbook_url"].endswith(f"/docs/runbooks/{page.name}")
    assert page.exists()


@pytest.mark.parametrize("expr", [*(alert.expr for alert in ALERTS), *RECORDINGS.values()])
def test_every_metric_and_label_of_the_rules_exists(expr: str) -> None:
    available = {"job", "instance"}
    for selector in selectors(re.sub(r"\b[a-z_]+:milepost_\w+:\w+", "recorded", expr)):
        if selector.metric == "up":
            continue
        assert selector.metric in KNOWN, selector.metric
        assert set(selector.labels) <= KNOWN[selector.metric] | available
    for name in re.findall(r"\b[a-z_]+:milepost_\w+:\w+", expr):
        assert name in RECORDINGS, name
    everything = available.union(*KNOWN.values())
    assert grouping_labels(expr) <= everything


def test_recording_rules_are_named_level_metric_operations() -> None:
    for name, expr in RECORDINGS.items():
        level, metric, operations = name.split(":")
        assert operations, name
        assert metric.startswith("milepost_")
        kept = grouping_labels(expr)
        assert set(level.split("_")) <= {part for label in kept for part in label.split("_")}, name


def test_every_runbook_page_has_an_alert_and_its_three_questions() -> None:
    pages = {path.stem: path.read_text() for path in RUNBOOKS.glob("*.md") if path.stem != "README"}
    assert sorted(pages) == NAMES
    for name, text in pages.items():
        assert text.startswith(f"# {name}\n"), name
        for heading in ("## What it means", "## How to check", "## What to do"):
            assert heading in text, f"{name}: {heading}"
        assert "```" in text.split("## How to check")[1], f"{name}: no command"


def test_the_operators_object_holds_the_same_groups() -> None:
    made = yaml.safe_load((FOLDER / "prometheusrule.yaml").read_text())
    plain = {group["name"]: group for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"]}
    assert {group["name"]: group for group in made["spec"]["groups"]} == plain


def test_the_routing_example_is_sound_and_reaches_the_right_people(amtool: str) -> None:
    config = ROOT / "dashboards" / "rules" / "alertmanager.example.yml"
    checked = subprocess.run([amtool, "check-config", config], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for labels, receiver in {
        ("alertname=MilepostModelDown", "severity=critical", "namespace=models"): "on-call",
        ("alertname=MilepostModelDown", "severity=critical", "namespace=risk"): "team-risk-page",
        ("alertname=MilepostContainerRestarting", "severity=warning", "namespace=risk"): "team-risk",
        ("alertname=MilepostRejects", "severity=warning"): "platform-tickets",
        ("alertname=MilepostGpuIdle", "severity=info", "namespace=models"): "nobody",
    }.items():
        routed = subprocess.run(
            [amtool, "config", "routes", "test", f"--config.file={config}", *labels],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert routed.stdout.strip() == receiver, f"{labels}: {routed.stdout}{routed.stderr}"


def test_the_texts_of_every_alert_are_filled_in(promtool: str, tmp_path: Path) -> None:
    """Told that nothing fires, promtool prints what does, with its texts."""
    firing = {case.alert: case for case in ALL_CASES if any(case.fires.values()) and case.step == 1}
    assert sorted(firing) == NAMES
    tests = []
    for case in firing.values():
        minute = next(minute for minute, count in case.fires.items() if count)
        told = {name: value for name, value in case.test().items() if name != "promql_expr_test"}
        tests.append(
            {**told, "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": case.alert, "exp_alerts": []}]}
        )
    content = {"rule_files": [str(path) for path in RULE_FILES], "evaluation_interval": "1m", "tests": tests}
    path = tmp_path / "texts.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    printed = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    text = printed.stdout + printed.stderr
    for name in NAMES:
        assert f'alertname="{name}"' in text, name
    for failure in ("<no value>", "error expanding", "[value", "%!"):
        assert failure not in text
    assert not re.search(r"(summary|description)=\"[^\"]*(//|/ | /|\(\)|  )", text), (
        "a label that the alert does not have"
    )
