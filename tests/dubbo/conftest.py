"""A gateway, the models behind it, and real callers of three generations, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import need
from tests.dubbo.models import ModelServer
from tests.dubbo.program import DubboProgram
from tests.parts.addresses import make_local
from tests.parts.dubbo import VERSIONS, DubboCaller
from tests.parts.zookeeper import ZooKeeper

SCORER = "milepost.test.Scorer"
SERVICES = """
services:
  - interface: milepost.test.Scorer
    methods:
      score: {protocol: tensorflow, url: URL, model: score, arguments: [sample], body: {instances: [$sample]},
              returns: predictions.0, class: milepost.test.Score}
      scoreAll: {protocol: tensorflow, url: URL, model: score, arguments: [samples], class: milepost.test.Score}
      matrix: {url: URL, path: /any/matrix, arguments: [rows], body: $rows}
      broken: {protocol: tensorflow, url: URL, model: broken, arguments: [rows]}
      count: {url: URL, path: /any/count, arguments: [start], body: $start}
      image: {protocol: tensorflow, url: URL, model: image, arguments: [picture], body: {instances: [$picture]},
              returns: predictions.0, type: string}
  - interface: com.example.Models
    version: 1.0.0
    group: risk
    methods:
      predict: {protocol: tensorflow, url: URL, model: $model, models: [sum, unhurried, slow, broken, no-json, huge,
                big-number, moved, team-*], arguments: [model, rows]}
      seldon: {protocol: seldon, url: URL, arguments: [rows]}
      infer: {protocol: v2, url: URL, model: sum, arguments: [rows], type: double}
      any: {url: URL, path: /any/it, arguments: [value], body: {it: $value, price: $$5}, returns: it}
      hosted: {url: URL, path: "/any/{model}", host: "{model}-risk.models.internal", model: $request.model,
               models: ["*"], arguments: [request], body: {user: $request.user}, returns: ""}
      brief: {protocol: tensorflow, url: URL, model: slow, arguments: [rows], timeout: 300ms}
      nowhere: {protocol: tensorflow, url: "http://127.0.0.1:1", model: sum, arguments: [rows]}
"""


@pytest.fixture(scope="session")
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="session")
def services(models: ModelServer) -> str:
    return SERVICES.replace("URL", models.url)


@pytest.fixture(scope="session")
def gateway(services: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DubboProgram]:
    """A gateway that no test stops."""
    need(make_local)
    program = DubboProgram(tmp_path_factory.mktemp("gateway"), services).start()
    yield program
    program.stop()


@pytest.fixture(scope="session")
def caller_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], DubboCaller]]:
    """Return what gives the caller of a version; each is one JVM for the whole run."""
    running: dict[str, DubboCaller] = {}
    with ExitStack() as stack:

        def of(version: str) -> DubboCaller:
            if version not in running:
                folder = tmp_path_factory.mktemp(f"caller-{version}")
                running[version] = stack.enter_context(need(lambda: DubboCaller(version, folder)))
            return running[version]

        yield of


@pytest.fixture(params=VERSIONS)
def caller(request: pytest.FixtureRequest, caller_of: Callable[[str], DubboCaller]) -> DubboCaller:
    """Every test that asks for it runs with each version."""
    return caller_of(request.param)


@pytest.fixture(scope="session")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    """A running ZooKeeper, shared: start it again when you stop it."""
    server = need(lambda: ZooKeeper(tmp_path_factory.mktemp("zookeeper"))).start()
    yield server
    server.stop()
