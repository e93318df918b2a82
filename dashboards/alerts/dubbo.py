"""The entry for callers that speak Dubbo: do their calls come to something, and can they find it?

Nothing is recorded ahead: where the entry does not run there is nothing to record.
"""

from __future__ import annotations

from dashboards.alerts.rule import Alert, Group

P = "milepost_dubbo_"
REQUESTS = "requests_total"
OURS = 'outcome=~"model_failed|timeout|unreachable|answer_too_large|exhausted|internal"'
THEIRS = 'outcome=~"not_found|serialization|bad_request|too_large"'
FAILED_MAX = 0.05
CALLS_MIN = 0.1
"""Calls a second below which nothing is said: one of ten that fails is no trouble yet."""


def _calls(matcher: str = "") -> str:
    matchers = f"{{{matcher}}}" if matcher else ""
    return f"sum by (interface, method) (rate({P}{REQUESTS}{matchers}[5m]))"


DUBBO = Group(
    "milepost-dubbo",
    (
        Alert(
            "MilepostDubboCallsFail", "warning",
            f"{_calls(OURS)} / {_calls()} > {FAILED_MAX} and {_calls()} > {CALLS_MIN}", "5m",
            "Dubbo calls of [interface] [method] fail",
            "[value|humanizePercentage] of the calls of [interface] [method] end without a result.",
        ),
        Alert(
            "MilepostDubboCallsRefused", "warning", f"{_calls(THEIRS)} > {CALLS_MIN}", "15m",
            "Dubbo callers ask [interface] [method] for what is not served",
            "[value|humanize] calls a second of [interface] [method] cannot become a request: callers and services "
            "file do not fit each other.",
        ),
        Alert(
            # Before the first registration the pods are not ready, which is told otherwise.
            "MilepostDubboUnregistered", "critical",
            f"{P}registry_connected == 0 and on (job, instance) {P}registrations_total > 0", "5m",
            "Dubbo entry [instance] is not in ZooKeeper any more",
            "Dubbo entry [instance] has no session with ZooKeeper: callers that start now do not find it.",
        ),
    ),
)  # fmt: skip

GROUPS = (DUBBO,)
