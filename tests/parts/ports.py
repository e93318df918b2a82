"""Free TCP ports, for servers that must know their port before they start."""

from __future__ import annotations

import socket
import time


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port nobody listens on; the kernel hands out a different one each time for a good while."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def wait_accepting(port: int, timeout_s: float, host: str = "127.0.0.1") -> None:
    """Wait until something accepts connections; raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not accepts(port, host):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing accepts connections on {host}:{port} after {timeout_s:g} s")
        time.sleep(0.05)
