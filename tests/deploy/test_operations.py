"""The whole way of a model on a real API server, controller-manager and kwok, with kill -9 between its steps."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from milepost.kube import KubeClient, KubeError, resource_path
from tests.conftest import need
from tests.deploy.seldon_controller import seldon_controller
from tests.parts import crds
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, create_namespace, grant, node

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
COMMAND_S = 300


class Cli:
    """The real command in a process of its own, against one namespace, as one user."""

    def __init__(self, kubeconfig: Path, folder: Path, namespace: str, settle: str = "1s", **env: str) -> None:
        self.namespace = namespace
        self.key = f"{namespace}/mnist"
        self._folder = folder
        self._env = {
            **os.environ,
            "MILEPOST_KUBE_CONFIG": str(kubeconfig),
            "MILEPOST_OPERATIONS_POLL": "200ms",
            "MILEPOST_OPERATIONS_ROUTE_SETTLE": settle,
            # A slow machine may starve a holder for seconds.
            "MILEPOST_LOCK_DURATION": "10s",
            "MILEPOST_LOCK_WAIT": "200s",
            "MILEPOST_AUTHOR": "ada",
            **env,
        }

    def spec(self, version: str, replicas: int = 1, more: str = "") -> str:
        """Write a spec file, with `more` lines of YAML, and return its path."""
        path = self._folder / f"{version}.yaml"
        path.write_text(
            f"apiVersion: milepost/v1\nname: mnist\nnamespace: {self.namespace}\nreplicas: {replicas}\n"
            f"image: registry.example/mnist:{version}\ndrainSeconds: 1\ngraceSeconds: 5\n{more}"
        )
        return str(path)

    async def start(self, *words: str, **env: str) -> asyncio.subprocess.Process:
        """Start `milepost model …`."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "milepost.cli", "model", *words,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=self._env | env,
        )  # fmt: skip

    async def run(self, *words: str, code: int = 0) -> str:
        """Run it to its end and return what it printed."""
        process = await self.start(*words)
        async with asyncio.timeout(COMMAND_S):
            out, err = await process.communicate()
        assert process.returncode == code, f"{words}: {process.returncode}\n{out.decode()}{err.decode()}"
        return out.decode() + err.decode()

    async def killed_until_done(self, client: KubeClient, *words: str) -> int:
        """Run it and kill -9 it after its first line of progress; let `converge` go on, killed after its second, third
        and so on, until one run comes to the end. Return how many were killed.

        The lock of the first that is killed runs out by itself, that of any further one is taken away. Before the first
        line nothing may be written down yet: a run that ended there, because it found no API server or lost its lock on
        a slow machine, is asked for again as it was.
        """
        kills, command, told = 0, words, list[str]()
        for lines in range(1, 40):
            process = await self.start(*command)
            assert process.stderr is not None
            said: list[bytes] = []
            try:
                async with asyncio.timeout(COMMAND_S):
                    while len(said) < lines:
                        said.append(await process.stderr.readline())
            except TimeoutError:
                process.kill()
                raise AssertionError(f"{command} hung after {b''.join(said).decode()}\n{''.join(told)}") from None
            if all(said):  # an empty line is the end: the run is over and may take its time to exit
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
                kills += 1
            _, rest = await process.communicate()
            if process.returncode == 0:
                return kills
            if kills > 1:
                await break_lock(client, self.namespace)
            told.append(f"{' '.join(command[:2])}: {process.returncode} {(b''.join(said) + rest).decode()}")
            if said[0]:
                command = ("converge", self.key)
        raise AssertionError(f"{words} did not end after {kills} kills:\n{''.join(told)}")


@contextlib.asynccontextmanager
async def model_namespace(
    cluster: ControlPlane, folder: Path, *, port: int = 8000, **env: str
) -> AsyncIterator[tuple[Cli, KubeClient]]:
    definitions = need(crds.definitions)
    async with cluster.client() as client:
        await crds.apply_definitions(client, definitions)
        namespace = await create_namespace(client, "ops")
        await create(client, resource_path("", "v1", "nodes"), node(f"node-{namespace}"))
        async with seldon_controller(client, namespace, port=port):
            yield Cli(cluster.kubeconfig(), folder, namespace, **env), client


async def break_lock(client: KubeClient, namespace: str) -> None:
    """Let the lock of a process that was killed run out at once; `test_lock` shows that it does by itself."""
    path = resource_path("coordination.k8s.io", "v1", "leases", namespace=namespace, name="milepost-model-mnist")
    with contextlib.suppress(KubeError):  # It may have died before it had the lock.
        await client.request("DELETE", path)


async def old_address(client: KubeClient, namespace: str) -> None:
    """Make the Service `old`, which could answer on port 80, for migrations."""
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    service = {"metadata": {"name": "old"}, "spec": {"ports": ports}}
    await create(client, resource_path("", "v1", "services", namespace=namespace), service)
    slice_ = {
        "metadata": {"name": "old-1", "labels": {"kubernetes.io/service-name": "old"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["198.18.0.9"], "conditions": {"ready": True}}],
        "ports": ports,
    }
    await create(client, resource_path("discovery.k8s.io", "v1", "endpointslices", namespace=namespace), slice_)


async def routes(client: KubeClient, namespace: str) -> dict[str, str]:
    """Ingress name → the Service it leads to."""
    raw = await client.request("GET", resource_path("networking.k8s.io", "v1", "ingresses", namespace=namespace))
    return {
        item["metadata"]["name"]: item["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"]
        for item in msgspec.json.decode(raw)["items"]
    }


async def status(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode((await cli.run("status", cli.key, "-o", "json")).encode())
    return found


async def test_create_canary_promote_rollback_delete(cluster: ControlPlane, tmp_path: Path) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        await cli.run("create", "-f", cli.spec("1"), "--reason", "first")
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default"}
        assert (await status(cli))["state"] == "ready"

        changed = await cli.run("diff", "-f", cli.spec("2"), code=5)
        assert "registry.example/mnist:1 → registry.example/mnist:2" in changed

        held = ("--steps", "10,50", "--hold", "0", "--unjudged", "--no-auto-promote")
        await cli.run("rollout", "start", "-f", cli.spec("2"), *held)
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default", "mnist-canary": "mnist-r2"}
        assert (await status(cli))["state"] == "paused"

        await cli.run("rollout", "promote", cli.key)
        assert await routes(client, cli.namespace) == {"mnist": "mnist-r2"}
        assert [track["predictor"] for track in (await status(cli))["tracks"]] == ["r2"]

        await cli.run("rollback", cli.key, "--reason", "worse on digits")
        assert "mnist:1" in await cli.run("history", cli.key, "-o", "json")
        assert "nothing would change" in await cli.run("diff", "-f", cli.spec("1"))

        await cli.run("delete", cli.key)
        assert await routes(client, cli.namespace) == {}
        left = await client.request(
            "GET", resource_path("machinelearning.seldon.io", "v1", "seldondeployments", namespace=cli.namespace)
        )
        assert msgspec.json.decode(left)["items"] == []


async def test_killed_between_its_steps_every_operation_still_ends(cluster: ControlPlane, tmp_path: Path) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        kills = await cli.killed_until_done(client, "create", "-f", cli.spec("1"))
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default"}
        canary = ("rollout", "start", "-f", cli.spec("2"), "--steps", "20,60", "--hold", "0", "--unjudged")
        kills += await cli.killed_until_done(client, *canary)
        assert await routes(client, cli.namespace) == {"mnist": "mnist-r2"}
        assert [track["predictor"] for track in (await status(cli))["tracks"]] == ["r2"]
        kills += await cli.killed_until_done(client, "rollback", cli.key)
        kills += await cli.killed_until_done(client, "delete", cli.key)
        assert await routes(client, cli.namespace) == {}
        assert kills >= 6


async def test_what_is_not_granted_is_refused_and_leaves_no_trace(cluster: ControlPlane, tmp_path: Path) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        readable = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
        await grant(client, "reader", [readable], namespace=cli.namespace)
        reader = Cli(cluster.kubeconfig("reader", ()), tmp_path, cli.namespace)
        said = await reader.run("create", "-f", cli.spec("1"), code=1)
        assert "cannot patch resource" in said
        await cli.run("status", cli.key, code=3)


async def test_a_service_that_is_primary_elsewhere_is_refused_before_anything_is_applied(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    async with model_namespace(cluster, tmp_path) as (cli, client):
        await cli.run("create", "-f", cli.spec("1"))
        backend = {"service": {"name": "mnist-r2", "port": {"number": 8000}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        other = {
            "metadata": {"name": "other"},
            "spec": {"rules": [{"host": "other.example", "http": {"paths": [path]}}]},
        }
        await create(client, resource_path("networking.k8s.io", "v1", "ingresses", namespace=cli.namespace), other)
        said = await cli.run("rollout", "start", "-f", cli.spec("2"), "--unjudged", code=1)
        assert "is the main backend of Ingress" in said
        assert (await status(cli))["rollout"] == ""
        assert await routes(client, cli.namespace) == {"mnist": "mnist-default", "other": "mnist-r2"}
