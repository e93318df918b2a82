"""The log-server as its own process, to be killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.parts.ports import free_port

READY_S = 180.0


class LogServer:
    """One log-server process over a store directory; keeps its port and its store over restarts.

    As a context manager it leaves no process behind.
    """

    def __init__(self, folder: Path, bootstrap: str, topic: str, *flags: str) -> None:
        self.store = folder / "store"
        self.port = free_port()
        self._log = folder / "logserver.log"
        self._command = [
            sys.executable, "-m", "milepost.cli", "logserver",
            "--kafka-brokers", bootstrap, "--kafka-topics", topic, "--kafka-group", f"test-{topic}",
            "--kafka-session-timeout", "6s", "--kafka-commit-interval", "1s",
            "--store-path", str(self.store), "--http-port", str(self.port), *flags,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LogServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        """Where its HTTP answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it said on stderr so far, over all its starts."""
        return self._log.read_text()

    def start(self) -> None:
        """Start it; does not wait."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it at once, as the kernel does it when memory is out."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End it in order; return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def wait_exit(self, timeout_s: float) -> int:
        """Wait until it has ended by itself; return its exit code."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def ready(self) -> dict[str, Any]:
        """Return the body of /readyz; empty while nothing answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:  # noqa: S310 (loopback)
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))
        except (urllib.error.URLError, OSError):
            return {}

    def lag(self) -> dict[str, int]:
        """Return the lag it tells of each partition; empty while nothing answers."""
        return dict(self.ready().get("kafka", {}).get("lag", {}))

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:  # noqa: S310 (loopback)
            page = answer.read().decode()
        rows = [
            line
            for line in page.splitlines()
            if line.startswith(("milepost_logserver_" + name + " ", "milepost_logserver_" + name + "{"))
        ]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows)

    def resident_bytes(self) -> int:
        """Return its resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        deadline = time.monotonic() + READY_S
        while not self.ready().get("ready"):
            assert time.monotonic() < deadline, f"not ready in {READY_S} s: {self.ready()}\n{self.log[-3000:]}"
            time.sleep(0.1)
