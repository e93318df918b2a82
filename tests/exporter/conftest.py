"""Fixtures of the exporter on the tests' API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from milepost.kube import resource_path
from tests.exporter.live import account_kubeconfig, apply_rbac, create_models
from tests.exporter.pageserver import Pages
from tests.exporter.program import ExporterProgram
from tests.parts.kubernetes import ControlPlane


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    """A server of pages that answers what the test puts into it."""
    served = Pages()
    app = web.Application()
    app.router.add_get("/{path:.*}", served.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.port = runner.addresses[0][1]
    yield served
    await runner.cleanup()


@pytest.fixture
async def namespace(cluster: ControlPlane) -> AsyncIterator[str]:
    """A namespace of models."""
    async with cluster.client() as client:
        name = await create_models(client)
        yield name
        await client.request("DELETE", resource_path("", "v1", "namespaces", name=name))


@pytest.fixture
async def exporter(cluster: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[ExporterProgram]:
    """The exporter in cluster mode, with the rights that we ship and no others."""
    async with cluster.client() as client:
        await apply_rbac(client, namespace)
        kubeconfig = await account_kubeconfig(client, cluster, namespace, "exporter", tmp_path / "exporter.kubeconfig")
    program = ExporterProgram(
        tmp_path / "exporter", f"--kube-config={kubeconfig}", "--auth-mode=kubernetes", "--history-interval=1s",
        "--watch-absent-retry=1s", "--usage-metrics-api=false", "--pages-every=1s",
    )  # fmt: skip
    await asyncio.to_thread(program.start)
    yield program
    await asyncio.to_thread(program.stop)
