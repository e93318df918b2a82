"""HDFS's checksums of whole files, recomputed from the bytes: pure.

HDFS keeps a CRC for each chunk of `bytesPerCrc` bytes. Its checksum of a file is one of two:

- `MD5-of-<crcPerBlock>MD5-of-<bytesPerCrc><CRC32|CRC32C>`: the MD5 of each block's CRCs (big-endian, 4 bytes), and the
  MD5 of these. The value is bytesPerCrc (4 bytes), crcPerBlock (8), MD5 (16). Hadoop takes the outer MD5 over its whole
  buffer, not over what it wrote into it: zeros up to the next power of two, at least 32 bytes, belong to it (seen on
  Hadoop 3.4.1, and the reason why equal files with other block sizes have other checksums).
- `COMPOSITE-<CRC32|CRC32C>` (`dfs.checksum.combine.mode=COMPOSITE_CRC`): the CRC of the whole file, 4 bytes.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Callable
from typing import Protocol

import google_crc32c

from deploy.hdfs.answers import FileChecksum

_MD5_OF_MD5 = re.compile(r"MD5-of-\d+MD5-of-(\d+)(CRC32C?)")
_COMPOSITE = re.compile(r"COMPOSITE-(CRC32C?)")
_CRC: dict[str, Callable[[bytes], int]] = {"CRC32": zlib.crc32, "CRC32C": google_crc32c.value}
_EXTEND: dict[str, Callable[[int, bytes], int]] = {
    "CRC32": lambda crc, data: zlib.crc32(data, crc),
    "CRC32C": google_crc32c.extend,
}
_BUFFER_MIN = 32


class Digest(Protocol):
    """What bytes have in common with a checksum."""

    def update(self, data: bytes) -> None:
        """Take the next bytes of the file."""

    def value(self) -> bytes:
        """Return the checksum of all bytes taken; call it once, at the end."""


def digest_for(checksum: FileChecksum, block_size: int) -> Digest | None:
    """Return what recomputes a checksum of this kind, None when it is none of the two."""
    if match := _COMPOSITE.fullmatch(checksum.algorithm):
        return _Composite(match[1])
    match = _MD5_OF_MD5.fullmatch(checksum.algorithm)
    chunk = int(match[1]) if match else 0
    if match is None or not chunk or block_size <= 0 or block_size % chunk or len(checksum.value) != 28:
        return None
    return _Md5OfMd5(match[2], chunk, block_size, checksum.value[4:12])


class _Composite:
    def __init__(self, crc: str) -> None:
        self._extend = _EXTEND[crc]
        self._crc = 0

    def update(self, data: bytes) -> None:
        self._crc = self._extend(self._crc, data)

    def value(self) -> bytes:
        return struct.pack(">I", self._crc)


class _Md5OfMd5:
    def __init__(self, crc: str, chunk: int, block_size: int, crc_per_block: bytes) -> None:
        self._crc = _CRC[crc]
        self._chunk = chunk
        self._block_size = block_size
        self._crc_per_block = crc_per_block
        self._rest = b""  # of the last chunk, as long as it is not whole
        self._left = block_size  # of this block, without the rest
        self._block = hashlib.md5(usedforsecurity=False)
        self._blocks = b""

    def update(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % self._chunk
        at = 0
        while at < whole:
            end = min(whole, at + self._left)
            self._add(data[at:end])
            self._left -= end - at
            at = end
            if not self._left:
                self._end_block()
        self._rest = data[whole:]

    def value(self) -> bytes:
        if self._rest:
            self._add(self._rest)
            self._left -= len(self._rest)
        if self._left < self._block_size:
            self._end_block()
        size = _BUFFER_MIN
        while size < len(self._blocks):
            size *= 2
        outer = hashlib.md5(self._blocks.ljust(size, b"\0"), usedforsecurity=False)
        return struct.pack(">I", self._chunk) + self._crc_per_block + outer.digest()

    def _add(self, data: bytes) -> None:
        crcs = [self._crc(data[at : at + self._chunk]) for at in range(0, len(data), self._chunk)]
        self._block.update(struct.pack(f">{len(crcs)}I", *crcs))

    def _end_block(self) -> None:
        self._blocks += self._block.digest()
        self._block = hashlib.md5(usedforsecurity=False)
        self._left = self._block_size
