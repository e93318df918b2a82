"""What a rule is, and its place in Prometheus' file format.

Recording rules are named `level:metric:operations` (prometheus.io, practices/rules). Every alert has a severity
(`critical` wakes somebody, `warning` is a ticket, `info` explains others), a summary, a description with the value, and
a runbook page of its own name. In their texts `[pod]` is the value of the label `pod` and `[value|humanize]` the value
of the expression, as Prometheus' template function `humanize` writes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RUNBOOKS = "https://github.com/milepost/milepost/blob/main/docs/runbooks"


@dataclass(frozen=True, slots=True)
class Recording:
    """A series computed ahead."""

    name: str
    expr: str

    def entry(self) -> dict[str, object]:
        """Return the rule as Prometheus reads it."""
        return {"record": self.name, "expr": self.expr}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; `hold` is how long the expression must hold before it fires."""

    name: str
    severity: str
    expr: str
    hold: str
    summary: str
    description: str
    labels: tuple[tuple[str, str], ...] = ()

    def entry(self) -> dict[str, object]:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.hold,
            "labels": {"severity": self.severity, **dict(self.labels)},
            "annotations": {
                "summary": _template(self.summary),
                "description": _template(self.description),
                "runbook_url": f"{RUNBOOKS}/{self.name}.md",
            },
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other, so that a later one sees what an earlier one recorded."""

    name: str
    rules: tuple[Recording | Alert, ...]
    interval: str = "30s"

    def entry(self) -> dict[str, object]:
        """Return the group as Prometheus reads it."""
        return {"name": self.name, "interval": self.interval, "rules": [rule.entry() for rule in self.rules]}

    def alerts(self) -> list[Alert]:
        """Return the group's alerts."""
        return [rule for rule in self.rules if isinstance(rule, Alert)]


def _template(text: str) -> str:
    """Return the text in Prometheus' template language."""
    with_value = re.sub(r"\[value\]", "{{ $value }}", re.sub(r"\[value\|(\w+)\]", r"{{ $value | \1 }}", text))
    return re.sub(r"\[(\w+)\]", r"{{ $labels.\1 }}", with_value)
