"""What a folder of HDFS becomes on disk: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deploy.hdfs.answers import FileStatus, Summary
from deploy.hdfs.errors import Refused, Unreachable

MARKER = ".milepost-model"
"""The file that says that a folder is ours."""
ASIDE = ".milepost-partial"
"""The folder in which files are until they are whole."""
COPYING = "._COPYING_"
"""What `hdfs dfs -put` calls a file until it is whole."""
DEPTH_MAX = 32
_NAME_MAX_BYTES = 255


@dataclass(frozen=True, slots=True)
class File:
    """One file: its path in HDFS, where it goes below the target, and what tells one version of it from another."""

    path: str
    relative: str
    length: int
    modification_time: int
    block_size: int

    @property
    def version(self) -> str:
        """A name for what was downloaded of this version of the file: 32 hexadecimal digits."""
        told = f"{self.relative}\0{self.length}\0{self.modification_time}"
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder: its path in HDFS, where its entries go (empty or with a slash at the end), and its depth."""

    path: str
    below: str = ""
    depth: int = 0


def entries_of(folder: Folder, listing: Sequence[FileStatus]) -> tuple[list[File], list[Folder]]:
    """Return the files and folders of a listing.

    Raises Refused for what cannot be on disk, Unreachable for a file that is still being written.
    """
    if not folder.depth and [status.path_suffix for status in listing] == [""]:
        return [_file(listing[0], folder.path, folder.path.rpartition("/")[2])], []
    files, folders = [], []
    for status in listing:
        name = _name(status, folder.path)
        if not folder.depth and name in (MARKER, ASIDE):
            continue  # of somebody who put a folder of ours into HDFS
        path, relative = f"{folder.path}/{name}", folder.below + name
        if status.type == "DIRECTORY":
            folders.append(Folder(path, f"{relative}/", folder.depth + 1))
        else:
            files.append(_file(status, path, relative))
    if folders and folder.depth == DEPTH_MAX:
        raise Refused(f"{folders[0].path} is more than {DEPTH_MAX} folders deep")
    return files, folders


def _name(status: FileStatus, folder: str) -> str:
    name = status.path_suffix
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(name.encode()) > _NAME_MAX_BYTES:
        raise Refused(f"{folder} has an entry {name[:80]!r}, which cannot be a name on disk")
    return name


def _file(status: FileStatus, path: str, relative: str) -> File:
    if status.type != "FILE":
        raise Refused(f"{path} is a {status.type}: only files and folders can be downloaded")
    if relative.endswith(COPYING):
        raise Unreachable(f"{path} is still being copied into HDFS")
    return File(path, relative, status.length, status.modification_time, status.block_size)


def check_size(summary: Summary, uri: str, *, files_max: int, bytes_max: int, free: int) -> None:
    """Raise Refused when a model is empty, or larger than it may be; `free` is what the disk still takes."""
    if summary.file_count == 0:
        raise Refused(f"{uri} has no file in it")
    if summary.file_count > files_max:
        raise Refused(f"{uri} has {summary.file_count} files; at most {files_max} may be downloaded (--hdfs-files-max)")
    if bytes_max and summary.length > bytes_max:
        raise Refused(f"{uri} has {summary.length} bytes; at most {bytes_max} may be downloaded (--hdfs-bytes-max)")
    if summary.length > free:
        raise Refused(f"{uri} has {summary.length} bytes; the disk of the target has {free} left for it")


def changed(before: Iterable[File], after: Iterable[File]) -> str:
    """Return the path of a file that came, went or changed in between; empty when none did."""
    return min((file.path for file in set(before) ^ set(after)), default="")
