"""What the tests need of PromQL: the selectors in an expression, and what Grafana puts in place of its variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
JSON_FOLDER = ROOT / "dashboards" / "json"
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(JSON_FOLDER.glob("*.json"))
}
TARGET_LABELS = frozenset({"job", "instance"})
ELSEWHERE = "dubbo"
"""The dashboard of the Dubbo entry, which takes no part in the tour: `tests/dubbo/test_watched.py` asks its queries."""
TOURED = tuple(name for name in DASHBOARDS if name != ELSEWHERE)

_SELECTOR = re.compile(r"\b((?:milepost|up)[a-zA-Z0-9_:]*)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'([a-zA-Z_]+)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric and the labels its matchers name."""

    metric: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """One query of one panel."""

    dashboard: str
    panel: str
    expr: str
    kind: str

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}"


def target_labels(metric: str) -> frozenset[str]:
    """Return the labels that Prometheus puts on the series of this metric.

    With its operator a namespace is among them, which only the Dubbo entry's dashboard asks for: others would take it
    for a model's.
    """
    return TARGET_LABELS | {"namespace"} if metric.startswith("milepost_dubbo_") else TARGET_LABELS


def selectors(expr: str) -> list[Selector]:
    """Return every selector of a PromQL expression."""
    return [Selector(name, dict(_MATCHER.findall(inner or ""))) for name, inner in _SELECTOR.findall(expr)]


def grouping_labels(expr: str) -> set[str]:
    """Return the labels named in `by (...)`, `on (...)` and the like."""
    return {label.strip() for inner in _GROUPING.findall(expr) for label in inner.split(",") if label.strip()}


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels that show something."""
    for panel in dashboard["panels"]:
        assert not panel.get("panels"), "collapsed rows are not expected"
        if panel["type"] != "row":
            yield panel


def targets(names: Iterable[str] = DASHBOARDS) -> list[Target]:
    """Return every PromQL query of these dashboards."""
    return [
        Target(name, panel["title"], target["expr"], panel["type"])
        for name in names
        for panel in panels(DASHBOARDS[name])
        for target in panel["targets"]
        if "expr" in target
    ]


def fill_in(expr: str, values: Mapping[str, str], *, rate_interval: str = "5m") -> str:
    """Return the expression with Grafana's variables replaced; a variable without a value means everything."""
    filled = expr.replace("$__rate_interval", rate_interval)
    return re.sub(r"\$\{?([a-z_]+)\}?", lambda found: values.get(found[1], ".*"), filled)
