"""Addresses for pods on this machine: 198.18.0.0/15 (RFC 2544) routed to the loopback interface.

Kubernetes refuses 127.0.0.0/8 in Endpoints and status addresses. With this route every address of the block belongs to
this machine, like those of 127.0.0.0/8: a server can bind to a pod's address, and nothing sent there leaves.
"""

from __future__ import annotations

import subprocess

from tests.parts.install import Unavailable, tool

BLOCK = "198.18.0.0/15"
POD_CIDR = "198.18.0.1/16"
NODE_ADDRESS = "198.18.0.1"
SERVED_PREFIX = "198.19."
"""The second half of the block is never given to a pod: tests take addresses there for servers of their own."""


def make_local() -> None:
    """Route the block to loopback, unless it is; raises Unavailable where that is not permitted."""
    program = tool("ip", "addresses of pods on this machine")
    shown = _run(program, "route", "show", "table", "local")
    if f"local {BLOCK}" in shown.stdout:
        return
    added = _run(program, "route", "add", "local", BLOCK, "dev", "lo")
    if added.returncode != 0 and "File exists" not in added.stderr:
        raise Unavailable(f"`ip route add local {BLOCK} dev lo` failed: {added.stderr.strip()}")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
