"""Servers that exist as container images only: a real ClickHouse server, where a container engine can be reached."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from docker.errors import DockerException
from testcontainers.community.clickhouse import ClickHouseContainer
from testcontainers.core.docker_client import get_docker_host

from tests.parts.install import Unavailable

CLICKHOUSE_IMAGE = "clickhouse/clickhouse-server:26.3"
NATIVE_PORT = 9000
DEFAULT_ENGINE = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class ClickHouseServer:
    """Where a ClickHouse server speaks its native protocol, and as whom."""

    host: str
    port: int
    user: str
    password: str
    database: str


@contextmanager
def clickhouse_server(image: str = CLICKHOUSE_IMAGE) -> Iterator[ClickHouseServer]:
    """Run a ClickHouse server in a container; raises Unavailable where there is no engine or no image."""
    _check_engine()
    try:
        container = ClickHouseContainer(image, username="milepost", password="milepost", dbname="milepost").start()
    except DockerException as error:
        raise Unavailable(f"a ClickHouse server needs a container engine and the image {image}: {error}") from error
    try:
        yield ClickHouseServer(
            container.get_container_host_ip(),
            int(container.get_exposed_port(NATIVE_PORT)),
            container.username,
            container.password,
            container.dbname,
        )
    finally:
        container.stop()


def _check_engine() -> None:
    """Raise Unavailable when nobody listens where the engine should be; the client's own attempt leaks its socket."""
    host = get_docker_host() or DEFAULT_ENGINE
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(host.removeprefix("unix://"))
            except OSError as error:
                raise Unavailable(f"a ClickHouse server needs a container engine, none at {host}: {error}") from error
