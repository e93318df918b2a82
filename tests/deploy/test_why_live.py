"""Why a model does not serve, on a real API server, scheduler and controllers: each cause as the cluster shows it.

What no kubelet of the test cluster does (a container that ends, an image that cannot be pulled) is written into the
pod's status through the API; quotas, scheduling, endpoints, routes and webhooks are the real ones.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from deploy.cli.session import GROUPS, platform_of
from deploy.errors import Refused
from deploy.operate import Platform
from deploy.operate.converge import OperationFailed
from deploy.operate.evidence import gather
from deploy.record import Record, edits
from deploy.rollout import canary
from deploy.spec import ModelSpec
from deploy.why import Finding, why
from logserver.engines.embedded import EmbeddedStore
from milepost.kube import ContentType, KubeClient, KubeError, resource_path
from milepost.settings import load
from tests.deploy.test_operations import Cli, model_namespace
from tests.logserver.api_server import api_server
from tests.logserver.rows import line_rows
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, grant, wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
ENV = {"MILEPOST_OPERATIONS_POLL": "200ms", "MILEPOST_OPERATIONS_ROUTE_SETTLE": "200ms"}
WAIT_S = 120


class Serving:
    """One model that serves, and what is asked about it."""

    def __init__(self, platform: Platform, client: KubeClient, cli: Cli) -> None:
        self.platform, self.client, self.cli, self.namespace = platform, client, cli, cli.namespace
        self.key = f"{cli.namespace}/m"

    def spec(self, version: str, **fields: Any) -> ModelSpec:
        image = f"registry.example/m:{version}"
        return ModelSpec(name="m", namespace=self.namespace, image=image, drain_seconds=0, **fields)

    async def do(self, edit: Callable[[Record], Record]) -> None:
        """Write an edit down and carry it out."""
        await self.platform.submit(self.namespace, "m", edit)
        await self.platform.converge(self.namespace, "m")

    async def apply(self, version: str, **fields: Any) -> None:
        """Run another version."""
        await self.do(lambda found: edits.apply(found, self.spec(version, **fields), self.platform.deed()))

    async def findings(self) -> tuple[Finding, ...]:
        """Return what `why` says now."""
        look = await self.platform.look(self.namespace, "m")
        return why(await gather(self.platform.cluster, look))

    async def first(self, rule: str) -> Finding:
        """Wait until this is the first finding, and return it."""
        found: tuple[Finding, ...] = ()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                while not found or found[0].rule != rule:
                    found = await self.findings()
                    await asyncio.sleep(0.2)
        assert found, f"nothing was found instead of {rule}"
        assert found[0].rule == rule, found
        assert found[0].todo
        return found[0]

    async def pod(self) -> dict[str, Any]:
        """Return a pod of the model that runs."""
        path = resource_path("", "v1", "pods", namespace=self.namespace)
        listed = await wait_for(self.client, path, _one_running, timeout_s=WAIT_S)
        return next(item for item in listed["items"] if item.get("status", {}).get("phase") == "Running")

    async def tell(self, **status: Any) -> None:
        """Write into the status of the pod what a kubelet would."""
        name = (await self.pod())["metadata"]["name"]
        path = resource_path("", "v1", "pods", namespace=self.namespace, name=name, subresource="status")
        body = msgspec.json.encode({"status": status})
        await self.client.request("PATCH", path, body=body, content_type=ContentType.MERGE)

    async def warn(self, name: str, about: dict[str, Any], reason: str, message: str) -> None:
        """Write an event as a kubelet or a controller does."""
        event = {"metadata": {"name": name}, "involvedObject": about, "type": "Warning"}
        path = resource_path("", "v1", "events", namespace=self.namespace)
        await create(self.client, path, {**event, "reason": reason, "message": message})

    async def container(self, **state: Any) -> None:
        """Write the state of the pod's one container."""
        found = (await self.pod())["status"]["containerStatuses"][0]
        await self.tell(containerStatuses=[{**found, "lastState": {}, "restartCount": 3, **state}])


def _one_running(listed: dict[str, Any]) -> bool:
    return any(item.get("status", {}).get("containerStatuses") for item in listed["items"])


@contextlib.asynccontextmanager
async def serving(cluster: ControlPlane, folder: Path) -> AsyncIterator[Serving]:
    async with model_namespace(cluster, folder) as (cli, client), aiohttp.ClientSession() as session:
        settings = load(GROUPS, flags={}, env=ENV, file=None)
        model = Serving(platform_of(settings, client, session, author="ada"), client, cli)
        await model.apply("1")
        assert await model.findings() == ()
        yield model


def ended(code: int, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "terminated": {"exitCode": code, "reason": reason, "message": message, "finishedAt": "2026-01-01T00:00:00Z"}
    }


async def test_what_ends_a_container_is_named_with_the_last_lines_it_wrote(
    cluster: ControlPlane, tmp_path: Path, lines_store: EmbeddedStore
) -> None:
    async with serving(cluster, tmp_path) as model:
        crash = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
        await model.container(ready=False, state=crash, lastState=ended(132, "Error"))
        found = await model.first("no AVX")
        assert "exit code 132" in found.found

        row = {"namespace": model.namespace, "pod": found.pod, "container": found.container}
        said = ["loading", "The TensorFlow library was compiled to use AVX instructions"]
        lines_store.insert("lines", line_rows([{**row, "message": text} for text in said]))
        async with api_server(lines_store) as logs:
            asked = await model.cli.run("why", model.key, "-o", "json", "--logs-url", logs.url)
            shown = await model.cli.run("why", model.key, "--logs-url", logs.url)
        (finding, *_) = msgspec.json.decode(asked)
        assert (finding["rule"], finding["lines"].splitlines()) == ("no AVX", said)
        assert shown.splitlines()[0] == f"no AVX: {found.pod}/{found.container}"
        assert [line.removeprefix("    | ") for line in shown.splitlines() if "    | " in line][:2] == said

        await model.container(ready=False, state=crash, lastState=ended(137, "OOMKilled"))
        assert "resources.limits.memory" in (await model.first("out of memory")).todo
        pull = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "registry.example/m:1"'}}
        await model.container(ready=False, state=pull)
        assert "registry.example/m:1" in (await model.first("image pull")).found
        running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        await model.container(ready=True, state=running)
        failed = {"name": "m-model-initializer", "image": "init:1", "imageID": "", "ready": False, "restartCount": 2}
        message = "gs://models/m: 403 does not have storage.objects.list access"
        await model.tell(initContainerStatuses=[{**failed, "state": ended(1, "Error", message)}])
        found = await model.first("initializer failed")
        assert message in found.found
        assert found.container == "m-model-initializer"

        lacking = "this node's CPU lacks AVX2"
        preflight = {**failed, "name": "milepost-preflight", "state": ended(86, "Error", lacking)}
        await model.tell(initContainerStatuses=[preflight])
        found = await model.first("the CPU lacks features")
        assert lacking in found.found
        assert found.container == "milepost-preflight"
        done = {**failed, "ready": True, "state": ended(0, "Completed"), "lastState": ended(1, "Error", message)}
        await model.tell(initContainerStatuses=[done])
        assert await model.findings() == (), "what was mended is not told any more"


async def test_a_probe_that_kills_a_slow_loader_and_a_route_that_leads_to_nobody(
    cluster: ControlPlane, tmp_path: Path
) -> None:
    async with serving(cluster, tmp_path) as model:
        pod = await model.pod()
        unready = [{**one, "status": "False"} for one in pod["status"]["conditions"] if one["type"] in _READINESS]
        await model.tell(conditions=unready)
        found = await model.first("route without endpoints")
        assert (found.about, "Service m-default" in found.found) == ("m", True)

        about = {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": model.namespace}
        probe = "Startup probe failed: dial tcp 10.0.0.1:9000: connect: connection refused"
        await model.warn("slow", about | {"fieldPath": "spec.containers{m}"}, "Unhealthy", probe)
        found = await model.first("a probe kills a slow loader")
        assert "probes.startupSeconds" in found.todo
        assert (found.pod, found.container) == (pod["metadata"]["name"], "m"), "so that its log can be read"
        mount = 'MountVolume.SetUp failed for volume "secret-tls": secret "tls" not found'
        await model.warn("unmounted", about, "FailedMount", mount)
        assert mount in (await model.first("a volume is not mounted")).found
        other = {"kind": "Pod", "name": "m-2-default-0-m-2-abc-def", "namespace": model.namespace}
        await model.warn("other", other, "FailedCreate", "exceeded quota: few")
        assert "quota" not in [found.rule for found in await model.findings()], "that is another model's"
        await model.tell(conditions=[{**one, "status": "True"} for one in unready])
        await eventually_nothing(model)

        await model.do(lambda found: edits.scale(found, 0, model.platform.deed()))
        assert (await model.first("scaled to zero")).about == "predictor default"
        route = resource_path("networking.k8s.io", "v1", "ingresses", namespace=model.namespace, name="m")
        await model.client.request("DELETE", route)
        assert "route missing" in [found.rule for found in await model.findings()]


_READINESS = ("Ready", "ContainersReady")
READS = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}


async def test_a_quota_and_a_card_that_nobody_has_free(cluster: ControlPlane, tmp_path: Path) -> None:
    async with serving(cluster, tmp_path) as model:
        quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
        await create(model.client, resource_path("", "v1", "resourcequotas", namespace=model.namespace), quota)
        quotas = resource_path("", "v1", "resourcequotas", namespace=model.namespace, name="few")
        await wait_for(model.client, quotas, lambda one: one.get("status", {}).get("used") == {"pods": "1"}, WAIT_S)
        record = await model.platform.submit(
            model.namespace, "m", lambda found: edits.scale(found, 3, model.platform.deed())
        )
        converging = asyncio.create_task(model.platform.converge(model.namespace, "m"))
        try:
            assert record.active
            found = await model.first("quota")
            assert "exceeded quota: few" in found.found
        finally:
            converging.cancel()
            await asyncio.gather(converging, return_exceptions=True)
        await model.client.request("DELETE", quotas)

        units = {"limits": {"tencent.com/vcuda-core": "30", "tencent.com/vcuda-memory": "16"}}
        pod = {
            "metadata": {"name": "m-gpu", "labels": {"seldon-deployment-id": "m"}},
            "spec": {"containers": [{"name": "main", "image": "m:1", "resources": units}]},
        }

        async def created() -> bool:
            with contextlib.suppress(KubeError):  # The quota is in force until its admission controller sees it go.
                await create(model.client, resource_path("", "v1", "pods", namespace=model.namespace), pod)
                return True
            return False

        async def no_block() -> bool:
            return any(one.rule == "no free GPU block" and "vcuda" in one.found for one in await model.findings())

        await eventually(created)
        await eventually(no_block)


async def test_a_canary_that_another_ingress_keeps_from_its_requests(cluster: ControlPlane, tmp_path: Path) -> None:
    async with serving(cluster, tmp_path) as model:
        plan = msgspec.structs.replace(canary((20,), 0.0), judged=False, auto_promote=False)
        await model.do(lambda found: edits.start_rollout(found, model.spec("2"), plan, model.platform.deed()))
        assert await model.findings() == ()
        backend = {"service": {"name": "m-r2", "port": {"number": 8000}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        rule = {"host": f"preview-{model.namespace}.example", "http": {"paths": [path]}}
        other = {
            "metadata": {"name": "preview"},
            "spec": {"ingressClassName": "nginx", "rules": [rule]},
        }
        await create(
            model.client, resource_path("networking.k8s.io", "v1", "ingresses", namespace=model.namespace), other
        )
        found = await model.first("canary not merged")
        assert "main backend of Ingress" in found.found
        assert "preview" in found.found

        await grant(model.client, "reader", [READS], namespace=model.namespace)
        async with cluster.client("reader", ()) as client, aiohttp.ClientSession() as session:
            settings = load(GROUPS, flags={}, env=ENV, file=None)
            reader = Serving(platform_of(settings, client, session, author="reader"), client, model.cli)
            rules = [found.rule for found in await reader.findings()]
            assert rules == ["canary not merged", "not looked at"], "what could not be seen is said"


@contextlib.asynccontextmanager
async def refusing_webhook(cluster: ControlPlane, model: Serving) -> AsyncIterator[None]:
    """A real admission webhook that lets a dry-run pass and refuses what follows it."""
    certificate, key = cluster.pki.server_certificate()

    async def review(request: web.Request) -> web.Response:
        asked = (await request.json())["request"]
        allowed = bool(asked.get("dryRun"))
        verdict = {"uid": asked["uid"], "allowed": allowed, "status": {"message": "images of :2 are not signed"}}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": verdict})

    app = web.Application()
    app.router.add_post("/", review)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    hook = {
        "name": "signed.example.com",
        "clientConfig": {
            "url": f"https://127.0.0.1:{runner.addresses[0][1]}/",
            "caBundle": base64.b64encode((cluster.pki.folder / "ca.crt").read_bytes()).decode(),
        },
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": model.namespace}},
        "rules": [
            {
                "apiGroups": ["machinelearning.seldon.io"],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["seldondeployments"],
            }
        ],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    hooks = resource_path("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")
    name = f"signed-{model.namespace}"
    await create(model.client, hooks, {"metadata": {"name": name}, "webhooks": [hook]})
    try:
        yield
    finally:
        await model.client.request("DELETE", f"{hooks}/{name}")
        await runner.cleanup()


async def test_a_webhook_that_refuses_after_the_dry_run_is_quoted(cluster: ControlPlane, tmp_path: Path) -> None:
    async with serving(cluster, tmp_path) as model, refusing_webhook(cluster, model):

        async def refused() -> bool:
            with contextlib.suppress(OperationFailed, Refused):
                await model.apply(f"2-{len(seen)}")
            seen.append((await model.platform.record(model.namespace, "m")).operation)
            return seen[-1] is not None and seen[-1].state == "failed"

        seen: list[Any] = []
        # The API server learns of a new webhook a moment after it was created.
        await eventually(refused)
        found = await model.first("webhook refused")
        assert 'admission webhook "signed.example.com" denied the request: images of :2 are not signed' in found.found


async def eventually_nothing(model: Serving) -> None:
    """Wait until nothing is found any more: endpoints follow pods a moment later."""

    async def nothing() -> bool:
        return await model.findings() == ()

    await eventually(nothing)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(WAIT_S):
        while not await holds():  # noqa: ASYNC110 - the cluster tells nobody
            await asyncio.sleep(0.2)
