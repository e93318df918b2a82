"""Columns of bytes that lie anywhere in one piece of memory: nothing is copied to make one of them a column.

https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout. What Arrow itself cannot do with
such columns yet (to take rows, to know the sizes) is done here on the views, which are 16 bytes each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view

Numbers = npt.NDArray[np.int64]

PREFIX_BYTES = 4
INLINE_BYTES = 12
"""What is not longer than this stands in the view itself."""
MEMORY_BYTES_MAX = 2**31 - 1
"""A view says where its bytes are in 31 bits."""

_VIEW = np.dtype([("size", "<i4"), ("prefix", f"V{PREFIX_BYTES}"), ("buffer", "<i4"), ("offset", "<i4")])
_INLINE = np.dtype([("size", "<i4"), ("bytes", "u1", INLINE_BYTES)])


def view_column(memory: memoryview, begins: Numbers, sizes: Numbers) -> pa.BinaryViewArray:
    """Return the bytes of these places as a column; it lasts until the memory is written again.

    The memory goes on for INLINE_BYTES at least behind where the last value begins.
    """
    views = np.zeros(len(begins), dtype=_VIEW)
    if len(begins):
        views["size"], views["offset"] = sizes, begins
        octets = np.frombuffer(memory, np.uint8)
        views["prefix"] = sliding_window_view(octets, PREFIX_BYTES)[begins].view(f"V{PREFIX_BYTES}").ravel()
        short = np.flatnonzero(sizes <= INLINE_BYTES)
        inline = np.zeros(len(short), dtype=_INLINE)
        inside = np.arange(INLINE_BYTES) < sizes[short, None]
        inline["size"] = sizes[short]
        inline["bytes"] = np.where(inside, sliding_window_view(octets, INLINE_BYTES)[begins[short]], 0)
        views[short] = inline.view(_VIEW)
    return _column(views, [pa.py_buffer(memory)])


def sizes_of(column: pa.BinaryViewArray) -> npt.NDArray[np.int32]:
    """Return how many bytes each value has."""
    sizes: npt.NDArray[np.int32] = _views(column)["size"]
    return sizes


def taken(column: pa.BinaryViewArray, rows: npt.NDArray[np.int64]) -> pa.BinaryViewArray:
    """Return these rows of the column."""
    return _column(_views(column)[rows], column.buffers()[2:])


def emptied(column: pa.BinaryViewArray, rows: npt.NDArray[np.int64]) -> pa.BinaryViewArray:
    """Return the column with these rows empty."""
    views = _views(column).copy()
    views[rows] = np.zeros((), dtype=_VIEW)
    return _column(views, column.buffers()[2:])


def _views(column: pa.BinaryViewArray) -> npt.NDArray[np.void]:
    return np.frombuffer(column.buffers()[1], dtype=_VIEW)[column.offset : column.offset + len(column)]


def _column(views: npt.NDArray[np.void], buffers: list[pa.Buffer]) -> pa.BinaryViewArray:
    return pa.Array.from_buffers(pa.binary_view(), len(views), [None, pa.py_buffer(views), *buffers])
