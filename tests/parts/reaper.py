"""Ends the servers of a test run that died without ending them.

Run as a program it reads lines `PID START_TIME` from its standard input, which the test run holds open; at the end of
input it kills each of those processes that still is the same one.
"""

from __future__ import annotations

import atexit
import functools
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


def watch(pid: int) -> None:
    """Have this process killed when the calling process is gone."""
    pipe = _reaper().stdin
    if pipe is not None:
        pipe.write(f"{pid} {_start_time(pid)}\n".encode())
        pipe.flush()


@functools.cache
def _reaper() -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in the terminal must not end the reaper before its work.
    process = subprocess.Popen([sys.executable, "-S", __file__], stdin=subprocess.PIPE, start_new_session=True)
    atexit.register(process.communicate)
    return process


def _start_time(pid: int) -> str:
    """Return field 22 of /proc/PID/stat, empty when there is no such process; the name before it may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _main() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    started = [line.split() for line in sys.stdin if len(line.split()) == 2]
    for pid, start_time in started:
        if _start_time(int(pid)) == start_time:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


if __name__ == "__main__":
    _main()
