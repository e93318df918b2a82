"""Which line a line is: its file, its offset there and its time, as columns, and sets of such identities. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from logserver.record import LINE_SCHEMA

Offsets = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Identities = npt.NDArray[np.void]
"""Structured: `file` and `offset` (UInt64), `ts` (nanoseconds since 1970)."""
_ODD_1, _ODD_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_IDENTITY = np.dtype([("file", "<u8"), ("offset", "<u8"), ("ts", "<i8")])


@dataclass(frozen=True, slots=True)
class Block:
    """A set of identities, to be searched by whole columns.

    Ordered by a 64-bit hash; equal hashes are compared by the identity itself, so a collision cannot drop a line.
    """

    hashes: Offsets
    identities: Identities

    @classmethod
    def of(cls, identities: Identities) -> Block:
        """Return the block of these identities."""
        hashes = _hashes(identities)
        order = np.argsort(hashes)
        return cls(hashes[order], identities[order])

    def has(self, identities: Identities) -> Mask:
        """Return which of the identities are in the block."""
        if not len(self.hashes):
            return np.zeros(len(identities), dtype=bool)
        places = np.minimum(np.searchsorted(self.hashes, _hashes(identities)), len(self.hashes) - 1)
        equal: Mask = self.identities[places] == identities
        return equal


def identities_of(lines: pa.Table) -> Identities:
    """Return the identities of the rows of a table of LINE_SCHEMA."""
    if not lines.schema.equals(LINE_SCHEMA):
        raise AssertionError(f"lines have another schema: {lines.schema}")
    ts = lines["ts"].cast(pa.int64()).to_numpy()
    return structured(lines["file_id"].to_numpy(), lines["file_offset"].to_numpy(), ts)


def structured(files: Offsets, offsets: Offsets, ts: npt.NDArray[np.int64]) -> Identities:
    """Return the identities in three columns; times are nanoseconds since 1970."""
    identities = np.empty(len(files), dtype=_IDENTITY)
    identities["file"], identities["offset"], identities["ts"] = files, offsets, ts
    return identities


def first_of_each(identities: Identities) -> Mask:
    """Return which rows are the first of their identity."""
    hashes = np.sort(_hashes(identities))
    if not (hashes[1:] == hashes[:-1]).any():  # nearly always so, and half the work
        return np.ones(len(identities), dtype=bool)
    order = np.lexsort((identities["ts"], identities["offset"], identities["file"]))
    ordered = identities[order]
    first = np.ones(len(order), dtype=bool)
    first[order[1:]] = ordered[1:] != ordered[:-1]
    return first


def _hashes(identities: Identities) -> Offsets:
    mixed: Offsets = identities["file"] ^ (identities["offset"] * _ODD_1) ^ (identities["ts"].view("<u8") * _ODD_2)
    return mixed
