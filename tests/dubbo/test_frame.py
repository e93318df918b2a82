"""Frames: the header's sixteen bytes, and what is no header."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.dubbo.frame import (
    FrameError,
    Header,
    Status,
    answer,
    check_magic,
    heartbeat,
    parse_header,
    readonly,
    serialization_name,
)

HEADERS = st.builds(
    Header,
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**31 - 1),
    request=st.booleans(),
    two_way=st.booleans(),
    event=st.booleans(),
    serialization=st.integers(0, 31),
    status=st.integers(0, 255),
)


@given(HEADERS)
def test_a_header_is_read_as_it_was_written(header: Header) -> None:
    assert parse_header(header.pack()) == header


@given(st.binary(min_size=16, max_size=16))
def test_any_sixteen_bytes_are_a_header_or_an_error(raw: bytes) -> None:
    with suppress(FrameError):
        assert parse_header(raw).body_bytes >= 0


def test_the_bytes_are_those_of_the_protocol() -> None:
    request = bytes.fromhex("dabb c2 00 0000000000000007 0000000a")
    assert parse_header(request) == Header(7, 10, request=True, two_way=True)
    assert answer(parse_header(request), Status.OK, b"\x91") == bytes.fromhex("dabb 02 14 0000000000000007 00000001 91")
    assert heartbeat(1) == bytes.fromhex("dabb e2 00 0000000000000001 00000001 4e")
    assert readonly(2) == bytes.fromhex("dabb a2 00 0000000000000002 00000002 0152")


def test_an_answer_to_a_heartbeat_is_an_event() -> None:
    assert parse_header(answer(parse_header(heartbeat(3)[:16]), Status.OK, b"N")[:16]).event


def test_what_begins_otherwise_is_refused_after_two_bytes() -> None:
    with pytest.raises(FrameError, match="0xdabb, not with 0x6c73"):
        check_magic(b"ls")


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(FrameError, match="-1 bytes"):
        parse_header(bytes.fromhex("dabb c2 00 0000000000000007 ffffffff"))


def test_serializations_are_told_by_name_and_number() -> None:
    assert (serialization_name(23), serialization_name(31)) == ("fastjson2 (23)", "unknown (31)")
