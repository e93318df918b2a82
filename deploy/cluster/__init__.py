"""One model on one cluster: look, apply, try, delete. The only file of the operations that speaks to the API server.

Every write is a server-side apply under our field manager, forced: what we render is ours, what others add beside it
stays theirs. Before it is sent an object gets the digest of what was rendered and the model's label, so the next look
can tell what is current and what nothing renders any more.

Errors of the API server become those of `deploy.errors` here, by status: 403 Denied, 404 Absent, 409 Conflict, 400 and
422 Refused (also a refusal by an admission webhook, whose message is kept word for word), all else Unavailable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from deploy.errors import Absent, Conflict, Denied, PlatformError, Refusal, Refused, Unavailable
from deploy.objects import FIELD_MANAGER, INGRESS, PLURALS, SELDON, Body, KubeObject, collection_path
from deploy.route.conflicts import conflicts
from deploy.route.handover import MainRoute, main_route
from deploy.route.nginx import PREFIX as NGINX
from deploy.seen import (
    DIGEST_ANNOTATION,
    MODEL_LABEL,
    ROUTE_KINDS,
    SELDON_ID_LABEL,
    Address,
    Owned,
    Seen,
    see,
    services_of,
)
from deploy.seen.kinds import Deployment, EndpointSlice, Meta, Seldon, Service
from milepost.kube import ContentType, KubeClient, KubeError

Item = TypeVar("Item")

_REFUSED = frozenset({400, 405, 413, 415, 422})


class _Ours(msgspec.Struct, frozen=True):
    metadata: Meta = Meta()
    spec: Any = None


def translated(error: KubeError) -> PlatformError:
    """Return the error of our tree that says who must act on this answer of the API server."""
    if error.status == 403 and "admission webhook" not in error.message:
        return Denied(error.message)
    if error.status == 404:
        return Absent(error.message)
    if error.status == 409:
        return Conflict(error.message)
    if error.status in _REFUSED or "admission webhook" in error.message:
        return Refused([Refusal("(cluster)", error.reason, error.message)])
    return Unavailable(str(error))


class Cluster:
    """The objects of models, through one client (and so with one identity's rights)."""

    def __init__(self, kube: KubeClient) -> None:
        self.kube = kube
        self._absent_kinds: set[tuple[str, str]] = set()

    async def look(self, namespace: str, name: str) -> Seen:
        """Return what the cluster shows of the model now."""
        ours = f"{SELDON_ID_LABEL}={name}"
        seldon, deployments, services, slices, objects = await asyncio.gather(
            self._get(collection_path(SELDON, "seldondeployments", namespace) + f"/{name}", Seldon),
            self.items(collection_path("apps/v1", "deployments", namespace), ours, Deployment),
            self.items(collection_path("v1", "services", namespace), ours, Service),
            self.items(collection_path("discovery.k8s.io/v1", "endpointslices", namespace), ours, EndpointSlice),
            self.owned(namespace, name),
        )
        return see(seldon, deployments, services, slices, objects)

    async def owned(self, namespace: str, name: str) -> dict[Address, Owned]:
        """Return our objects of this model by address."""
        selector = f"{MODEL_LABEL}={name}"
        kinds = [kind for kind in PLURALS if kind not in self._absent_kinds]
        found = await asyncio.gather(*(self._owned_of(kind, namespace, selector) for kind in kinds))
        return {address: owned for part in found for address, owned in part.items()}

    async def apply(self, objects: Iterable[KubeObject], *, dry_run: bool = False) -> list[Body]:
        """Apply the objects in order and return what the server made of each. Raises PlatformError."""
        params: dict[str, str | int | bool] = {
            "fieldManager": FIELD_MANAGER,
            "force": True,
            "fieldValidation": "Strict",
        }
        if dry_run:
            params["dryRun"] = "All"
        answers = []
        for item in objects:
            body = msgspec.json.encode(item.body)
            raw = await self.request("PATCH", item.path, params=params, body=body, content_type=ContentType.APPLY)
            answers.append(msgspec.json.decode(raw))
        return answers

    async def refuse_conflicts(self, objects: Iterable[KubeObject]) -> None:
        """Raise Refused when an Ingress among these would break, or be broken by, one that exists.

        Without the right to list the Ingresses of all namespaces only those of the model's own are compared.
        """
        rendered = [item for item in objects if item.kind == "Ingress"]
        if rendered:
            existing, _ = await self.ingresses(rendered[0].namespace)
            if found := conflicts(rendered, existing):
                raise Refused(found)

    async def ingresses(self, namespace: str) -> tuple[list[Body], bool]:
        """Return the Ingresses of all namespaces and True; without the right to list those, one's own and False."""
        try:
            return await self.items(collection_path(INGRESS, "ingresses", None), "", dict), True
        except Denied:
            return await self.items(collection_path(INGRESS, "ingresses", namespace), "", dict), False

    async def remove(self, addresses: Sequence[Address]) -> None:
        """Delete these objects, their dependents first; one that does not exist is no error."""
        for api_version, kind, namespace, name in addresses:
            path = f"{collection_path(api_version, PLURALS[api_version, kind], namespace)}/{name}"
            body = msgspec.json.encode({"propagationPolicy": "Foreground"})
            try:
                await self.request("DELETE", path, body=body)
            except Absent:
                continue

    async def read(self, item: KubeObject) -> Body | None:
        """Return the live object, or None."""
        try:
            body: Body = msgspec.json.decode(await self.request("GET", item.path))
        except Absent:
            return None
        return body

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        """Send one request; raises the errors of `deploy.errors`."""
        try:
            return await self.kube.request(method, path, **options)
        except KubeError as error:
            raise translated(error) from error

    async def _get(self, path: str, kind: type[Item]) -> Item | None:
        try:
            return msgspec.json.decode(await self.request("GET", path), type=kind)
        except Absent:
            return None

    async def items(self, path: str, selector: str, kind: type[Item]) -> list[Item]:
        """Return every object of a collection that has these labels ("" = all)."""
        items: list[Item] = []
        decoder = msgspec.json.Decoder(_list_type(kind))
        try:
            async for page in self.kube.list_pages(path, {"labelSelector": selector} if selector else {}):
                items.extend(decoder.decode(page).items)
        except KubeError as error:
            raise translated(error) from error
        return items

    async def _owned_of(self, kind: tuple[str, str], namespace: str, selector: str) -> dict[Address, Owned]:
        api_version, name = kind
        try:
            items = await self.items(collection_path(api_version, PLURALS[kind], namespace), selector, _Ours)
        except Absent:
            # The cluster has no such kind, as where the Gateway API or the Prometheus operator is not installed.
            self._absent_kinds.add(kind)
            return {}
        route = name in ROUTE_KINDS
        return {
            (api_version, name, namespace, item.metadata.name): Owned(
                item.metadata.annotations.get(DIGEST_ANNOTATION, ""),
                frozenset(services_of(item.spec)) if route else frozenset(),
                _main(item) if name == "Ingress" else None,
            )
            for item in items
        }


def _main(item: _Ours) -> MainRoute | None:
    if f"{NGINX}/canary" in item.metadata.annotations:
        return None
    return main_route(item.spec, item.metadata.annotations)


def _list_type(kind: type[Item]) -> Any:
    return msgspec.defstruct("_Items", [("items", list[kind])])  # type: ignore[valid-type]
