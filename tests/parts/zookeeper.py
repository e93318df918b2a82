"""A real ZooKeeper: one server on loopback, from its own jars in Maven Central.

It keeps its port and its data over stop, kill and restart, as a server of a cluster does.
"""

from __future__ import annotations

from pathlib import Path

from tests.parts.install import install
from tests.parts.maven import jars
from tests.parts.ports import free_port
from tests.parts.process import Process

VERSION = "3.9.5"
START_S = 60.0

PART = jars(
    "zookeeper",
    VERSION,
    (
        f"org.apache.zookeeper:zookeeper:{VERSION}",
        "io.dropwizard.metrics:metrics-core:4.1.12.1",
        "org.xerial.snappy:snappy-java:1.1.10.5",
        "org.slf4j:slf4j-simple:2.0.13",
    ),
    told="about 20 jars",
)


class ZooKeeper:
    """One server with its data in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        configuration = folder / "zoo.cfg"
        # Half a second a tick: sessions may be as short as one second, and tests that lose one need not wait long.
        configuration.write_text(
            f"tickTime=500\ndataDir={folder / 'data'}\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
            "admin.enableServer=false\n4lw.commands.whitelist=ruok\nforceSync=no\n"
        )
        libs = install(PART) / "libs"
        self.process = Process(
            ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
             "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dzookeeper.forceSync=no", "-cp", f"{libs}/*",
             "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(configuration)],
            log=folder / "zookeeper.log",
        )  # fmt: skip

    @property
    def address(self) -> str:
        """Its address for clients, host:port."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> ZooKeeper:
        """Start it and wait until it serves."""
        self.process.start()
        self.process.wait_port(self.port, START_S)
        return self

    def stop(self) -> None:
        """End it."""
        self.process.stop()
