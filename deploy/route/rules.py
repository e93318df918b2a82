"""The rules of a spec's route and of a release's split."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from types import MappingProxyType

from deploy.errors import Refusal
from deploy.objects.seldon import pinned_service
from deploy.settings import Cluster
from deploy.spec import ModelSpec
from deploy.spec.frameworks import protocol_of
from deploy.spec.release import External, Release, Split
from milepost.units import parse_size

_HOST = re.compile(r"^(\*\.)?([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_PATH = re.compile(r"^/[-A-Za-z0-9._~/:@%+]*$")
_TOKEN = re.compile(r"^[A-Za-z0-9][-A-Za-z0-9_]*$")
HOST_MAX = 253


def release_refusals(release: Release, cluster: Cluster) -> Iterator[Refusal]:
    """Yield what is wrong with a release beyond its specs."""
    if release.candidate is not None and release.external is not None:
        yield Refusal("external", "set", "one route has one split: finish the canary or the migration first")
    if release.split is not None:
        yield from _split(release.split, release)
    if release.candidate is not None:
        yield from _candidate(release.stable, release.candidate)
    if release.external is not None:
        yield from _external(release.external, release, cluster)


def _host(spec: ModelSpec, cluster: Cluster) -> Iterator[Refusal]:
    host = spec.route.host or f"{spec.name}-{spec.namespace}.{cluster.domain}"
    if len(host) > HOST_MAX or not _HOST.match(host):
        yield Refusal("route.host", host, "it must be a DNS name of at most 253 characters, 63 a label")


def _path(spec: ModelSpec, cluster: Cluster) -> Iterator[Refusal]:
    if not _PATH.match(spec.route.path):
        yield Refusal("route.path", spec.route.path, "it must be an absolute path, without a query or a pattern")
    if spec.route.strip_path and cluster.router == "nginx":
        rule = "a rewrite turns every path of this host into a regular expression; use a host of the model's own"
        yield Refusal("route.stripPath", True, rule)


def _grpc(spec: ModelSpec, cluster: Cluster) -> Iterator[Refusal]:
    if spec.transport != "grpc" or spec.route.exposure == "none":
        return
    if cluster.router == "nginx" and not spec.route.tls_secret:
        yield Refusal("route.tlsSecret", None, "gRPC through ingress-nginx needs TLS at the listener")
    if spec.route.path != "/":
        yield Refusal("route.path", spec.route.path, "gRPC calls have their own paths; the route's is /")


def _gateway(spec: ModelSpec, cluster: Cluster) -> Iterator[Refusal]:
    if cluster.router != "gateway":
        return
    limits = spec.route.limits
    fields = ("requests_per_second", "requests_per_minute", "concurrency", "burst")
    for field in fields:
        if getattr(limits, field) is not None:
            yield Refusal(f"route.limits.{_wire(field)}", getattr(limits, field), "the Gateway API has no limits")
    if limits.allow:
        yield Refusal("route.limits.allow", list(limits.allow), "the Gateway API has no limits")
    if spec.route.body_size:
        yield Refusal("route.bodySize", spec.route.body_size, "the Gateway API has no limit of the body")
    if spec.route.tls_secret:
        yield Refusal("route.tlsSecret", spec.route.tls_secret, "with the Gateway API, TLS is the Gateway's")


def _limits(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    limits = spec.route.limits
    if limits.burst is not None and limits.requests_per_second is None and limits.requests_per_minute is None:
        yield Refusal("route.limits.burst", limits.burst, "it multiplies a rate; write requestsPerSecond or -Minute")
    for network in limits.allow:
        try:
            ip_network(network, strict=False)
        except ValueError:
            yield Refusal("route.limits.allow", network, "it must be an address or a network such as 10.0.0.0/8")


def _timeouts(spec: ModelSpec, cluster: Cluster) -> Iterator[Refusal]:
    seconds = spec.route.timeouts.request_seconds
    if seconds is not None and seconds > cluster.request_seconds_max:
        rule = f"at most {cluster.request_seconds_max} s (setting --cluster-request-seconds-max)"
        yield Refusal("route.timeouts.requestSeconds", seconds, rule)


def _body_size(spec: ModelSpec, _: Cluster) -> Iterator[Refusal]:
    if spec.route.body_size is None:
        return
    try:
        parse_size(spec.route.body_size)
    except ValueError as error:
        yield Refusal("route.bodySize", spec.route.body_size, str(error))


def _mirror(spec: ModelSpec, cluster: Cluster) -> Iterator[Refusal]:
    if spec.shadow is None or spec.route.exposure == "none":
        return
    if cluster.router == "nginx" and spec.shadow.percent != 100:
        yield Refusal("shadow.percent", spec.shadow.percent, "ingress-nginx mirrors all requests or none")
    if cluster.router == "nginx" and spec.transport == "grpc":
        yield Refusal("shadow", "set", "ingress-nginx does not mirror gRPC")
    if spec.shadow.predictor == spec.predictor:
        yield Refusal("shadow.predictor", spec.shadow.predictor, "the model's own predictor has this name")


def _split(split: Split, release: Release) -> Iterator[Refusal]:
    if release.candidate is None and release.external is None:
        yield Refusal("split", "set", "there is no candidate and no external address to split with")
    if split.header_value is not None and split.header is None:
        yield Refusal("split.headerValue", split.header_value, "it needs split.header")
    for field, name in (("split.header", split.header), ("split.cookie", split.cookie)):
        if name is not None and not _TOKEN.match(name):
            yield Refusal(field, name, "letters, digits, - and _ only")
    if split.header_value is not None and not re.fullmatch(r"[-A-Za-z0-9_.:/=+]+", split.header_value):
        yield Refusal("split.headerValue", split.header_value, "letters, digits and -_.:/=+ only")


def _candidate(stable: ModelSpec, candidate: ModelSpec) -> Iterator[Refusal]:
    if candidate.key != stable.key:
        yield Refusal("candidate", candidate.key, f"a candidate is a version of the same model, {stable.key}")
    if candidate.predictor == stable.predictor:
        yield Refusal("candidate.predictor", candidate.predictor, "the stable track has this predictor")
    if protocol_of(candidate) != protocol_of(stable):
        rule = f"one SeldonDeployment has one protocol; the stable track speaks {protocol_of(stable)}"
        yield Refusal("candidate.protocol", protocol_of(candidate), rule)
    for field in ("transport", "orchestrator"):
        if getattr(candidate, field) != getattr(stable, field):
            rule = f"one SeldonDeployment has one; the stable track has {getattr(stable, field)!r}"
            yield Refusal(f"candidate.{field}", getattr(candidate, field), rule)
    service = pinned_service(candidate)
    if service is not None and service == pinned_service(stable):
        yield Refusal("candidate.serviceName", service, "the stable track's Service cannot be the canary's")


def _external(external: External, release: Release, cluster: Cluster) -> Iterator[Refusal]:
    given = {"service": external.service, "hostname": external.hostname, "addresses": external.addresses or None}
    if sum(value is not None for value in given.values()) != 1:
        yield Refusal("external", given, "write exactly one of service, hostname and addresses")
    if external.service is not None and external.service == pinned_service(release.stable):
        yield Refusal("external.service", external.service, "it is the model's own Service, which is the canary's here")
    if external.hostname is not None:
        if not _HOST.match(external.hostname):
            yield Refusal("external.hostname", external.hostname, "it must be a DNS name")
        if cluster.router == "gateway":
            rule = "Gateways do not follow ExternalName Services; write the addresses"
            yield Refusal("external.hostname", external.hostname, rule)
    families = set()
    for address in external.addresses:
        try:
            families.add(ip_address(address).version)
        except ValueError:
            yield Refusal("external.addresses", address, "it must be an IP address")
    if len(families) > 1:
        yield Refusal("external.addresses", list(external.addresses), "one family, IPv4 or IPv6")


def _wire(field: str) -> str:
    head, *rest = field.split("_")
    return head + "".join(part.capitalize() for part in rest)


ROUTE_RULES: Mapping[str, Callable[[ModelSpec, Cluster], Iterator[Refusal]]] = MappingProxyType(
    {
        "host": _host,
        "path": _path,
        "grpc": _grpc,
        "gateway": _gateway,
        "limits": _limits,
        "timeouts": _timeouts,
        "body size": _body_size,
        "mirror": _mirror,
    }
)
