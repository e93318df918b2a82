"""A running Prometheus asked the dashboards' own queries."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tests.dashboards.expressions import DASHBOARDS, fill_in, targets

Vector = list[dict[str, Any]]
QUERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Answers:
    """Asks about now; `rate_interval` is what Grafana would put for `$__rate_interval`."""

    url: str
    rate_interval: str
    dashboards: Collection[str]

    def query(self, expr: str) -> Vector:
        """Return the instant vector of an expression."""
        result: Vector = self.get(f"/api/v1/query?{urllib.parse.urlencode({'query': expr})}")["result"]
        return result

    def value(self, expr: str) -> float | None:
        """Return the only value of an expression, None when it has none."""
        found = self.query(expr)
        assert len(found) <= 1, (expr, found)
        return float(found[0]["value"][1]) if found else None

    def get(self, path: str) -> Any:
        """Return the data of an API path."""
        with urllib.request.urlopen(self.url + path, timeout=QUERY_S) as answer:  # noqa: S310
            return json.load(answer)["data"]

    def panels(self, chosen: Mapping[str, Mapping[str, str]]) -> dict[str, Vector]:
        """Return the answer to every query of the dashboards, by its text in the dashboard.

        `chosen` has the variables' values by dashboard; a variable without one means everything.
        """
        return {
            f"{target}: {target.expr}": self.query(
                fill_in(target.expr, chosen.get(target.dashboard, {}), rate_interval=self.rate_interval)
            )
            for target in targets(self.dashboards)
        }

    def variables(self, chosen: Mapping[str, Mapping[str, str]]) -> dict[str, set[str]]:
        """Return the values that Grafana would offer for each variable of the dashboards, by `dashboard: $name`."""
        offered: dict[str, set[str]] = {}
        for name in self.dashboards:
            for variable in DASHBOARDS[name]["templating"]["list"]:
                if variable["type"] == "query":
                    inner = variable["definition"].removeprefix("label_values(").removesuffix(")")
                    selector, label = inner.rsplit(", ", 1)
                    found = self.query(fill_in(selector, chosen.get(name, {})))
                    values = {series["metric"].get(label, "") for series in found}
                    offered[f"{name}: ${variable['name']}"] = values - {""}
        return offered


def has_value(vector: Vector) -> bool:
    """Say whether an answer would draw something."""
    return any(series["value"][1] != "NaN" for series in vector)
