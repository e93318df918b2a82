"""Dubbo entry: what calls come to, how long they take, what callers ask wrongly, how full it is, who finds it.

What a failed and a refused call is, the alerts say (`dashboards/alerts/dubbo.py`). Where nothing failed there is no
series of a failure, which is no gap: figures show 0 then.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import variables
from dashboards.alerts.dubbo import CALLS_MIN, FAILED_MAX, OURS, REQUESTS, THEIRS, P
from dashboards.frame import framed
from dashboards.panels import BAD, CAREFUL, Column, PanelBuilder, Query, figure, heat, lines, states, table_of
from dashboards.promql import ANYWHERE, WINDOW, quantile, rate, ratio, sum_by, top

UID = "milepost-dubbo"
METHOD = "interface, method"
NAME = "{{interface}} {{method}}"


def _entry(metric: str, *matchers: str) -> str:
    return ANYWHERE(P + metric, 'namespace=~"$place"', *matchers)


def _service(metric: str, *matchers: str) -> str:
    return _entry(metric, 'interface=~"$interface"', *matchers)


CALLS = _service(REQUESTS)
FAILED = _service(REQUESTS, OURS)
REFUSED = _service(REQUESTS, THEIRS)
# A call that is refused unread counts as one of `other` that took no time: it would make the quantiles look better.
BUCKETS = _service("request_duration_seconds_bucket", 'interface!="other"')
IN_FLIGHT, IN_FLIGHT_LIMIT = _entry("requests_in_flight"), _entry("requests_in_flight_limit")
SERVICES, WANTED = _entry("registry_services"), _entry("registry_services_wanted")
CONNECTED = _entry("registry_connected")


def dubbo() -> Dashboard:
    """Return the dashboard of the entry for callers that speak Dubbo."""
    return framed(
        "Milepost / Dubbo entry",
        UID,
        "Calls over Dubbo: outcomes, duration, refusals, load, registration.",
        variables.job(variables.DUBBO_ENTRIES),
        variables.instance(variables.DUBBO_ENTRIES),
        variables.place(variables.DUBBO_ENTRIES),
        variables.interface(P + REQUESTS),
        rows={
            "At a glance": _figures(),
            "Calls": _calls(),
            "Duration": _durations(),
            "What callers ask wrongly": _refused(),
            "Load": _load(),
            "ZooKeeper": _registry(),
        },
    )


def _figures() -> list[PanelBuilder]:
    calls, failed = sum_by("", rate(CALLS)), sum_by("", rate(FAILED))
    return [
        figure("Calls", "Calls per second, whatever they came to.", "reqps", calls),
        figure("Failed", "Share of calls that end without a result, callers' own mistakes not counted.", "percentunit",
               ratio(failed, calls), steps=[(FAILED_MAX / 5, CAREFUL), (FAILED_MAX, BAD)]),
        figure("Refused", "Calls per second that cannot become a request: callers and services file do not fit each "
               "other.", "reqps", f"{sum_by('', rate(REFUSED))} or vector(0)", steps=[(CALLS_MIN, CAREFUL)]),
        figure("p95", "95 % of calls were answered within this time.", "s", quantile(0.95, "", BUCKETS)),
        figure("Fullest", "Calls under way over their limit, of the entry where it is greatest: at 1 further calls are "
               "answered EXHAUSTED.", "percentunit", f"max({IN_FLIGHT} / ({IN_FLIGHT_LIMIT} > 0))",
               steps=[(0.7, CAREFUL), (0.9, BAD)]),
        figure("Not registered", "Services that are not in ZooKeeper, or that soon will not be, since there is no "
               "session.", "short", f"sum({WANTED}) - sum({SERVICES} * {CONNECTED})", steps=[(1, BAD)]),
    ]  # fmt: skip


def _calls() -> list[PanelBuilder]:
    calls, failed, refused = (sum_by(METHOD, rate(series)) for series in (CALLS, FAILED, REFUSED))
    return [
        table_of("Methods", "One row a method of the services file; what is not in it, or is turned away unread (too "
                 "large, too much under way), has the interface other.",
                 ["interface", "method"], Column("Calls", calls, "reqps"),
                 Column("Failed", ratio(failed, calls), "percentunit", bad_from=FAILED_MAX),
                 Column("Refused", refused, "reqps", bad_from=CALLS_MIN),
                 Column("p50", quantile(0.5, METHOD, BUCKETS), "s"),
                 Column("p95", quantile(0.95, METHOD, BUCKETS), "s"),
                 Column("p99", quantile(0.99, METHOD, BUCKETS), "s")),
        lines("Calls by outcome", "Calls per second by what they came to; caller_gone: its connection ended before the "
              "answer.", "reqps", Query(sum_by("outcome", rate(CALLS)), "{{outcome}}"), stacked=True),
        lines("Calls by method", "Calls per second of the 20 busiest methods.", "reqps", Query(top(20, calls), NAME)),
        lines("Failures by reason", "Calls per second that ended without a result, by method and why: the model "
              "failed, was late or not reached, its answer was too large, too much was under way, or a fault of the "
              "entry.", "reqps", Query(top(20, sum_by(f"{METHOD}, outcome", rate(FAILED))), f"{NAME} {{{{outcome}}}}")),
        lines("Failed by method", "The 20 methods with the greatest share of calls that ended without a result.",
              "percentunit", Query(top(20, ratio(failed, calls)), NAME)),
    ]  # fmt: skip


def _durations() -> list[PanelBuilder]:
    return [
        *(
            lines(f"p{percent} by service", f"{told} of the service's calls were answered within this time.", "s",
                  Query(quantile(percent / 100, "interface", BUCKETS), "{{interface}}"), span=8)
            for percent, told in ((50, "Half"), (95, "95 %"), (99, "99 %"))
        ),
        lines("p95 by method", "The 20 slowest methods.", "s", Query(top(20, quantile(0.95, METHOD, BUCKETS)), NAME)),
        heat("Duration, all calls", "How many calls per second took how long.", sum_by("le", rate(BUCKETS))),
    ]  # fmt: skip


def _refused() -> list[PanelBuilder]:
    closed = _entry("connections_closed_total")
    return [
        lines("Refused by reason", "Calls per second that could not become a request, by service and why: not in the "
              "services file, arguments that do not fit or cannot be read, another serialization than hessian2, too "
              "large.", "reqps",
              Query(top(20, sum_by("interface, outcome", rate(REFUSED))), "{{interface}} {{outcome}}")),
        lines("Connections closed", "Connections per second that ended, by why. not_dubbo: what came was malformed; "
              "slow_writer, slow_reader and idle: the caller sent, read or said nothing; caller and stopped are the "
              "ordinary ends.", "cps", Query(sum_by("reason", rate(closed)), "{{reason}}")),
    ]  # fmt: skip


def _load() -> list[PanelBuilder]:
    def against(title: str, description: str, unit: str, used: str, limit: str) -> PanelBuilder:
        bound = Query(f"max({_entry(limit)})", "limit of each")
        return lines(title, description, unit, Query(sum_by("instance", _entry(used)), "{{instance}}"), bound, span=8)

    received, sent = _entry("received_bytes_total"), _entry("sent_bytes_total")
    return [
        against("Calls under way", "Calls of each entry that have no answer yet, against the limit from which on "
                "further ones are answered EXHAUSTED.", "short", "requests_in_flight", "requests_in_flight_limit"),
        against("Bytes under way", "Bytes of the calls of each entry that have no answer yet, against their limit.",
                "bytes", "in_flight_bytes", "in_flight_limit_bytes"),
        against("Connections", "Open connections of callers to each entry, against the limit from which on further "
                "ones are closed.", "short", "connections", "connections_limit"),
        lines("Received", "Bytes of frames per second that callers sent.", "Bps",
              Query(sum_by("instance", rate(received)), "{{instance}}")),
        lines("Sent", "Bytes of frames per second that were written for callers.", "Bps",
              Query(sum_by("instance", rate(sent)), "{{instance}}")),
    ]  # fmt: skip


def _registry() -> list[PanelBuilder]:
    made = f"increase({_entry('registrations_total')}[{WINDOW}])"
    return [
        states("Session", "Coloured while the entry has a session with ZooKeeper.",
               Query(sum_by("instance", CONNECTED), "{{instance}}"), colours={}, span=8),
        lines("Services", "Services that each entry has in ZooKeeper, and how many it should have. After a lost "
              "session the first falls only when ZooKeeper is back to say so.", "short",
              Query(sum_by("instance", SERVICES), "{{instance}}"), Query(f"max({WANTED})", "wanted"), span=8),
        lines("Registrations", "Entries made in ZooKeeper; later than the start, a session was lost or somebody "
              "deleted one.", "short", Query(sum_by("instance", made), "{{instance}}"), span=8),
    ]  # fmt: skip
