from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logserver.query.cursor import (
    CursorError,
    PageCursor,
    RejectCursor,
    decode_page,
    decode_reject,
    decode_tail,
    encode_page,
    encode_reject,
    encode_tail,
)
from logserver.record import TopicPartition

U64 = st.integers(0, 2**64 - 1)
PAGES = st.builds(PageCursor, st.integers(-(2**63), 2**63 - 1), U64, U64)
VECTORS = st.dictionaries(st.builds(TopicPartition, st.text(max_size=8), st.integers(0, 2**31)), U64, max_size=40)


@given(PAGES)
def test_a_page_cursor_comes_back_the_same(cursor: PageCursor) -> None:
    text = encode_page(cursor)
    assert decode_page(text) == cursor
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)


@given(VECTORS)
def test_a_tail_cursor_comes_back_the_same(vector: dict[TopicPartition, int]) -> None:
    text = encode_tail(vector)
    assert decode_tail(text) == vector
    assert encode_tail(dict(reversed(list(vector.items())))) == text


def test_a_tail_cursor_of_a_wide_topic_stays_short() -> None:
    vector = {TopicPartition("logs", number): 123_456_789 + number for number in range(64)}
    assert len(encode_tail(vector)) < 64 * 8


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_a_cursor_error(text: str) -> None:
    for decode in (decode_page, decode_tail, decode_reject):
        try:
            decode(text)
        except CursorError:
            continue


@given(PAGES, VECTORS)
def test_one_kind_of_cursor_is_never_read_as_the_other(page: PageCursor, vector: dict[TopicPartition, int]) -> None:
    with pytest.raises(CursorError, match="another kind"):
        decode_tail(encode_page(page))
    with pytest.raises(CursorError, match="another kind"):
        decode_page(encode_tail(vector))


@given(PAGES, st.data())
def test_a_cut_cursor_is_refused(cursor: PageCursor, data: st.DataObject) -> None:
    text = encode_page(cursor)
    cut = text[: data.draw(st.integers(0, len(text) - 2))]
    with pytest.raises(CursorError):
        decode_page(cut)


@given(st.builds(RejectCursor, st.integers(0, 2**43), st.text(max_size=20), st.integers(0, 2**32 - 1), U64))
def test_a_reject_cursor_comes_back_as_it_was(cursor: RejectCursor) -> None:
    text = encode_reject(cursor)
    assert decode_reject(text) == cursor
    with pytest.raises(CursorError, match="another kind"):
        decode_page(text)
