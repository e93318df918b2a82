"""Error budgets of models: multi-window, multi-burn-rate alerts on errors and on latency.

The objective is over 30 days. An alert needs the budget to burn too fast over a long window (it matters) and over a
short one (it still does), so it fires soon and resolves soon. Windows and factors are those of the Site Reliability
Workbook (sre.google/workbook/alerting-on-slos, table 5-8). A model with hardly any traffic is left alone: one failed
request in ten would be an outage.

Errors are answers of class 5xx at the front of the model's pods. Slow is above one second, which must be an edge of
the histogram: the executor, KServe and ingress-nginx have one at 1 s; TensorFlow Serving's next edge is 1.27482 s.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.alerts.rule import Alert, Group, Recording

ERROR_BUDGET = 0.005
SLOW_BUDGET = 0.05
LEAST_RATE = 0.02
ONE_SECOND = 'le=~"1(\\\\.0)?|1\\\\.27482"'
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
BY = "sum by (namespace, model)"


@dataclass(frozen=True, slots=True)
class Burn:
    """A pair of windows, and how many times faster than the objective allows the budget burns in both."""

    severity: str
    long: str
    short: str
    factor: float
    hold: str


BURNS = (
    Burn("critical", "1h", "5m", 14.4, "2m"),
    Burn("critical", "6h", "30m", 6, "15m"),
    Burn("warning", "1d", "2h", 3, "1h"),
    Burn("warning", "3d", "6h", 1, "3h"),
)


def requests(window: str) -> str:
    """Return the name of the recorded request rate of a model."""
    return f"namespace_model:milepost_model_requests:rate{window}"


def errors(window: str) -> str:
    """Return the name of the recorded share of failed requests of a model."""
    return f"namespace_model:milepost_model_errors:ratio_rate{window}"


def slow(window: str) -> str:
    """Return the name of the recorded share of slow requests of a model."""
    return f"namespace_model:milepost_model_slow_requests:ratio_rate{window}"


def _recordings() -> tuple[Recording, ...]:
    rules: list[Recording] = []
    for window in WINDOWS:
        failed = f'{BY} (rate(milepost_model_requests_total{{code_class="5xx"}}[{window}]))'
        fast = f"{BY} (rate(milepost_model_request_duration_seconds_bucket{{{ONE_SECOND}}}[{window}]))"
        timed = f"{BY} (rate(milepost_model_request_duration_seconds_count[{window}]))"
        rules += [
            Recording(requests(window), f"{BY} (rate(milepost_model_requests_total[{window}]))"),
            Recording(errors(window), f"({failed} or {requests(window)} * 0) / ({requests(window)} > 0)"),
            Recording(slow(window), f"1 - {fast} / ({timed} > 0)"),
        ]
    return tuple(rules)


def _burning(ratio: str, burn: Burn, budget: float) -> str:
    limit = f"{burn.factor * budget:g}"
    return (
        f"{ratio}{burn.long} > {limit} and {ratio}{burn.short} > {limit} "
        f"and on (namespace, model) {requests(burn.long)} > {LEAST_RATE:g}"
    )


def _alerts() -> tuple[Alert, ...]:
    who = "[namespace]/[model]"
    made: list[Alert] = []
    for burn in BURNS:
        labels = (("long_window", burn.long), ("short_window", burn.short))
        value = "[value|humanizePercentage]"
        made.append(
            Alert(
                "MilepostModelErrorBudgetBurn", burn.severity, _burning(errors(""), burn, ERROR_BUDGET), burn.hold,
                f"{who} answers too many requests with errors",
                f"{value} of the requests of {who} failed in the last {burn.long}: the 30-day budget of "
                f"{ERROR_BUDGET:.1%} burns at least {burn.factor:g} times too fast.",
                labels,
            )
        )  # fmt: skip
        made.append(
            Alert(
                "MilepostModelLatencyBudgetBurn", burn.severity, _burning(slow(""), burn, SLOW_BUDGET), burn.hold,
                f"{who} answers too many requests slowly",
                f"{value} of the requests of {who} took more than a second in the last {burn.long}: the 30-day budget "
                f"of {SLOW_BUDGET:.0%} burns at least {burn.factor:g} times too fast.",
                labels,
            )
        )  # fmt: skip
    return tuple(made)


GROUPS = (Group("milepost-slo", (*_recordings(), *_alerts())),)
