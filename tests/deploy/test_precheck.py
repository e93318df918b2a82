"""What is asked of a real API server before a migration: could the old address answer?"""

from __future__ import annotations

from typing import Any

import pytest

from deploy.cluster import Cluster
from deploy.errors import Refused
from deploy.operate.precheck import refuse_unreachable
from deploy.record import Record, edits
from deploy.record.journal import Deed
from deploy.spec.file import from_document
from deploy.spec.release import External, Split
from milepost.kube import resource_path
from tests.deploy.test_operations import old_address
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, create_namespace

pytestmark = pytest.mark.cluster


def moving(namespace: str, old: External, record: Record | None = None) -> tuple[Record, Record]:
    """The record before and after a migration from this address."""
    spec = from_document({"name": "m", "namespace": namespace, "image": "i:1"})
    before = record or edits.apply(Record(namespace, "m"), spec, Deed("ada", 1.0, id="a"))
    return before, edits.migrate(before, old, Split(percent=30), Deed("ada", 2.0, id="b"))


async def test_an_old_address_that_could_not_answer_is_refused_when_it_is_first_named(cluster: ControlPlane) -> None:
    async with cluster.client() as client:
        api, namespace = Cluster(client), await create_namespace(client, "move")
        services = resource_path("", "v1", "services", namespace=namespace)
        empty: dict[str, Any] = {"metadata": {"name": "empty"}, "spec": {"ports": [{"port": 80}]}}
        await create(client, services, empty)
        alias = {"metadata": {"name": "alias"}, "spec": {"type": "ExternalName", "externalName": "abox.example"}}
        await create(client, services, alias)
        await old_address(client, namespace)

        for service, port, told in (
            ("nowhere", 80, "there is no such Service"),
            ("old", 81, "has no such port, only 80"),
            ("empty", 80, "has no ready endpoint"),
        ):
            with pytest.raises(Refused, match=told):
                await refuse_unreachable(api, *moving(namespace, External(port=port, service=service)))
        for old in (
            External(port=80, service="old"),
            External(port=80, service="alias"),
            External(port=80, hostname="abox.example"),
        ):
            await refuse_unreachable(api, *moving(namespace, old))
        # Going back is never in the way of anything, whatever has become of the old address.
        gone = External(port=80, service="nowhere")
        _, migrating = moving(namespace, gone)
        await refuse_unreachable(api, *moving(namespace, gone, migrating))
