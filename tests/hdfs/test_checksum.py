"""HDFS's checksums of files, whatever pieces the bytes come in. The real ones are in `test_download.py`."""

from __future__ import annotations

import hashlib
import struct
import zlib
from itertools import pairwise

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.hdfs.answers import FileChecksum, read_checksum
from deploy.hdfs.checksum import digest_for


def whole(data: bytes, crc: str, chunk: int, block: int) -> bytes:
    """The checksum of a file by its definition, all at once."""
    value = {"CRC32": zlib.crc32, "CRC32C": google_crc32c.value}[crc]
    blocks = b""
    for start in range(0, len(data), block):
        one = data[start : start + block]
        crcs = [value(one[at : at + chunk]) for at in range(0, len(one), chunk)]
        blocks += hashlib.md5(struct.pack(f">{len(crcs)}I", *crcs), usedforsecurity=False).digest()
    size = next(32 << power for power in range(64) if 32 << power >= len(blocks))
    per_block = block // chunk if len(data) > block else 0
    return struct.pack(">IQ", chunk, per_block) + hashlib.md5(blocks.ljust(size, b"\0"), usedforsecurity=False).digest()


@given(
    data=st.binary(max_size=400),
    cuts=st.lists(st.integers(0, 400), max_size=8),
    crc=st.sampled_from(["CRC32", "CRC32C"]),
    chunk=st.integers(1, 9),
    chunks=st.integers(1, 9),
)
def test_pieces_make_no_difference(data: bytes, cuts: list[int], crc: str, chunk: int, chunks: int) -> None:
    expected = whole(data, crc, chunk, chunk * chunks)
    kind = FileChecksum(f"MD5-of-{chunks}MD5-of-{chunk}{crc}", 28, expected.hex() + "00000000")
    digest = digest_for(kind, chunk * chunks)
    assert digest is not None
    edges = [0, *sorted(cut for cut in cuts if cut <= len(data)), len(data)]
    for start, end in pairwise(edges):
        digest.update(data[start:end])
    assert digest.value() == expected == kind.value


@given(data=st.binary(max_size=100), cut=st.integers(0, 100))
@pytest.mark.parametrize("crc", ["CRC32", "CRC32C"])
def test_a_checksum_of_the_whole_file(crc: str, data: bytes, cut: int) -> None:
    digest = digest_for(FileChecksum(f"COMPOSITE-{crc}", 4, "00000000"), 1 << 20)
    assert digest is not None
    digest.update(data[:cut])
    digest.update(data[cut:])
    assert digest.value() == struct.pack(">I", {"CRC32": zlib.crc32, "CRC32C": google_crc32c.value}[crc](data))


@pytest.mark.parametrize(
    ("algorithm", "hexadecimal", "block"),
    [
        ("MD5-of-0MD5-of-512CRC32C", "00" * 28, 0),
        ("MD5-of-0MD5-of-512CRC32C", "00" * 28, 1000),
        ("MD5-of-0MD5-of-0CRC32", "00" * 28, 512),
        ("MD5-of-0MD5-of-512CRC32C", "00" * 27, 512),
        ("MD5-of-0MD5-of-512CRC32C", "no hexadecimal", 512),
        ("MD5-of-0MD5-of-512CRC64", "00" * 28, 512),
        ("", "", 512),
    ],
)
def test_what_cannot_be_recomputed_is_not(algorithm: str, hexadecimal: str, block: int) -> None:
    assert digest_for(FileChecksum(algorithm, 28, hexadecimal), block) is None


def test_no_checksum_is_an_answer() -> None:
    assert read_checksum(b'{"FileChecksum":null}') is None
