"""Rendered Kubernetes objects, and where each kind lives in the API.

A `KubeObject` is exactly what is sent to the API server. It is a value between stages: nobody changes its body.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml

from deploy.errors import Broken

PREFIX = "milepost.dev"
"""The prefix of our own labels and annotations."""
MANAGED_BY = {"app.kubernetes.io/managed-by": "milepost"}
FIELD_MANAGER = "milepost"

Body = dict[str, Any]

SELDON = "machinelearning.seldon.io/v1"
INGRESS = "networking.k8s.io/v1"
GATEWAY = "gateway.networking.k8s.io/v1"

PLURALS: dict[tuple[str, str], str] = {
    (SELDON, "SeldonDeployment"): "seldondeployments",
    (INGRESS, "Ingress"): "ingresses",
    (INGRESS, "NetworkPolicy"): "networkpolicies",
    (GATEWAY, "HTTPRoute"): "httproutes",
    (GATEWAY, "GRPCRoute"): "grpcroutes",
    ("monitoring.coreos.com/v1", "ServiceMonitor"): "servicemonitors",
    ("discovery.k8s.io/v1", "EndpointSlice"): "endpointslices",
    ("v1", "Service"): "services",
}
"""Every kind that a model is rendered to, with the plural name its path has."""


@dataclass(frozen=True, slots=True)
class KubeObject:
    """One namespaced object as it is sent."""

    body: Body

    @property
    def api_version(self) -> str:
        """`group/version`, or `v1` for the core group."""
        return str(self.body["apiVersion"])

    @property
    def kind(self) -> str:
        """The kind, such as `Ingress`."""
        return str(self.body["kind"])

    @property
    def namespace(self) -> str:
        """The namespace."""
        return str(self.body["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The name."""
        return str(self.body["metadata"]["name"])

    @property
    def address(self) -> tuple[str, str, str, str]:
        """(apiVersion, kind, namespace, name): what makes two objects the same one."""
        return self.api_version, self.kind, self.namespace, self.name

    @property
    def collection(self) -> str:
        """The path of the collection; raises Broken for a kind missing from PLURALS."""
        plural = PLURALS.get((self.api_version, self.kind))
        if plural is None:
            raise Broken(f"{self.api_version} {self.kind} has no row in deploy.objects.PLURALS")
        return collection_path(self.api_version, plural, self.namespace)

    @property
    def path(self) -> str:
        """The path of the object itself."""
        return f"{self.collection}/{quote(self.name)}"


def collection_path(api_version: str, plural: str, namespace: str | None) -> str:
    """Return the path of a collection; a namespace of None is for every namespace or a cluster-wide kind."""
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    return f"{root}/{plural}" if namespace is None else f"{root}/namespaces/{quote(namespace)}/{plural}"


class _Plain(yaml.SafeDumper):
    """Writes shared parts in full: anchors would be right but unreadable in a manifest."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(objects: Iterable[KubeObject]) -> str:
    """Return the objects as one YAML stream that `kubectl apply -f -` reads."""
    documents = (yaml.dump(item.body, Dumper=_Plain, sort_keys=False, width=120) for item in objects)
    return "---\n".join(documents)
