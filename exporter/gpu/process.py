"""From process ids to owners, through the host's /proc.

NVML gives process ids of the host's namespace, so `root` must be the host's /proc: the exporter's own with
`hostPID: true`, or a mount of it. Process ids are used again, so an answer is remembered for (pid, start time) only.
A process that NVML still reports but that has ended keeps the owner of the reading before.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from exporter.gpu.cgroup import Owner, owner

CGROUP_BYTES_MAX = 64 * 1024


class ProcessOwners:
    """Remembers the owners of the processes of the last reading, and no others."""

    def __init__(self, root: Path) -> None:
        """Read below `root`, the /proc of the host."""
        self._root = root
        self._known: dict[int, tuple[int, Owner | None]] = {}

    def resolve(self, pids: Iterable[int]) -> dict[int, Owner | None]:
        """Return the owner of each process, None for one outside of any container or unreadable."""
        known: dict[int, tuple[int, Owner | None]] = {}
        for pid in pids:
            start = self._start_time(pid)
            before = self._known.get(pid)
            if before is not None and start in (None, before[0]):
                known[pid] = before
            elif start is not None:
                known[pid] = (start, owner(self._read(pid, "cgroup") or ""))
            else:
                known[pid] = (0, None)
        self._known = known
        return {pid: found for pid, (_, found) in known.items()}

    def _start_time(self, pid: int) -> int | None:
        """Return field 22 of /proc/<pid>/stat, clock ticks since boot; the name before it may hold anything."""
        stat = self._read(pid, "stat")
        fields = stat.rpartition(")")[2].split() if stat else []
        return int(fields[19]) if len(fields) > 19 and fields[19].isdecimal() else None

    def _read(self, pid: int, name: str) -> str | None:
        try:
            with (self._root / str(pid) / name).open("rb") as file:
                return file.read(CGROUP_BYTES_MAX).decode(errors="replace")
        except OSError:  # ended meanwhile, or not ours to read: both mean that its owner is unknown
            return None
