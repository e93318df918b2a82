"""Bytes anywhere in a memory are a column as if they had been copied into one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from logserver.decode.views import INLINE_BYTES, emptied, sizes_of, taken, view_column

places = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), max_size=8)


def column(memory: bytes, spans: list[tuple[int, int]]) -> pa.BinaryViewArray:
    begins, sizes = (np.array([span[which] for span in spans], np.int64) for which in (0, 1))
    made = view_column(memoryview(memory), begins, sizes)
    made.validate(full=True)
    return made


@given(content=st.binary(min_size=100, max_size=100), spans=places)
def test_a_column_has_the_bytes_of_its_places(content: bytes, spans: list[tuple[int, int]]) -> None:
    made = column(content + bytes(INLINE_BYTES), spans)
    expected = [content[begin : begin + size] for begin, size in spans]
    assert made.to_pylist() == expected
    assert sizes_of(made).tolist() == [size for _, size in spans]
    assert made.equals(pa.array(expected, pa.binary_view()))


@given(
    values=st.lists(st.binary(max_size=30), min_size=1, max_size=8),
    begin=st.integers(0, 7),
    picks=st.lists(st.integers(0, 7)),
)
def test_rows_can_be_taken_and_emptied_of_any_column(values: list[bytes], begin: int, picks: list[int]) -> None:
    part = pa.array(values, pa.binary_view()).slice(min(begin, len(values) - 1))
    rest = part.to_pylist()
    rows = np.array([pick for pick in picks if pick < len(rest)], np.int64)
    assert taken(part, rows).to_pylist() == [rest[row] for row in rows]
    assert emptied(part, rows).to_pylist() == [b"" if row in rows else value for row, value in enumerate(rest)]
    assert part.to_pylist() == rest


def test_no_places_are_an_empty_column() -> None:
    assert column(b"", []).to_pylist() == []
