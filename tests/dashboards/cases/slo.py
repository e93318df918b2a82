"""Error budgets."""

from __future__ import annotations

from tests.dashboards.cases import CONTAINER, Case

ERRORS, SLOW = "MilepostModelErrorBudgetBurn", "MilepostModelLatencyBudgetBurn"
FAST, MIDDLE, DAY, DAYS = ('long_window="1h"', 'long_window="6h"', 'long_window="1d"', 'long_window="3d"')


def answers(good: str, bad: str) -> dict[str, str]:
    name = f'milepost_model_requests_total{{{CONTAINER},source="executor",transport="rest",code_class='
    return {f'{name}"2xx"}}': good, f'{name}"5xx"}}': bad}


def durations(fast: str, count: str, edge: str = "1.0") -> dict[str, str]:
    labels = f'{CONTAINER},source="executor",transport="rest"'
    name = "milepost_model_request_duration_seconds"
    return {
        f'{name}_bucket{{{labels},le="{edge}"}}': fast,
        f'{name}_bucket{{{labels},le="+Inf"}}': count,
        f"{name}_count{{{labels}}}": count,
        **answers(count, "0x400"),
    }


CASES = (
    Case(ERRORS, "one request in ten fails", answers("0+540x60", "0+60x60"), {1: 0, 10: 1, 50: 1}, FAST),
    Case(ERRORS, "six hours at one in twenty", answers("0+570x400", "0+30x400"), {10: 0, 60: 1, 390: 1}, MIDDLE),
    Case(ERRORS, "a day at one in fifty is a ticket", answers("0+5880x170", "0+120x170"), {1620: 1}, DAY, 10),
    Case(ERRORS, "a day at one in fifty wakes nobody", answers("0+5880x170", "0+120x170"), {1620: 0},
         'severity="critical"', 10),
    Case(ERRORS, "three days slightly over budget", answers("0+59500x440", "0+500x440"), {4390: 1}, DAYS, 10),
    Case(ERRORS, "one in a thousand is within budget", answers("0+999x400", "0+1x400"), {60: 0, 390: 0}),
    Case(ERRORS, "failures stop: the short window ends it", answers("0+540x30 16200+600x60", "0+60x30 1800x60"),
         {30: 1, 40: 0}, FAST),
    Case(ERRORS, "low traffic: one of three failed", answers("0x20 1x20 2x80", "0x10 1x110"), {30: 0, 60: 0, 100: 0}),
    Case(ERRORS, "counters start again with a new pod", answers("0+600x20 0+600x40", "500x20 0x40"), {25: 0, 50: 0}),
    Case(ERRORS, "no series for errors at all", {next(iter(answers("", ""))): "0+600x120"}, {60: 0, 110: 0}),
    Case(ERRORS, "series vanish with the exporter", answers("0+540x20 _x100", "0+60x20 _x100"), {20: 1, 110: 0}, FAST),
    Case(SLOW, "four requests in five take over a second", durations("0+20x60", "0+100x60"), {1: 0, 10: 1}, FAST),
    Case(SLOW, "TensorFlow Serving's own edge counts", durations("0+20x60", "0+100x60", "1.27482"), {10: 1}, FAST),
    Case(SLOW, "one in a hundred is within budget", durations("0+99x400", "0+100x400"), {60: 0, 390: 0}),
    Case(SLOW, "fast again: the short window ends it", durations("0+20x30 600+100x60", "0+100x90"), {30: 1, 40: 0},
         FAST),
    Case(SLOW, "low traffic: the only request was slow", durations("0x60", "0x10 1x50"), {30: 0, 55: 0}),
    Case(SLOW, "counters start again", durations("990+99x20 0+99x40", "1000+100x20 0+100x40"), {25: 0, 50: 0}),
    Case(SLOW, "a server without a histogram", answers("0+600x60", "0x60"), {30: 0, 55: 0}),
    Case(SLOW, "no edge at a second: nothing is invented", durations("0+20x60", "0+100x60", "0.5"), {30: 0}),
)  # fmt: skip
