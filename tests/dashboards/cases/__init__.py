"""Stories that promtool tells to the alerts: what Prometheus sees, and which alerts fire when.

`Case.series` maps a series to promtool's notation for its values, one a `step` of minutes: `0+60x10` is 0, 60, ... 600,
`5x10` is eleven fives, `_x5` is five missing samples. `Case.fires` maps a minute to how many alerts fire then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

VANISHED_FOR = 75
"""Minutes without any series after which nothing may fire any more: longer than the windows of an hour."""


@dataclass(frozen=True, slots=True)
class Case:
    """One story about one alert; `where` narrows the alerts counted, such as `severity="critical"`."""

    alert: str
    story: str
    series: Mapping[str, str]
    fires: Mapping[int, int]
    where: str = ""
    step: int = 1

    def test(self) -> dict[str, object]:
        """Return the story as promtool reads it."""
        matchers = f'alertname="{self.alert}",alertstate="firing"' + (f",{self.where}" if self.where else "")
        return {
            "name": f"{self.alert}: {self.story}",
            "interval": f"{self.step}m",
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "promql_expr_test": [
                {
                    "expr": f"count(ALERTS{{{matchers}}}) or vector(0)",
                    "eval_time": f"{minute}m",
                    "exp_samples": [{"labels": "{}", "value": count}],
                }
                for minute, count in self.fires.items()
            ],
        }

    def vanishing(self) -> Case:
        """Return the story that ends in the midst of the alert: nothing is scraped any more, so nothing is known."""
        minute = next(minute for minute, count in self.fires.items() if count)
        return replace(
            self,
            story=f"{self.story}; all series go missing while it fires",
            series={name: " ".join(samples(values)[: minute // self.step + 1]) for name, values in self.series.items()},
            fires={minute: self.fires[minute], minute + VANISHED_FOR: 0},
        )


def samples(values: str) -> list[str]:
    """Return the single samples of promtool's notation."""
    found: list[str] = []
    for word in values.split():
        match = re.fullmatch(r"(_|-?[\d.e+]+?)(?:([+-][\d.]+))?(?:x(\d+))?", word)
        assert match is not None, word
        start, step, times = match[1], float(match[2] or 0), match[3]
        if start == "_":
            found += ["_"] * int(times or 1)
        else:
            found += [f"{float(start) + step * number:.10g}" for number in range(int(times or 0) + 1)]
    return found


MODEL = 'namespace="models",model="iris"'
DEFAULT = f'{MODEL},predictor="default"'
CANARY = f'{MODEL},predictor="canary"'
POD = f'{DEFAULT},pod="iris-0",node="n1"'
CONTAINER = f'{DEFAULT},pod="iris-0",container="classifier",node="n1"'
