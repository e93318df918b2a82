"""`milepost dubbo` as a process of the tests."""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.parts.addresses import SERVED_PREFIX
from tests.parts.process import Process

START_S = 30.0
HOST = f"{SERVED_PREFIX}20.80"
"""Java callers put another address of their machine in the place of 127.0.0.1."""
_LISTENING = re.compile(r"listening on dubbo://\S+?:(\d+), health and metrics on (http://\S+)")


class DubboProgram:
    """One gateway on free ports, with its log and its services file in `folder`."""

    def __init__(self, folder: Path, services: str, *flags: str, env: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "services.yaml"
        file.write_text(services)
        self.process = Process(
            [sys.executable, "-m", "milepost.cli", "dubbo", f"--dubbo-services={file}", "--dubbo-port=0",
             "--http-port=0", f"--dubbo-host={HOST}", *flags],
            log=folder / "dubbo.log",
            env=env,
        )  # fmt: skip

    @property
    def port(self) -> int:
        """The port of Dubbo, from its log."""
        return int(self._listening()[0])

    @property
    def url(self) -> str:
        """The address of health and metrics."""
        return self._listening()[1]

    def address(self, interface: str) -> str:
        """The URL by which a caller without a registry finds a service."""
        return f"dubbo://{HOST}:{self.port}/{interface}"

    def start(self) -> DubboProgram:
        """Start it and wait until it is ready."""
        self.process.start()
        self.process.wait_line(_LISTENING.pattern, START_S)
        self.process.wait_until(lambda: self.ready() == "ready", "/readyz", START_S)
        return self

    def stop(self, timeout_s: float = 30) -> None:
        """End it in order."""
        self.process.stop(timeout_s)

    def ready(self) -> str:
        """`ready`, or why it is not."""
        try:
            self.get("/readyz")
        except urllib.error.HTTPError as error:
            with error:
                return str(json.load(error)["reason"])
        return "ready"

    def get(self, path: str) -> str:
        """Return the text of a page of the side port; raises urllib.error.HTTPError."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310
            return str(answer.read().decode())

    def metric(self, name: str, **labels: str) -> float:
        """Return one sample of /metrics, 0 when it is not there."""
        written = ",".join(f'{key}="{value}"' for key, value in labels.items())
        series = f"milepost_dubbo_{name}" + (f"{{{written}}}" if written else "")
        for line in self.get("/metrics").splitlines():
            found, _, value = line.rpartition(" ")
            if found == series:
                return float(value)
        return 0.0

    def _listening(self) -> tuple[str, str]:
        found = _LISTENING.findall(self.process.output())
        return str(found[-1][0]), str(found[-1][1])
