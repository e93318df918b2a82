"""The ingress controller of the tests is the real one: routes, canaries by weight, header and cookie, metrics."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
import msgspec
import pytest

from milepost.kube import ContentType, KubeClient, resource_path
from tests.parts.backend import Backend, create_service
from tests.parts.ingress_nginx import IngressNginx
from tests.parts.kubernetes import ControlPlane
from tests.parts.objects import create, create_namespace

pytestmark = pytest.mark.cluster

PREFIX = "nginx.ingress.kubernetes.io/"
READY_S = 120


class Route:
    """A main Ingress to `stable` and a canary to `canary`, and the way to ask through the controller."""

    def __init__(self, client: KubeClient, controller: IngressNginx, namespace: str) -> None:
        self._client, self._controller, self._namespace = client, controller, namespace
        self.host = f"{namespace}.test"

    @property
    def ingresses(self) -> str:
        return resource_path("networking.k8s.io", "v1", "ingresses", namespace=self._namespace)

    async def add(self, name: str, service: str, annotations: Mapping[str, str]) -> None:
        backend = {"service": {"name": service, "port": {"number": 80}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        spec = {
            "ingressClassName": self._controller.class_name,
            "rules": [{"host": self.host, "http": {"paths": [path]}}],
        }
        prefixed = {PREFIX + key: value for key, value in annotations.items()}
        await create(self._client, self.ingresses, {"metadata": {"name": name, "annotations": prefixed}, "spec": spec})

    async def annotate(self, name: str, annotations: Mapping[str, str | None]) -> None:
        prefixed = {PREFIX + key: value for key, value in annotations.items()}
        body = msgspec.json.encode({"metadata": {"annotations": prefixed}})
        await self._client.request("PATCH", f"{self.ingresses}/{name}", body=body, content_type=ContentType.MERGE)

    async def ask(self, count: int = 1, headers: Mapping[str, str] | None = None) -> Counter[str]:
        """Return how often which backend answered; `404` and the like count as their status, an error as itself."""
        answers: Counter[str] = Counter()
        url = f"http://127.0.0.1:{self._controller.http_port}/"
        for _ in range(count):
            try:
                async with self._session.get(url, headers={**(headers or {}), "Host": self.host}) as answer:
                    answers[await answer.text() if answer.status == 200 else str(answer.status)] += 1
            except aiohttp.ClientError as error:
                answers[repr(error)] += 1
        return answers

    async def until(
        self, ready: Callable[[Counter[str]], bool], count: int = 40, headers: Mapping[str, str] | None = None
    ) -> None:
        deadline = asyncio.get_running_loop().time() + READY_S
        while not ready(answers := await self.ask(count, headers)):
            late = asyncio.get_running_loop().time() > deadline
            assert not late, f"the last answers: {answers}; {self._controller.state()}"
            await asyncio.sleep(0.1)

    async def __aenter__(self) -> Route:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()


@pytest.fixture
async def route(cluster: ControlPlane, ingress_nginx: IngressNginx) -> AsyncIterator[Route]:
    async with cluster.client() as client:
        namespace = await create_namespace(client)
        with Backend("stable", 1) as stable, Backend("canary", 2) as canary:
            await create_service(client, namespace, "stable", [stable])
            await create_service(client, namespace, "canary", [canary])
            async with Route(client, ingress_nginx, namespace) as route:
                await route.add("main", "stable", {})
                await route.until(lambda answers: set(answers) == {"stable"})
                yield route


async def test_an_unknown_host_is_not_found_and_a_known_one_is_routed(route: Route) -> None:
    assert await route.ask(3) == {"stable": 3}
    assert await route.ask(1, {"X-Other": "1"}) == {"stable": 1}
    route.host = "unknown.test"
    assert await route.ask(1) == {"404": 1}


async def test_a_canary_takes_its_weight_and_no_more(route: Route) -> None:
    await route.add("canary", "canary", {"canary": "true", "canary-weight": "30"})
    await route.until(lambda answers: answers["canary"] > 0)
    answers = await route.ask(400)
    assert 70 <= answers["canary"] <= 170, f"30 % of 400 are 120: {answers}"
    assert set(answers) == {"stable", "canary"}
    await route.annotate("canary", {"canary-weight": "0"})
    await route.until(lambda answers: answers == {"stable": 40})
    await route.annotate("canary", {"canary-weight": "100"})
    await route.until(lambda answers: answers == {"canary": 40})


async def test_header_beats_cookie_beats_weight(route: Route) -> None:
    annotations = {
        "canary": "true",
        "canary-weight": "0",
        "canary-by-header": "X-Canary",
        "canary-by-cookie": "canary",
    }
    await route.add("canary", "canary", annotations)
    await route.until(lambda answers: set(answers) == {"canary"}, headers={"X-Canary": "always"})
    assert await route.ask(10, {"X-Canary": "never"}) == {"stable": 10}
    assert await route.ask(10, {"X-Canary": "something"}) == {"stable": 10}
    assert await route.ask(10, {"Cookie": "canary=always"}) == {"canary": 10}
    assert await route.ask(10, {"Cookie": "canary=always", "X-Canary": "never"}) == {"stable": 10}
    await route.annotate("canary", {"canary-by-header-value": "v2"})
    await route.until(lambda answers: set(answers) == {"canary"}, headers={"X-Canary": "v2"})
    assert await route.ask(10, {"X-Canary": "v3"}) == {"stable": 10}


async def test_the_metrics_page_tells_the_ingress_the_service_and_the_canary(
    route: Route, ingress_nginx: IngressNginx
) -> None:
    await route.add("canary", "canary", {"canary": "true", "canary-by-header": "X-Canary"})
    await route.until(lambda answers: set(answers) == {"canary"}, headers={"X-Canary": "always"})
    wanted = (f'host="{route.host}"', 'ingress="main"', 'service="stable"', 'status="200"')
    async with asyncio.timeout(READY_S), aiohttp.ClientSession() as session:
        while True:
            async with session.get(ingress_nginx.metrics_url) as answer:
                page = await answer.text()
            lines = [line for line in page.splitlines() if line.startswith("nginx_ingress_controller_requests{")]
            ours = [line for line in lines if all(part in line for part in wanted)]
            if {'canary=""' in line for line in ours} == {True, False}:
                return
            await asyncio.sleep(0.5)


async def test_a_controller_that_died_is_started_again_and_serves_the_same_routes(
    route: Route, ingress_nginx: IngressNginx
) -> None:
    assert ingress_nginx.process is not None
    ingress_nginx.process.kill()
    await route.until(lambda answers: "stable" not in answers)
    await asyncio.to_thread(ingress_nginx.revive)
    await route.until(lambda answers: set(answers) == {"stable"})
