"""How the main Ingress moves from one Service to another without a request lost: pure.

After a change of an Ingress's backend ingress-nginx reloads nginx and, apart from that, posts the list of backends to
it (`internal/ingress/controller/controller.go`, `syncIngress`); each worker takes that list over within a second
(`rootfs/etc/nginx/lua/balancer.lua`). For a moment old workers still route to the old Service with the new list, or new
workers to the new Service with the old list, and a Service that their list lacks is answered with 503. So both Services
must be on the list before, during and after the move. A Service is on it when any Ingress names it, hence:

    named   the main Ingress also names the new Service, under a host of its own that nobody calls (*standby*)
    moved   once the router has had time for that: the new Service is the backend, the old one stands by
    left    once the router has had time for that too: the old one is named no more, unless its track still runs,
            so that a rollback can move at once

A Service that is named here cannot be a canary at the same time (`deploy.route.conflicts`), so a canary Ingress goes
first, and its share falls back to the stable track until the move.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from deploy.route.nginx import HANDOVER, standby_host
from deploy.route.plan import Backend, Handover, Route


class MainRoute(msgspec.Struct, frozen=True):
    """The main Ingress of a model as it is: the Service it leads to, those it only names, and since when."""

    primary: Backend
    standby: tuple[Backend, ...] = ()
    handover: Handover = Handover()


class Stage(msgspec.Struct, frozen=True):
    """What the route is to be now; until `wait_until` (Unix s, 0: no wait) nothing after it may be done."""

    route: Route
    wait_until: float = 0.0


def stage(route: Route, live: MainRoute | None, *, leaving: Collection[str], now: float, settle_s: float) -> Stage:
    """Return the next stage on the way to `route`. `leaving` are Services of tracks that are replaced but still run.

    `settle_s` is how long the router may take to follow a changed route.
    """
    new = route.stable.service
    if live is None:
        return Stage(_named(route, (), {new: now}, moved_at=now))
    since = {backend.service: now for backend in (live.primary, *live.standby)} | dict(live.handover.known)
    canary = route.candidate.service if route.candidate else ""
    known = [backend for backend in live.standby if backend.service != canary]
    if new == live.primary.service:
        over = live.handover.moved_at + settle_s
        kept = [backend for backend in known if backend.service in leaving]
        if now >= over or kept == known:
            return Stage(_named(route, kept, since, moved_at=live.handover.moved_at))
        return Stage(_named(route, known, since, moved_at=live.handover.moved_at), over)
    if any(backend.service == new for backend in known) and now >= since[new] + settle_s:
        others = [item for item in (*known, live.primary) if item.service not in (new, canary)]
        return Stage(_named(route, others, since, moved_at=now))
    others = [item for item in known if item.service != new]
    since = {new: now} | since
    staying = replace(route, stable=live.primary, candidate=None, split=None)
    told = _named(staying, [*others, route.stable], since, moved_at=live.handover.moved_at)
    return Stage(told, since[new] + settle_s)


def main_route(spec: Any, annotations: Mapping[str, str]) -> MainRoute | None:
    """Return what a rendered main Ingress says; None when it is not of that shape, as one that a person wrote."""
    try:
        main, *others = spec["rules"]
        primary = _backend(main["http"]["paths"][0])
        ours = [rule for rule in others if rule.get("host") == standby_host(main["host"])]
        standby = tuple(_backend(path) for rule in ours for path in rule["http"]["paths"])
        handover = msgspec.json.decode(annotations.get(HANDOVER, "{}"), type=Handover)
    except (KeyError, IndexError, ValueError, TypeError, msgspec.MsgspecError):
        return None
    return MainRoute(primary, standby, handover)


def _named(route: Route, standby: Collection[Backend], since: Mapping[str, float], *, moved_at: float) -> Route:
    names = {backend.service for backend in (route.stable, *standby)}
    known = {name: round(since[name], 1) for name in sorted(names)}
    ordered = tuple(sorted(standby, key=lambda backend: backend.service))
    return replace(route, standby=ordered, handover=Handover(round(moved_at, 1), known))


def _backend(path: Any) -> Backend:
    service = path["backend"]["service"]
    return Backend(service["name"], service["port"]["number"])
