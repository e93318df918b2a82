"""Installing a real server once for all test runs of this machine.

A `Part` fills one folder below `${MILEPOST_PARTS:-~/.cache/milepost/parts}`, named after its version: built aside, then
renamed, so a folder that exists is complete. A lock file for each part lets runs at the same time wait for one another
instead of building twice. What cannot be had here raises `Unavailable` with the reason.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BUILD_S = 3000
"""Longest time for one command of an installation; a cold build of the API server takes eight minutes on two cores."""
REASON_MAX_CHARS = 1500

Say = Callable[[str], None]


class Unavailable(Exception):  # noqa: N818 - a state, not a fault
    """This part cannot be installed on this machine; the message says why and, where it can, what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something installable: `fill(folder, say)` puts it into an empty folder."""

    name: str
    version: str
    fill: Callable[[Path, Say], None]

    @property
    def folder(self) -> Path:
        """Where the part is, once installed."""
        return parts_dir() / f"{self.name}-{self.version}"


def parts_dir() -> Path:
    """Return the folder of all parts."""
    return Path(os.environ.get("MILEPOST_PARTS") or "~/.cache/milepost/parts").expanduser()


def install(part: Part, say: Say = lambda _: None) -> Path:
    """Return the folder of the installed part, installing it first when it is missing. Raises Unavailable."""
    if part.folder.exists():
        return part.folder
    with locked(part.name, say):
        if part.folder.exists():
            return part.folder
        say(f"{part.name} {part.version}: installing")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f".{part.name}-", dir=parts_dir()) as work:
            filled = Path(work) / "part"
            filled.mkdir()
            part.fill(filled, say)
            filled.rename(part.folder)
        say(f"{part.name} {part.version}: installed in {time.monotonic() - started:.0f} s")
    return part.folder


@contextmanager
def locked(name: str, say: Say) -> Iterator[None]:
    """Hold the machine-wide lock of this name; says so when it has to wait."""
    parts_dir().mkdir(parents=True, exist_ok=True)
    with (parts_dir() / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: waiting for another process that installs it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def tool(name: str, needed_for: str) -> str:
    """Return the path of a program that must be there already; raises Unavailable."""
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"{needed_for} needs the program {name!r}, which is not installed")
    return path


def run(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run a command of an installation and return its output; raises Unavailable with the end of it."""
    try:
        done = subprocess.run(  # noqa: PLW1510 - its status is looked at below
            list(argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_S,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{argv[0]} did not end within {BUILD_S} s") from error
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(argv[:4])} failed ({done.returncode}): {done.stdout[-REASON_MAX_CHARS:]}")
    return done.stdout


def debian(
    packages: Sequence[str], programs: Sequence[str], say: Say = lambda _: None, *, files: Sequence[Path] = ()
) -> dict[str, str]:
    """Return {program: path}, installing Debian packages first when a program or a file is missing. Raises Unavailable.

    Programs are looked for in PATH and in /usr/sbin.
    """
    found = _programs(programs, files)
    if found is not None:
        return found
    command = f"apt-get install {' '.join(packages)}"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Unavailable(f"needs {', '.join([*programs, *map(str, files)])}: run `{command}` as root (Debian)")
    with locked("apt", say):
        found = _programs(programs, files)
        if found is None:
            say(f"apt: installing {' '.join(packages)}")
            # RUNLEVEL keeps the packages from starting their services.
            env = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
            wait = ("-o", "DPkg::Lock::Timeout=600")
            run(["apt-get", "-q", *wait, "update"], env=env)
            run(["apt-get", "-q", "-y", *wait, "install", "--no-install-recommends", *packages], env=env)
            found = _programs(programs, files)
    if found is None:
        raise Unavailable(f"`{command}` did not bring {', '.join([*programs, *map(str, files)])}")
    return found


def _programs(names: Sequence[str], files: Sequence[Path]) -> dict[str, str] | None:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    found = {name: shutil.which(name, path=path) for name in names}
    present = {name: place for name, place in found.items() if place is not None}
    return present if len(present) == len(found) and all(file.exists() for file in files) else None
