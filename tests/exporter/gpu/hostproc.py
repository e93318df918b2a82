"""A folder that looks like a host's /proc to those who read `<pid>/stat` and `<pid>/cgroup`."""

from __future__ import annotations

from pathlib import Path


def add_process(root: Path, pid: int, *, cgroup: str, start: int = 100, name: str = "python3") -> None:
    folder = root / str(pid)
    folder.mkdir(exist_ok=True, parents=True)
    before = "S 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0"
    (folder / "stat").write_text(f"{pid} ({name}) {before} {start} 1000 10\n")
    (folder / "cgroup").write_text(f"0::{cgroup}\n")


def end_process(root: Path, pid: int) -> None:
    for file in (root / str(pid)).iterdir():
        file.unlink()
    (root / str(pid)).rmdir()
