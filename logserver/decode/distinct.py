"""Columns of few distinct values: work is done per distinct value, not per row. Pure.

A *column* here is a dictionary array of strings of one chunk; its codes say for each row which value it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int64]
_KEY_MAX = 2**62


@dataclass(frozen=True, slots=True)
class Combined:
    """The distinct combinations of several columns, and for each row which one it has."""

    codes: Codes
    values: list[tuple[str, ...]]


def split(column: pa.ChunkedArray) -> tuple[Codes, list[str]]:
    """Return a column's codes and values; a missing value is the empty string."""
    array = column.combine_chunks()
    values = [value or "" for value in array.dictionary.to_pylist()]
    if array.null_count:
        values.append("")
    codes = pc.fill_null(array.indices.cast(pa.int64()), len(values) - 1)
    return codes.to_numpy(zero_copy_only=False), values


def joined(codes: Codes, values: Sequence[str]) -> pa.DictionaryArray:
    """Return the column of these codes; values that are equal become one."""
    places: dict[str, int] = {}
    merged = np.array([places.setdefault(value, len(places)) for value in values], dtype=np.int32)
    indices = merged[codes] if len(codes) else np.zeros(0, dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(list(places), pa.string()))


def mapped(column: pa.ChunkedArray, function: Callable[[str], str]) -> pa.DictionaryArray:
    """Return the column with a function applied to each of its values."""
    codes, values = split(column)
    return joined(codes, [function(value) for value in values])


def combined(columns: Sequence[pa.ChunkedArray]) -> Combined:
    """Return the distinct combinations of the columns' values."""
    parts = [split(column) for column in columns]
    keys, size = np.zeros(len(parts[0][0]), dtype=np.int64), 1
    for codes, values in parts:
        if size * len(values) > _KEY_MAX:
            keys, firsts = _dense(keys)
            size = len(firsts)
        keys = keys * len(values) + codes
        size *= max(1, len(values))
    keys, firsts = _dense(keys)
    places = [codes[firsts].tolist() for codes, _ in parts]
    names = [[values[place] for place in column] for column, (_, values) in zip(places, parts, strict=True)]
    return Combined(keys, list(zip(*names, strict=True)))


def paired(one: Codes, other: Codes, other_size: int) -> tuple[Codes, Codes]:
    """Return which pair of codes each row has, counted from 0, and the first row of each pair."""
    return _dense(one * max(1, other_size) + other)


def _dense(keys: Codes) -> tuple[Codes, Codes]:
    """Return the keys counted from 0, and the first row of each."""
    encoded = pa.array(keys).dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    firsts = np.zeros(len(encoded.dictionary), dtype=np.int64)
    firsts[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return codes, firsts
