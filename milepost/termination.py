"""The termination message: the line that `kubectl describe pod` shows of a container that ended."""

from __future__ import annotations

from pathlib import Path

TERMINATION_LOG = Path("/dev/termination-log")
MESSAGE_MAX_BYTES = 4096
"""What Kubernetes takes of it."""


def leave(message: str, log: Path) -> None:
    """Write the message where Kubernetes reads it; nothing is done outside of a container, which has no such file."""
    if log.exists():
        log.write_bytes(message.encode(errors="replace")[:MESSAGE_MAX_BYTES])
