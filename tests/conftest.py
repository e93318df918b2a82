"""Fixtures of the real servers: started by the first test that asks, ended with the run.

A part that cannot be installed skips its tests and says why; in CI (`CI` is set) it fails them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings

from logserver.engines.embedded import EmbeddedStore
from tests.logserver.rows import opened_store
from tests.parts.chromium import Chromium
from tests.parts.chromium import chromium as installed_chromium
from tests.parts.containers import ClickHouseServer
from tests.parts.containers import clickhouse_server as running_clickhouse
from tests.parts.filebeat import install_filebeat
from tests.parts.hdfs import HdfsCluster
from tests.parts.ingress_nginx import IngressNginx
from tests.parts.install import Unavailable
from tests.parts.kafka import KafkaBroker
from tests.parts.kubernetes import ControlPlane
from tests.parts.nginx import nginx_binary
from tests.parts.prometheus import programs

_Made = TypeVar("_Made")

# How long one example takes says how busy the machine is, not whether the code is right.
settings.register_profile("milepost", deadline=None)
settings.load_profile("milepost")


def need(make: Callable[[], _Made]) -> _Made:
    """Return `make()`; a part that is not available skips the test, in CI it fails it."""
    try:
        return make()
    except Unavailable as reason:
        if os.environ.get("CI"):
            pytest.fail(f"a part is not available in CI: {reason}")
        pytest.skip(f"a part is not available: {reason}")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A running Kafka broker, shared: use a topic of your own, and restart what you stop."""
    broker = need(lambda: KafkaBroker(tmp_path_factory.mktemp("kafka")))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def filebeat_program() -> Path:
    """The folder of the real Filebeat; start one with `tests.parts.filebeat.Filebeat`."""
    return need(install_filebeat)


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """A running HDFS, shared: use a folder of your own, and start what you stop. Its first namenode is active."""
    hdfs_cluster = need(lambda: HdfsCluster(tmp_path_factory.mktemp("hdfs")))
    hdfs_cluster.start()
    yield hdfs_cluster
    hdfs_cluster.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running Kubernetes control plane, shared: use a namespace of your own, and start what you stop."""
    control_plane = need(lambda: ControlPlane(tmp_path_factory.mktemp("cluster")).start())
    yield control_plane
    control_plane.stop()


@pytest.fixture(scope="session")
def ingress_controller(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngressNginx]:
    """The one ingress-nginx controller of the run; tests ask for `ingress_nginx`."""
    controller = need(lambda: IngressNginx(tmp_path_factory.mktemp("ingress")))
    controller.start(cluster)
    yield controller
    controller.stop()


@pytest.fixture
def ingress_nginx(ingress_controller: IngressNginx) -> IngressNginx:
    """The ingress-nginx controller of the cluster, class `nginx`, shared: use hosts of your own. It runs."""
    ingress_controller.revive()
    return ingress_controller


@pytest.fixture(scope="session")
def prometheus_programs() -> dict[str, str]:
    """The paths of prometheus, promtool, prometheus-alertmanager and amtool."""
    return need(programs)


@pytest.fixture(scope="session")
def nginx() -> str:
    """The path of nginx; start one with `tests.parts.nginx.Nginx`."""
    return need(nginx_binary)


@pytest.fixture(scope="session")
def chromium() -> Chromium:
    """The installed browser, its driver and its flags."""
    return need(installed_chromium)


@pytest.fixture(scope="session")
def clickhouse_server() -> Iterator[ClickHouseServer]:
    """A real ClickHouse server; its tests skip, in CI too, where no container engine can be reached."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_clickhouse())
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield server


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """One store for the tests of a module, which empty it: the engine serves one directory at a time in a process."""
    with opened_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def lines_store(shared_store: EmbeddedStore) -> EmbeddedStore:
    """An empty store."""
    for table in ("lines", "positions", "rejects"):
        shared_store.execute(f"TRUNCATE TABLE {table}")
    return shared_store
