"""Downloading a model: what there is, each file with its checksum, and a last look whether it is still the same.

A file goes on where it broke off, at another datanode when the last one failed; the namenodes are asked in turn. The
patience is for the whole model: as long as something arrives, all goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from deploy.hdfs.answers import FileChecksum
from deploy.hdfs.checksum import Digest, digest_for
from deploy.hdfs.errors import Refused, Unreachable
from deploy.hdfs.patience import Patience
from deploy.hdfs.settings import Hdfs
from deploy.hdfs.target import Partial, Target
from deploy.hdfs.tree import File, Folder, changed, check_size, entries_of
from deploy.hdfs.webhdfs import WebHdfs

DAMAGED_MAX = 3
"""How often a file may come with another checksum than HDFS says."""

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class Progress:
    """How far a download is; `unchecked` files have no checksum that can be recomputed."""

    files: int = 0
    bytes: int = 0
    files_done: int = 0
    bytes_done: int = 0
    unchecked: int = 0
    removed: int = 0
    retries: int = 0
    started: float = field(default_factory=time.monotonic)


class Fetch:
    """One download from one source into one folder; `say` is told of what went wrong and is tried again."""

    def __init__(self, hdfs: WebHdfs, target: Target, settings: Hdfs, say: Callable[[str], None]) -> None:
        self._hdfs = hdfs
        self._target = target
        self._settings = settings
        self._say = say
        self._patience = Patience(settings.patience, time.monotonic)
        self._avoid = ""  # the host that failed last
        self.progress = Progress()

    async def run(self, uri: str, path: str) -> None:
        """Download all of it; raises Refused and Unreachable."""
        summary = await self._retried(lambda: self._hdfs.summary(path))
        self._target.claim(uri)
        limits = self._settings
        check_size(summary, uri, files_max=limits.files_max, bytes_max=limits.bytes_max, free=self._target.room())
        self.progress.files, self.progress.bytes = summary.file_count, summary.length
        files = await self._walk(path)
        await self._download_all(files)
        different = changed(files, await self._walk(path))
        if different:
            raise Unreachable(f"{different} changed in HDFS while {uri} was downloaded")
        self.progress.removed = self._target.finish(files)

    async def _walk(self, root: str) -> list[File]:
        files: list[File] = []
        folders = [Folder(root)]
        while folders:
            folder = folders.pop()
            listing = await self._retried(partial(self._hdfs.listing, folder.path))
            more_files, more_folders = entries_of(folder, listing)
            files += more_files
            folders += more_folders
            if len(files) > self._settings.files_max:
                raise Refused(f"{root} has more than {self._settings.files_max} files by now (--hdfs-files-max)")
        return files

    async def _download_all(self, files: list[File]) -> None:
        waiting = sorted(files, key=lambda file: file.length)

        async def work() -> None:
            while waiting:
                await self._download(waiting.pop())

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self._settings.parallel, len(files))):
                    workers.create_task(work())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _download(self, file: File) -> None:
        expected = None
        if self._settings.checksum != "off" and file.length:
            expected = await self._retried(lambda: self._hdfs.checksum(file.path, avoid=self._avoid))
        for attempt in range(1, DAMAGED_MAX + 1):
            digest = digest_for(expected, file.block_size) if expected else None
            self._check_checkable(file, expected, digest)
            if await self._arrived(file, digest, expected):
                self.progress.files_done += 1
                self.progress.unchecked += digest is None and file.length > 0
                return
            self.progress.bytes_done -= file.length
            self._say(f"{file.path} came with another checksum than HDFS has ({attempt} of {DAMAGED_MAX})")
        raise Unreachable(
            f"{file.path} came {DAMAGED_MAX} times with another checksum than HDFS has: damaged on the way, or made of "
            "blocks of several lengths (--hdfs-checksum off)"
        )

    def _check_checkable(self, file: File, expected: FileChecksum | None, digest: Digest | None) -> None:
        if digest is None and file.length and self._settings.checksum == "require":
            kind = f"one of kind {expected.algorithm}" if expected else "none"
            raise Refused(f"{file.path} cannot be checked: HDFS has {kind} (--hdfs-checksum)")

    async def _arrived(self, file: File, digest: Digest | None, expected: FileChecksum | None) -> bool:
        """Bring one file to its place; return whether it is what HDFS says it is, else it is gone again."""
        begun = await asyncio.to_thread(self._target.started, file)
        try:
            await self._write(file, begun, digest)
            if digest and expected and digest.value() != expected.value:
                begun.discard()
                return False
            await asyncio.to_thread(self._target.publish, file, begun)
            return True
        finally:
            begun.close()

    async def _write(self, file: File, begun: Partial, digest: Digest | None) -> None:
        offset = await self._read_again(begun, digest)
        while offset < file.length:
            try:
                async with aclosing(self._hdfs.read(file.path, offset, file.length, avoid=self._avoid)) as pieces:
                    async for data in pieces:
                        await asyncio.to_thread(_take, data, digest, begun)
                        offset += len(data)
                        self.progress.bytes_done += len(data)
                        self._patience.progressed()
            except Unreachable as error:
                await self._pause(error)

    async def _read_again(self, begun: Partial, digest: Digest | None) -> int:
        offset = 0
        while data := await asyncio.to_thread(begun.read):
            if digest:
                await asyncio.to_thread(digest.update, data)
            offset += len(data)
            self.progress.bytes_done += len(data)
        return offset

    async def _retried(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
        while True:
            try:
                answer = await ask()
            except Unreachable as error:
                await self._pause(error)
            else:
                self._patience.progressed()
                return answer

    async def _pause(self, error: Unreachable) -> None:
        delay_s = self._patience.pause_after(error)
        self.progress.retries += 1
        # One that came again although it was to be avoided is all there is.
        self._avoid = "" if error.host == self._avoid else error.host
        self._say(f"{error}; trying again in {delay_s:.2g} s")
        await asyncio.sleep(delay_s)


def _take(data: bytes, digest: Digest | None, begun: Partial) -> None:
    begun.write(data)
    if digest:
        digest.update(data)
