"""The main route moves in stages, so that ingress-nginx always knows the Service that it is asked for."""

from __future__ import annotations

from dataclasses import replace

from deploy.objects import KubeObject
from deploy.route import nginx
from deploy.route.conflicts import conflicts
from deploy.route.handover import MainRoute, Stage, main_route, stage
from deploy.route.plan import Backend, Route, route_of
from deploy.seen import services_of
from deploy.settings import Cluster
from deploy.spec import ModelSpec
from deploy.spec.release import Release, Split

SETTLE_S = 5.0
CLUSTER = Cluster()


def route(service: str, candidate: str = "") -> Route:
    made = route_of(
        Release(stable=ModelSpec(name="m", namespace="models", image="r/m:1")), CLUSTER, {"default": service}
    )
    assert made is not None
    if not candidate:
        return made
    return replace(made, candidate=Backend(candidate, made.stable.port), split=Split(percent=10))


def applied(staged: Stage) -> MainRoute:
    """The main Ingress as it is after that stage was applied."""
    main = main_route(*_parts(nginx.render(staged.route, CLUSTER)[0]))
    assert main is not None
    return main


def _parts(item: KubeObject) -> tuple[object, dict[str, str]]:
    return item.body["spec"], item.body["metadata"]["annotations"]


def staged(wanted: Route, live: MainRoute | None, now: float, *leaving: str) -> Stage:
    return stage(wanted, live, leaving=leaving, now=now, settle_s=SETTLE_S)


def names(main: MainRoute) -> tuple[str, set[str]]:
    return main.primary.service, {backend.service for backend in main.standby}


def test_a_new_service_is_named_first_then_led_to_and_the_old_one_stands_by() -> None:
    first = applied(staged(route("old"), None, 100.0))
    assert names(first) == ("old", set())

    told = staged(route("new"), first, 200.0)
    named = applied(told)
    assert names(named) == ("old", {"new"})
    assert told.wait_until == 205.0
    assert staged(route("new"), named, 204.0).wait_until == 205.0
    assert applied(staged(route("new"), named, 204.0)) == named

    moved = applied(staged(route("new"), named, 206.0))
    assert names(moved) == ("new", {"old"})
    assert staged(route("new"), moved, 207.0).wait_until == 211.0
    assert names(applied(staged(route("new"), moved, 211.0))) == ("new", set())


def test_a_track_that_still_runs_stands_by_so_that_a_rollback_moves_at_once() -> None:
    moved = applied(Stage(staged(route("new"), _named_long_ago("old", "new"), 300.0).route))
    kept = staged(route("new"), moved, 400.0, "old")
    assert kept.wait_until == 0
    assert names(applied(kept)) == ("new", {"old"})
    back = staged(route("old"), applied(kept), 401.0, "new")
    assert back.wait_until == 0
    assert names(applied(back)) == ("old", {"new"})


def test_a_canary_does_not_stand_by() -> None:
    live = _named_long_ago("old", "new")
    assert names(applied(staged(route("old", candidate="new"), live, 300.0))) == ("old", set())
    assert nginx.render(staged(route("old", candidate="new"), live, 300.0).route, CLUSTER)[1].name == "m-canary"
    moving = staged(route("other", candidate="old"), live, 300.0)
    assert len(nginx.render(moving.route, CLUSTER)) == 1, "no canary while the main route is on its way"


def test_what_stands_by_is_neither_led_to_nor_in_anybodys_way() -> None:
    main = nginx.render(staged(route("new"), _named_long_ago("old"), 300.0).route, CLUSTER)[0]
    assert set(services_of(main.body)) == {"old"}
    canary = nginx.render(route("old", candidate="new"), CLUSTER)[1]
    assert conflicts([canary], [main.body]) == []


def test_an_ingress_that_somebody_else_wrote_is_replaced_as_it_is() -> None:
    assert main_route({"defaultBackend": {}}, {}) is None
    assert main_route({"rules": [{"host": "a", "http": {"paths": []}}]}, {}) is None
    assert staged(route("new"), None, 100.0).wait_until == 0


def _named_long_ago(primary: str, *standby: str) -> MainRoute:
    since = dict.fromkeys((primary, *standby), 1.0)
    first = applied(staged(route(primary), None, 1.0))
    assert first.handover.known == {primary: 1.0}
    backends = tuple(Backend(name, first.primary.port) for name in standby)
    return MainRoute(first.primary, backends, type(first.handover)(1.0, since))
