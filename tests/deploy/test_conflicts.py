"""What ingress-nginx would do silently wrong beside existing Ingresses is refused before it is applied."""

from typing import Any

import msgspec
import pytest

from deploy.objects import Body, KubeObject
from deploy.render import render
from deploy.route.conflicts import conflicts
from deploy.settings import Cluster
from deploy.spec.release import Release

SK = {"name": "m", "namespace": "n", "framework": "sklearn", "modelUri": "gs://b/m"}
HOST = "m-n.models.internal"


def rendered(document: dict[str, Any]) -> tuple[KubeObject, ...]:
    return render(msgspec.convert(document, Release), Cluster())


STABLE = {"stable": SK | {"predictor": "r1"}}
CANARY = STABLE | {"candidate": SK | {"predictor": "r2"}, "split": {"percent": 10}}


def ingress(name: str, host: str, service: str, *, namespace: str = "n", canary: bool = False, path: str = "/") -> Body:
    backend = {"service": {"name": service, "port": {"number": 8000}}}
    annotations = {"nginx.ingress.kubernetes.io/canary": "true"} if canary else {}
    return {
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"rules": [{"host": host, "http": {"paths": [{"path": path, "backend": backend}]}}]},
    }


TABLE: list[tuple[str, dict[str, Any], Body, str | None]] = [
    ("an empty neighbour", STABLE, {"metadata": {"name": "x", "namespace": "n"}, "spec": {}}, None),
    ("another model", CANARY, ingress("x", "x.models.internal", "x-default"), None),
    ("the same names elsewhere", CANARY, ingress("x", "x.models.internal", "m-r2", namespace="other"), None),
    ("its own main Ingress of before", CANARY, ingress("m", HOST, "m-r2"), None),
    ("its own canary of before", CANARY, ingress("m-canary", HOST, "m-r9", canary=True), None),
    ("the canary is primary elsewhere", CANARY, ingress("x", "x.example.com", "m-r2"), "get no requests"),
    ("a second canary", CANARY, ingress("x", HOST, "m-r3", canary=True), "second one is ignored"),
    ("stable shared in a split", CANARY, ingress("x", "x.example.com", "m-r1"), "take its requests"),
    ("stable shared without a split", STABLE, ingress("x", "x.example.com", "m-r1"), None),
    ("the host is taken", STABLE, ingress("x", HOST, "x-default"), "already served by Ingress n/x"),
    ("the host is taken elsewhere", STABLE, ingress("x", HOST, "x", namespace="o"), "already served by Ingress o/x"),
    ("another path of the host", STABLE, ingress("x", HOST, "x-default", path="/x"), None),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_neighbours(row: Any) -> None:
    _, release, neighbour, text = row
    found = conflicts(rendered(release), [neighbour])
    if text is None:
        assert found == []
    else:
        assert [text in item.rule for item in found] == [True]


def test_a_canary_whose_service_is_this_models_main_backend_is_refused() -> None:
    objects = rendered(CANARY)
    main = next(item for item in objects if item.name == "m" and item.kind == "Ingress")
    promoted = KubeObject(main.body | {"spec": objects[-1].body["spec"]})
    found = conflicts([promoted, objects[-1]], [])
    assert ["get no requests" in item.rule for item in found] == [True]
