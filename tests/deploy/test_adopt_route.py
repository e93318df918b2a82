"""Adopting an Ingress: the model keeps its address, and everything else of it."""

from typing import Any

import msgspec
import pytest

from deploy.errors import Refused
from deploy.render import render
from deploy.route.adopt import adopt_route
from deploy.settings import Cluster
from deploy.spec import ModelSpec

N = "nginx.ingress.kubernetes.io"
SPEC = ModelSpec(name="m", namespace="n", framework="sklearn", model_uri="gs://b/m", service_name=None)
SERVICE = "m-old-default"
CLUSTER = Cluster()


def ingress(annotations: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    path = {"path": "/m", "pathType": "Prefix", "backend": {"service": {"name": SERVICE, "port": {"number": 8000}}}}
    spec = {"ingressClassName": "nginx", "rules": [{"host": "old.example.com", "http": {"paths": [path]}}]}
    metadata = {"name": "old-ingress", "namespace": "n", "annotations": annotations or {}, "uid": "1"}
    return {"metadata": metadata, "spec": spec | fields, "status": {"loadBalancer": {}}}


def adopted(body: dict[str, Any], spec: ModelSpec = SPEC) -> tuple[ModelSpec, dict[str, Any]]:
    result = adopt_route(spec, SERVICE, [ingress() | {"spec": {}}, body], CLUSTER)
    return result, render(result, CLUSTER, {"default": SERVICE})[-1].body


FULL = {
    f"{N}/limit-rps": "20",
    f"{N}/limit-connections": "5",
    f"{N}/limit-burst-multiplier": "3",
    f"{N}/limit-allowlist": "10.0.0.0/8,192.168.0.0/16",
    f"{N}/proxy-connect-timeout": "2",
    f"{N}/proxy-body-size": "8m",
    f"{N}/proxy-read-timeout": "300",
    f"{N}/proxy-buffering": "on",
    "cert-manager.io/issuer": "ca",
    "kubectl.kubernetes.io/last-applied-configuration": "{}",
}


def test_what_the_spec_has_a_field_for_is_read_into_it() -> None:
    spec, body = adopted(ingress(FULL, tls=[{"hosts": ["old.example.com"], "secretName": "cert"}]))
    route = spec.route
    assert (route.name, route.host, route.path, route.tls_secret) == ("old-ingress", "old.example.com", "/m", "cert")
    assert (route.limits.requests_per_second, route.limits.concurrency, route.limits.burst) == (20, 5, 3)
    assert route.limits.allow == ("10.0.0.0/8", "192.168.0.0/16")
    assert (route.body_size, route.timeouts.connect_seconds) == ("8MiB", 2)
    assert body["metadata"]["annotations"] == {k: v for k, v in FULL.items() if "last-applied" not in k}


@pytest.mark.parametrize(
    "body",
    [
        ingress(),
        ingress(FULL),
        ingress({f"{N}/proxy-body-size": "0", f"{N}/limit-rps": "x"}),
        ingress(ingressClassName="nginx-external"),
        ingress(ingressClassName="other"),
        ingress({"kubernetes.io/ingress.class": "nginx"}, ingressClassName=None),
        ingress(tls=[{"hosts": ["a"]}, {"hosts": ["b"]}]),
    ],
)
def test_the_ingress_is_rendered_back_as_it_was(body: dict[str, Any]) -> None:
    _, rendered = adopted(body)
    assert rendered["spec"] == {key: value for key, value in body["spec"].items() if value is not None}
    wanted = {k: v for k, v in body["metadata"]["annotations"].items() if "last-applied" not in k}
    assert rendered["metadata"]["annotations"] == wanted
    assert rendered["metadata"]["name"] == "old-ingress"


def test_the_path_type_stays_and_a_named_port_becomes_the_services_number() -> None:
    body = ingress()
    path = body["spec"]["rules"][0]["http"]["paths"][0]
    path["pathType"] = "ImplementationSpecific"
    path["backend"]["service"]["port"] = {"name": "http"}
    _, rendered = adopted(body)
    (found,) = rendered["spec"]["rules"][0]["http"]["paths"]
    assert found["pathType"] == "ImplementationSpecific"
    assert found["backend"]["service"] == {"name": SERVICE, "port": {"number": 8000}}


def test_a_later_change_of_a_limit_reaches_the_ingress() -> None:
    spec, _ = adopted(ingress(FULL))
    limits = msgspec.structs.replace(spec.route.limits, requests_per_second=99)
    changed = msgspec.structs.replace(spec, route=msgspec.structs.replace(spec.route, limits=limits))
    body = render(changed, CLUSTER, {"default": SERVICE})[-1].body
    assert body["metadata"]["annotations"][f"{N}/limit-rps"] == "99"


def test_without_an_ingress_the_spec_stays_as_it_is() -> None:
    other = ingress()
    other["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = "somebody-else"
    canary = ingress({f"{N}/canary": "true"})
    assert adopt_route(SPEC, SERVICE, [other, canary], CLUSTER) is SPEC


def test_what_cannot_be_one_models_route_is_refused() -> None:
    with pytest.raises(Refused, match="delete the others"):
        adopt_route(SPEC, SERVICE, [ingress(), ingress()], CLUSTER)
    several = ingress()
    several["spec"]["rules"] *= 2
    with pytest.raises(Refused, match="one path of one host"):
        adopt_route(SPEC, SERVICE, [several], CLUSTER)
    nowhere = ingress()
    del nowhere["spec"]["rules"][0]["host"]
    with pytest.raises(Refused, match="one path of one host"):
        adopt_route(SPEC, SERVICE, [nowhere], CLUSTER)
