"""Free TCP ports, for servers that must know their port before they start."""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path

_LOWEST = 10_000
_TRIES = 1000


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port nobody listens on, below those that the kernel gives to outgoing connections.

    A port from that range could become some connection's own before a server that takes seconds to start binds it.
    """
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(_TRIES):
        port = _LOWEST + secrets.randbelow(highest - _LOWEST)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            return port
    raise OSError(f"none of {_TRIES} ports between {_LOWEST} and {highest} is free")


def free_ports(count: int) -> list[int]:
    """Return that many free ports of loopback, all different."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def wait_refusing(port: int, timeout_s: float, host: str = "127.0.0.1") -> None:
    """Wait until nothing accepts connections any more; raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while accepts(port, host):
        if time.monotonic() > deadline:
            raise TimeoutError(f"something accepts connections on {host}:{port} after {timeout_s:g} s")
        time.sleep(0.05)


def wait_accepting(port: int, timeout_s: float, host: str = "127.0.0.1") -> None:
    """Wait until something accepts connections; raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not accepts(port, host):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing accepts connections on {host}:{port} after {timeout_s:g} s")
        time.sleep(0.05)
