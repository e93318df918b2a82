"""From a release to everything that is applied for it: pure, complete and checked.

    Release ─▶ rules of the spec ─▶ SeldonDeployment, route, extras ─▶ overrides ─▶ Seldon's and GpuManager's rules

`render` either returns all objects, in the order in which they are applied, or raises `Refused` with every reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deploy import rules
from deploy.errors import Refusal, Refused
from deploy.objects import Body, KubeObject, allocation, shape, webhook
from deploy.objects.extras import extras
from deploy.objects.overrides import apply_overrides
from deploy.objects.seldon import seldon_deployment
from deploy.route import gateway, nginx
from deploy.route.plan import Route, external_objects, route_of
from deploy.route.rules import release_refusals
from deploy.rules.container import pod_refusals
from deploy.settings import Cluster
from deploy.spec import ModelSpec
from deploy.spec.release import Release

ROUTERS = {"nginx": nginx.render, "gateway": gateway.render}
NOTHING_OBSERVED: Mapping[str, str] = {}


def render(
    release: Release | ModelSpec,
    cluster: Cluster,
    services: Mapping[str, str] = NOTHING_OBSERVED,
    *,
    staged: Route | None = None,
) -> tuple[KubeObject, ...]:
    """Return the objects of a release, the SeldonDeployment first and the route last.

    `services` maps predictor to Service as `status.serviceStatus` has it; a predictor missing there uses the name that
    the spec pins. `staged` is rendered instead of the release's own route while that is being moved. Raises Refused.
    """
    if isinstance(release, ModelSpec):
        release = Release(stable=release)
    _refuse(_spec_refusals(release, cluster))
    spec = release.stable
    route = staged or route_of(release, cluster, services)
    objects = [seldon_deployment(release, cluster), *extras(spec, cluster)]
    if route is not None:
        if release.external is not None:
            objects += external_objects(spec, release.external)
        objects += ROUTERS[cluster.router](route, cluster)
    rendered = apply_overrides(objects, spec.overrides)
    _refuse(object_refusals(rendered, cluster))
    return rendered


def object_refusals(objects: tuple[KubeObject, ...], cluster: Cluster) -> Iterator[Refusal]:
    """Yield what Seldon's webhook, GpuManager or the API server would refuse in these objects."""
    for item in objects:
        if item.kind == "SeldonDeployment":
            # The rules read the object by its shape, so they are asked only where it has it.
            yield from tuple(shape.refusals(item.body)) or _rules_of(item.body, cluster)


def _rules_of(body: Body, cluster: Cluster) -> Iterator[Refusal]:
    pods = tuple(webhook.pods(body))
    yield from webhook.refusals(body)
    yield from allocation.refusals(pods, cluster)
    yield from pod_refusals(pods)


def _spec_refusals(release: Release, cluster: Cluster) -> Iterator[Refusal]:
    yield from rules.refusals(release.stable, cluster)
    if release.candidate is not None:
        for refusal in rules.refusals(release.candidate, cluster):
            yield Refusal(f"candidate.{refusal.field}", refusal.value, refusal.rule)
    yield from release_refusals(release, cluster)


def _refuse(refusals: Iterator[Refusal]) -> None:
    found = tuple(refusals)
    if found:
        raise Refused(found)
