"""The folder that a model goes into.

It is ours from the first file on: a marker in it says so, and a folder that holds other things and no marker is
refused, since what the model does not have is removed from it. Files are written aside, under a name that is another
for each version of the file, and moved to their place when they are whole and checked: a program that is killed goes
on where it was, and never takes half a file, or the file of another version, for the one it wants.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.hdfs.errors import Refused
from deploy.hdfs.tree import ASIDE, MARKER, File

PIECE_BYTES = 1 << 20
_SHOWN = 3


class Target:
    """One target folder; whatever the disk says goes up as Refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = folder / ASIDE

    def claim(self, uri: str) -> None:
        """Make the folder ours, for this address; raises Refused when it belongs to somebody else."""
        with _disk(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            others = sorted(path.name for path in self._folder.iterdir() if path.name != "lost+found")
            if others and MARKER not in others:
                shown = ", ".join(others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
                raise Refused(f"{self._folder} holds {shown} and no {MARKER}: it is not ours")
            (self._folder / MARKER).write_text(f"{uri}\n")
            self._aside.mkdir(exist_ok=True)

    def room(self) -> int:
        """Return the bytes that files of ours may have: what is free, and what they have already."""
        with _disk(self._folder):
            used = sum(path.stat().st_size for path in self._files())
            return shutil.disk_usage(self._folder).free + used

    def started(self, file: File) -> Partial:
        """Return what there is of this version of a file: nothing, a beginning, or all of it."""
        with _disk(self._folder):
            path = self._aside / file.version
            placed = self._folder / file.relative
            if not path.exists() and _same_version(placed, file):
                placed.replace(path)  # of an earlier run: read and checked again like any other
            if path.exists() and path.stat().st_size > file.length:
                path.unlink()
            return Partial(path)

    def publish(self, file: File, partial: Partial) -> None:
        """Move a whole file to its place, synced, with the time it has in HDFS."""
        with _disk(self._folder):
            placed = self._folder / file.relative
            self._make_way(placed)
            partial.sync()
            modified_ns = file.modification_time * 1_000_000
            os.utime(partial.path, ns=(modified_ns, modified_ns))
            partial.path.replace(placed)

    def _make_way(self, placed: Path) -> None:
        for parent in reversed(placed.parents):
            if parent.is_relative_to(self._folder) and parent.is_file():
                parent.unlink(missing_ok=True)
        if placed.is_dir():
            shutil.rmtree(placed)
        placed.parent.mkdir(parents=True, exist_ok=True)

    def finish(self, files: Iterable[File]) -> int:
        """Remove what the model does not have, and what was written aside; return how many files of ours that were."""
        wanted = {self._folder / file.relative for file in files}
        with _disk(self._folder):
            shutil.rmtree(self._aside)
            extra = [path for path in self._files() if path not in wanted]
            for path in extra:
                path.unlink()
            for name, _, _ in os.walk(self._folder, topdown=False):
                folder = Path(name)
                if folder != self._folder and next(folder.iterdir(), None) is None:
                    folder.rmdir()
            return len(extra)

    def _files(self) -> Iterator[Path]:
        for folder, _, names in os.walk(self._folder):
            yield from (Path(folder) / name for name in names if name != MARKER)


class Partial:
    """A file that is being written aside; one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab+")
        self._file.seek(0)

    def read(self) -> bytes:
        """Return the next piece of what was there already, empty at its end."""
        with _disk(self.path):
            return self._file.read(PIECE_BYTES)

    def write(self, data: bytes) -> None:
        """Append."""
        with _disk(self.path):
            self._file.write(data)

    def sync(self) -> None:
        """Close it when all of it is on the disk."""
        with _disk(self.path), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())

    def discard(self) -> None:
        """Remove it."""
        with _disk(self.path), self._file:
            self.path.unlink()

    def close(self) -> None:
        """Keep what there is for another time."""
        with _disk(self.path):
            self._file.close()


def _same_version(placed: Path, file: File) -> bool:
    if placed.is_symlink() or not placed.is_file():
        return False
    status = placed.stat()
    return (status.st_size, status.st_mtime_ns) == (file.length, file.modification_time * 1_000_000)


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"the target {folder} cannot be used: {error}") from error
