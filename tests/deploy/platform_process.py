"""`milepost platform` as a process of its own, as it runs in a pod: started, asked over HTTP, killed, started again."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.parts.ports import free_port
from tests.parts.process import Process

START_S = 120.0


class PlatformProcess:
    """The program with this kubeconfig; `settings` are environment variables without their prefix."""

    def __init__(self, folder: Path, kubeconfig: Path, settings: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        env = {
            "KUBE_CONFIG": str(kubeconfig),
            "AUTH_MODE": "kubernetes",
            "OPERATIONS_POLL": "200ms",
            "OPERATIONS_ROUTE_SETTLE": "1s",
            "LOCK_DURATION": "6s",
            "PLATFORM_PORT": str(self.port),
            **(settings or {}),
        }
        self.process = Process(
            [sys.executable, "-m", "milepost.cli", "platform"],
            log=folder / "platform.log",
            env={f"MILEPOST_{name}": value for name, value in env.items()},
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> PlatformProcess:
        """Start it and wait until its lists are complete."""
        self.process.start()
        self.process.wait_until(self._ready, "/readyz", START_S)
        return self

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
