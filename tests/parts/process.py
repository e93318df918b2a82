"""A server process of the tests: started with its output in a file, waited for, frozen, killed, started again.

Whatever happens to the test run, its servers end: a small reaper process holds the other end of a pipe, and when the
run is gone, even by kill -9, kills what the run had started (compared by start time, so never a stranger's process).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.parts import reaper
from tests.parts.ports import accepts

STOP_S = 15.0
TAIL_CHARS = 3000


class ProcessEnded(RuntimeError):  # noqa: N818 - what happened
    """The process ended, or did not come up in time; the message shows the end of its output."""


class Process:
    """One program with fixed arguments, which can be started and ended many times; `log` gets all of its output."""

    def __init__(
        self, argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.argv = [str(part) for part in argv]
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """The process id of the present or the last run."""
        if self._popen is None:
            raise ProcessEnded(f"{self.argv[0]} was never started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it runs now (a frozen one does)."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit status of the last run, None while it runs; a signal is negative."""
        return self._popen.poll() if self._popen else None

    def start(self) -> Process:
        """Start it; returns self at once."""
        if self.running:
            raise ProcessEnded(f"{self.argv[0]} already runs as {self.pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._log_start = out.tell()
            self._popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._env, cwd=self._cwd
            )
        reaper.watch(self._popen.pid)
        return self

    def output(self) -> str:
        """Return what the present or last run wrote."""
        with self.log.open("rb") as written:
            written.seek(self._log_start)
            return written.read().decode(errors="replace")

    def wait_line(self, pattern: str, timeout_s: float = 60) -> re.Match[str]:
        """Wait until the output matches the regular expression; raises ProcessEnded."""
        matched: list[re.Match[str]] = []

        def ready() -> bool:
            match = re.search(pattern, self.output(), re.MULTILINE)
            if match:
                matched.append(match)
            return match is not None

        self.wait_until(ready, f"the line {pattern!r}", timeout_s)
        return matched[0]

    def wait_port(self, port: int, timeout_s: float = 60) -> None:
        """Wait until it accepts connections on this port of loopback; raises ProcessEnded."""
        self.wait_until(lambda: accepts(port), f"port {port}", timeout_s)

    def wait_until(self, ready: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
        """Wait until `ready()`; raises ProcessEnded when the process ends before, or after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running:
                raise ProcessEnded(f"{self._tail(f'ended with {self.returncode} before {what}')}")
            if time.monotonic() > deadline:
                raise ProcessEnded(f"{self._tail(f'showed no {what} within {timeout_s:g} s')}")
            time.sleep(0.05)

    def stop(self, timeout_s: float = STOP_S) -> None:
        """End it with SIGTERM, after `timeout_s` with SIGKILL."""
        if self._popen is None or not self.running:
            return
        self.resume()
        self._popen.terminate()
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it with SIGKILL: it cannot finish anything."""
        if self._popen is not None and self.running:
            self._popen.kill()
            self._popen.wait()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its connections stay open and nothing answers."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self.send(signal.SIGCONT)

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal."""
        if self._popen is not None:
            self._popen.send_signal(signal_number)

    def _tail(self, what: str) -> str:
        return f"{Path(self.argv[0]).name} {what}; its output ends:\n{self.output()[-TAIL_CHARS:]}"


def python(module: str, *arguments: str) -> list[str]:
    """Return the command line of a Python module under this interpreter."""
    return [sys.executable, "-m", module, *arguments]
