"""A real HDFS: two namenodes, one of them active, and some datanodes, from Hadoop's own jars in Maven Central.

They run in one Java process (`MiniHdfs.java`, which also listens for what is to break). Files get there as they do in
life, over WebHDFS.
"""

from __future__ import annotations

import json
import string
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

from tests.parts.install import install
from tests.parts.maven import jars
from tests.parts.ports import free_ports
from tests.parts.process import Process

VERSION = "3.4.1"
START_S = 90.0
CALL_S = 60.0
BLOCK_BYTES = 1 << 20
USER = "root"

_SOURCE = Path(__file__).with_name("MiniHdfs.java")

PART = jars(
    "hdfs",
    VERSION,
    (
        # Nearer than what Hadoop asks for, two versions of which do not fit each other.
        "com.fasterxml.jackson.core:jackson-databind:2.12.7.1",
        "com.fasterxml.jackson.core:jackson-core:2.12.7",
        f"org.apache.hadoop:hadoop-minicluster:{VERSION}",
        "org.mockito:mockito-core:4.11.0",
        "junit:junit:4.13.2",
    ),
    told="about 190 jars (110 MB)",
)


class HdfsCluster:
    """One HDFS, nameservice `models`, with its data in `folder`; `overrides` are properties of hdfs-site.xml."""

    def __init__(self, folder: Path, overrides: Mapping[str, str] | None = None, *, datanodes: int = 2) -> None:
        libs = install(PART) / "libs"
        self._control_port, *self.ports = free_ports(3)
        properties = {
            "dfs.namenode.fs-limits.min-block-size": "0",
            "dfs.blocksize": str(BLOCK_BYTES),
            **(overrides or {}),
        }
        self.process = Process(
            [
                "java",
                "-Xmx512m",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "--add-opens=java.base/java.lang=ALL-UNNAMED",
                "-cp",
                f"{libs}/*",
                _SOURCE,
                folder / "data",
                str(self._control_port),
                *map(str, self.ports),
                str(datanodes),
                *(f"{name}={value}" for name, value in properties.items()),
            ],
            log=folder / "hdfs.log",
        )

    @property
    def namenodes(self) -> list[str]:
        """The addresses of both namenodes."""
        return [f"127.0.0.1:{port}" for port in self.ports]

    def start(self) -> HdfsCluster:
        """Start it and wait until its first namenode is active."""
        self.process.start()
        self.process.wait_line(r"^HDFS is up", START_S)
        return self

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def put(self, path: str, data: bytes, *, block_bytes: int = BLOCK_BYTES, user: str = USER) -> None:
        """Write a file, with all folders above it, in place of what is there."""
        query = {"op": "CREATE", "overwrite": "true", "blocksize": str(block_bytes), "noredirect": "true"}
        location = json.loads(self._webhdfs("PUT", path, {**query, "user.name": user}))["Location"]
        _call("PUT", quote(location, safe=string.printable), data)

    def change(self, operation: str, path: str, method: str = "PUT", **parameters: str) -> None:
        """Do something else to a path: DELETE, RENAME, SETPERMISSION…"""
        self._webhdfs(method, path, {"op": operation, "user.name": USER, **parameters})

    def datanodes(self) -> list[str]:
        """Return the HTTP ports of the datanodes that run."""
        return self._control("datanodes").split(",")

    def activate(self, number: int) -> None:
        """Make namenode 0 or 1 the active one."""
        self._control(f"standby/{1 - number}")
        self._control(f"activate/{number}")

    def stop_datanode(self, port: str) -> None:
        """End the datanode with this HTTP port."""
        self._control(f"datanode/{port}")

    def start_datanodes(self) -> None:
        """Start those that were ended, and wait until they have reported."""
        self._control("datanodes/start")

    def _control(self, command: str) -> str:
        return _call("GET", f"http://127.0.0.1:{self._control_port}/{command}").decode()

    def _webhdfs(self, method: str, path: str, query: Mapping[str, str]) -> bytes:
        return _call(method, f"http://{self.namenodes[0]}/webhdfs/v1{quote(path)}?{urlencode(query)}")


def _call(method: str, url: str, data: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - of our own servers
    with urllib.request.urlopen(request, timeout=CALL_S) as response:  # noqa: S310
        body: bytes = response.read()
    return body
