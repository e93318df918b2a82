"""The entry for callers that speak Dubbo."""

from __future__ import annotations

from tests.dashboards.cases import Case

SELF = 'job="dubbo",instance="a:9660"'
CALLED = 'interface="com.example.Scorer",method="score"'


def calls(**outcomes: str) -> dict[str, str]:
    """Calls of one method by what they came to."""
    return {
        f'milepost_dubbo_requests_total{{{SELF},{CALLED},outcome="{outcome}"}}': values
        for outcome, values in outcomes.items()
    }


def registry(connected: str, registrations: str) -> dict[str, str]:
    """The session with ZooKeeper, and the entries made so far."""
    return {
        f"milepost_dubbo_registry_connected{{{SELF}}}": connected,
        f"milepost_dubbo_registrations_total{{{SELF}}}": registrations,
    }


FAIL, REFUSED, UNREGISTERED = "MilepostDubboCallsFail", "MilepostDubboCallsRefused", "MilepostDubboUnregistered"
CASES = (
    Case(FAIL, "the model times out for half an hour, then answers",
         calls(ok="0+60x5 300+30x30 1200+60x30", timeout="0x5 0+30x30 900x30"), {4: 0, 20: 1, 50: 0}),
    Case(FAIL, "one in a hundred fails", calls(ok="0+99x40", model_failed="0+1x40"), {20: 0, 35: 0}),
    Case(FAIL, "low traffic: every call fails, one in a minute", calls(unreachable="0+1x40"), {20: 0, 35: 0}),
    Case(FAIL, "callers ask for what is not served", calls(not_found="0+60x40"), {20: 0}),
    Case(FAIL, "the entry is restarted and counts again",
         calls(ok="9000+60x20 0+60x20", timeout="900x20 0x20"), {30: 0}),
    Case(FAIL, "no call yet, no series", {}, {20: 0}),
    Case(REFUSED, "a caller of an interface that was taken out, until it is changed",
         calls(ok="0+60x90", not_found="0+12x40 480x50"), {10: 0, 25: 1, 60: 0}),
    Case(REFUSED, "one call by mistake", calls(ok="0+60x60", bad_request="0x10 1x50"), {25: 0, 50: 0}),
    Case(REFUSED, "the model fails, callers are right", calls(model_failed="0+60x60"), {40: 0}),
    Case(REFUSED, "the entry is restarted and counts again", calls(not_found="900x20 0x30"), {30: 0, 45: 0}),
    Case(UNREGISTERED, "ZooKeeper is away for half an hour", registry("1x10 0x30 1x30", "2x40 4x30"),
         {5: 0, 20: 1, 50: 0}),
    Case(UNREGISTERED, "ZooKeeper is away for two minutes", registry("1x10 0x2 1x30", "2x50"), {20: 0}),
    Case(UNREGISTERED, "nobody wanted a registry", registry("0x60", "0x60"), {30: 0, 55: 0}),
)  # fmt: skip
