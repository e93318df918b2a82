"""PromQL as the panels use it: text built from a metric, the dashboard's variables and a few shapes.

A `Selection` is the set of matchers that a dashboard puts on every series, so a panel cannot forget one:
`fleet("milepost_pod_ready")` is `milepost_pod_ready{job=~"$job",instance=~"$instance",namespace=~"$namespace",...}`.
Rates are taken over `$__rate_interval`, which Grafana keeps at four scrapes or more.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Selection:
    """The matchers of a dashboard's variables; calling it with a metric gives the selector."""

    variables: tuple[str, ...]

    def __call__(self, metric: str, *matchers: str) -> str:
        """Return the selector of this metric with further matchers such as `code_class="5xx"`."""
        all_matchers = [f'{name}=~"${name}"' for name in self.variables]
        return f"{metric}{{{','.join([*all_matchers, *matchers])}}}"


ANYWHERE = Selection(("job", "instance"))
ON_NODE = Selection(("job", "instance", "node"))
IN_NAMESPACE = Selection(("job", "instance", "namespace"))
OF_MODEL = Selection(("job", "instance", "namespace", "model"))
OF_PREDICTOR = Selection(("job", "instance", "namespace", "model", "predictor"))


def rate(selector: str) -> str:
    """Return the counter's increase per second."""
    return f"rate({selector}[{WINDOW}])"


def sum_by(labels: str, expression: str) -> str:
    """Return the sum by these labels, or of everything when there are none."""
    return f"sum by ({labels}) ({expression})" if labels else f"sum({expression})"


def top(count: int, expression: str) -> str:
    """Return the greatest series, so that a panel of a thousand models stays readable."""
    return f"topk({count}, {expression})"


def ratio(part: str, whole: str) -> str:
    """Return part over whole, 0 where there is a whole and no part: no errors is a figure, not a gap."""
    return f"(({part}) or (({whole}) * 0)) / (({whole}) > 0)"


def quantile(q: float, labels: str, buckets: str) -> str:
    """Return the q-quantile of a classic histogram by these labels."""
    by = f"le, {labels}" if labels else "le"
    return f"histogram_quantile({q}, sum by ({by}) ({rate(buckets)}))"


def mean(labels: str, total: str, count: str) -> str:
    """Return the mean of a summary: the only latency that some model servers give."""
    return f"{sum_by(labels, rate(total))} / ({sum_by(labels, rate(count))} > 0)"


def cards_used(labels: str, selector: str) -> str:
    """Return the cards' time in use by these labels; of several sources that see one use, the greatest counts."""
    return sum_by(labels, f"max without (job, instance, source) ({rate(selector)})")
