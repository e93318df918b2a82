"""`milepost exporter` as a process of the tests."""

from __future__ import annotations

import os
import re
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.parts.process import Process

START_S = 60.0
_LISTENING = re.compile(r"listening on (http://\S+)")


class ExporterProgram:
    """One exporter on a free port, with its log in `folder`."""

    def __init__(self, folder: Path, *flags: str, env: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.process = Process(
            [sys.executable, "-m", "milepost.cli", "exporter", "--exporter-port=0", *flags],
            log=folder / "exporter.log",
            env=env,
        )

    @property
    def url(self) -> str:
        """Its address, from its log."""
        found = _LISTENING.findall(self.process.log.read_text())
        return str(found[-1]) if found else ""

    def start(self) -> ExporterProgram:
        """Start it and wait until it is ready."""
        self.process.start()
        self.process.wait_until(self._ready, "/readyz", START_S)
        return self

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def get(
        self, path: str, *, token: str = "", headers: Mapping[str, str] | None = None, timeout_s: float = 30
    ) -> bytes:
        """Return the body of an answer; raises urllib.error.HTTPError."""
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url + path, headers={**authorization, **(headers or {})})  # noqa: S310
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            return bytes(answer.read())

    def resident_mib(self, what: str = "VmRSS") -> float:
        """Its resident memory now (VmRSS) or at most (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return float(status.partition(f"{what}:")[2].split()[0]) / 1024

    def cpu_s(self) -> float:
        """The CPU time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _ready(self) -> bool:
        try:
            return bool(self.url and self.get("/readyz"))
        except OSError:
            return False
