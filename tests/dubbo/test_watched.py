"""Who watches the entry sees something: its alerts and its dashboard, asked of a real Prometheus that scrapes it.

The entry takes no part in the tour of `tests/e2e`, which holds the other programs to their dashboards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import yaml

from dashboards.alerts import dubbo
from deploy.dubbo.metrics import PREFIX
from tests.conftest import need
from tests.dashboards.answers import Answers, Vector, has_value
from tests.dashboards.expressions import DASHBOARDS, ELSEWHERE, Target, fill_in, selectors, targets
from tests.dashboards.test_dashboards import KNOWN
from tests.dubbo.conftest import SCORER
from tests.dubbo.program import HOST, DubboProgram
from tests.dubbo.test_java import MODELS
from tests.dubbo.test_registry import registered
from tests.dubbo.test_wire import eventually
from tests.dubbo.wire import Wire, body, predict
from tests.parts.prometheus import Prometheus
from tests.parts.proxy import BreakingProxy
from tests.parts.zookeeper import ZooKeeper

PAYLOAD_MAX = 64 << 10
IN_FLIGHT_MAX = 40
CONNECTIONS_MAX = 20
PLACE = "milepost-prod"
SEEN_S = 60.0
ROWS = "Ljava/util/List;"
QUERIES = targets([ELSEWHERE])
VARIABLES = [each["name"] for each in DASHBOARDS[ELSEWHERE]["templating"]["list"] if each["type"] == "query"]


@pytest.fixture(scope="module")
def to_zookeeper(zookeeper: ZooKeeper) -> Iterator[BreakingProxy]:
    with BreakingProxy(zookeeper.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def entry(
    services: str, to_zookeeper: BreakingProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DubboProgram]:
    with registered(
        tmp_path_factory.mktemp("entry"), services, "watched", f"127.0.0.1:{to_zookeeper.port}",
        f"--dubbo-payload-max={PAYLOAD_MAX}", f"--dubbo-in-flight-max={IN_FLIGHT_MAX}",
        "--dubbo-in-flight-bytes-max=1MiB", f"--dubbo-connections-max={CONNECTIONS_MAX}",
    ) as program:  # fmt: skip
        yield program


@pytest.fixture(scope="module")
def answers(
    entry: DubboProgram, prometheus_programs: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Answers]:
    """A Prometheus that scrapes the entry, with the label that the operator's would put on it."""
    assert prometheus_programs
    static = {"targets": [entry.url.removeprefix("http://")], "labels": {"namespace": PLACE}}
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "dubbo", "static_configs": [static]}],
    }
    folder = tmp_path_factory.mktemp("prometheus")
    # A rate needs two scrapes: with every series in the first one, a panel that has a value has all of them.
    call(entry)
    prometheus = need(lambda: Prometheus(folder, yaml.safe_dump(config)).start())
    yield Answers(prometheus.url, "20s", [ELSEWHERE])
    prometheus.stop()


@pytest.fixture(scope="module")
def shown(answers: Answers, entry: DubboProgram) -> dict[str, Vector]:
    """What the panels show while callers call, some of them wrongly."""
    deadline = time.monotonic() + SEEN_S
    while True:
        call(entry)
        found = answers.panels({})
        if all(map(has_value, found.values())) or time.monotonic() > deadline:
            return found


def call(entry: DubboProgram) -> None:
    """Make calls that come to something, calls that fail, and calls of what is not served."""
    with Wire(HOST, entry.port) as wire:
        wire.call(predict("sum", [[1.0]]))
        wire.call(predict("broken", [[1.0]]))
        wire.call(body("brief", ROWS, []))
        wire.call(body("nowhere", ROWS, []))
        wire.call(body("m", "", interface="a.B"))
        wire.call(body("predict", "I", 1))
        wire.call(b"{}", serialization=6)
        wire.call(bytes(PAYLOAD_MAX + 1))
    with Wire(HOST, entry.port) as telnet:
        telnet.write(b"ls\r\n")
        assert telnet.ends()


def answer(shown: dict[str, Vector], panel: str, number: int = 0) -> Vector:
    """Return the answer to one query of a panel."""
    target = query_of(panel, number)
    return shown[f"{target}: {target.expr}"]


def ask(answers: Answers, panel: str, **chosen: str) -> Vector:
    """Ask the first query of a panel again, with these variables chosen."""
    return answers.query(fill_in(query_of(panel).expr, chosen, rate_interval=answers.rate_interval))


def query_of(panel: str, number: int = 0) -> Target:
    """Return one query of a panel."""
    return [each for each in QUERIES if each.panel == panel][number]


def labels(found: Vector, *names: str) -> set[tuple[str, ...]]:
    return {tuple(series["metric"].get(name, "") for name in names) for series in found}


@pytest.mark.parametrize("target", QUERIES, ids=lambda target: f"{target.panel}: {target.expr[:60]}")
def test_no_panel_is_empty(shown: dict[str, Vector], target: Target) -> None:
    assert has_value(shown[f"{target}: {target.expr}"])


@pytest.mark.usefixtures("shown")
def test_the_variables_offer_what_there_is(answers: Answers, entry: DubboProgram) -> None:
    offered = answers.variables({})
    assert set(offered) == {f"{ELSEWHERE}: ${name}" for name in VARIABLES}
    assert offered[f"{ELSEWHERE}: $job"] == {"dubbo"}
    assert offered[f"{ELSEWHERE}: $instance"] == {entry.url.removeprefix("http://")}
    assert offered[f"{ELSEWHERE}: $place"] == {PLACE}
    assert offered[f"{ELSEWHERE}: $interface"] == {MODELS, "other"}


def test_the_panels_say_what_the_calls_came_to(shown: dict[str, Vector]) -> None:
    assert labels(answer(shown, "Failures by reason"), "method", "outcome") == {
        ("predict", "model_failed"), ("brief", "timeout"), ("nowhere", "unreachable"),
    }  # fmt: skip
    assert labels(answer(shown, "Refused by reason"), "interface", "outcome") == {
        ("other", "not_found"), (MODELS, "bad_request"), ("other", "serialization"), ("other", "too_large"),
    }  # fmt: skip
    assert ("not_dubbo",) in labels(answer(shown, "Connections closed"), "reason")
    assert labels(answer(shown, "p95 by service"), "interface") == {(MODELS,)}, "none that was not served"


def test_the_limits_are_those_that_were_set(shown: dict[str, Vector]) -> None:
    for panel, limit in (
        ("Calls under way", IN_FLIGHT_MAX),
        ("Bytes under way", 1 << 20),
        ("Connections", CONNECTIONS_MAX),
        ("Services", 2),
    ):
        (series,) = answer(shown, panel, 1)
        assert float(series["value"][1]) == limit, panel


@pytest.mark.parametrize("target", QUERIES, ids=lambda target: f"{target.panel}: {target.expr[:60]}")
def test_every_query_is_narrowed_by_place_and_service(target: Target) -> None:
    for selector in selectors(target.expr):
        assert selector.labels["namespace"] == "$place"
        assert ("interface" in selector.labels) == ("interface" in KNOWN[selector.metric])
    assert target.expr.count("interface=~") == target.expr.count('interface=~"$interface"')


@pytest.mark.usefixtures("shown")
def test_one_service_is_looked_at_alone(answers: Answers) -> None:
    assert labels(ask(answers, "Calls by method", interface=MODELS), "interface") == {(MODELS,)}
    assert ask(answers, "Calls by method", interface=SCORER) == []


@pytest.mark.usefixtures("shown")
def test_every_series_that_an_alert_looks_at_is_there(answers: Answers) -> None:
    wanted = {selector.metric for alert in dubbo.DUBBO.alerts() for selector in selectors(alert.expr)}
    assert len(wanted) == 3
    assert wanted <= set(answers.get("/api/v1/label/__name__/values"))


def test_every_metric_of_the_entry_is_on_the_dashboard() -> None:
    asked = {selector.metric for target in QUERIES for selector in selectors(target.expr)}
    aside = {f"{PREFIX}build_info", *(f"{PREFIX}request_duration_seconds_{part}" for part in ("sum", "count"))}
    assert {name for name in KNOWN if name.startswith(PREFIX)} - aside == asked


def test_without_a_session_the_services_count_as_not_registered(answers: Answers, to_zookeeper: BreakingProxy) -> None:
    def unregistered() -> float:
        (series,) = ask(answers, "Not registered")
        return float(series["value"][1])

    eventually(lambda: unregistered() == 0)
    to_zookeeper.stall()
    eventually(lambda: unregistered() == 2, 20)
    to_zookeeper.cut()
    to_zookeeper.flow()
    eventually(lambda: unregistered() == 0, 20)
