"""Hessian: what is written is read back, what Java wrote is read, and no input hangs, crashes or fills the memory."""

from __future__ import annotations

import math
import struct
import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deploy.dubbo.hessian import (
    Bounds,
    Date,
    HessianError,
    JavaObject,
    Long,
    Reader,
    TypedList,
    TypedMap,
    Value,
    encode,
)

INTS = st.integers(-(2**31), 2**31 - 1)
LONGS = st.integers(-(2**63), 2**63 - 1).map(Long)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SIMPLE = st.one_of(
    st.none(), st.booleans(), INTS, LONGS, st.floats(allow_nan=False), TEXTS, st.binary(), st.builds(Date, LONGS)
)
KEYS = st.one_of(TEXTS, st.integers(2, 1000))
NAMES = st.from_regex(r"[a-z]{1,8}(\.[A-Z][a-z]{1,8})?", fullmatch=True)


def _typed_map(type_: str, entries: dict[Value, Value]) -> TypedMap:
    found = TypedMap(type_)
    found.update(entries)
    return found


def _deeper(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.one_of(
        st.lists(inner, max_size=12),
        st.dictionaries(KEYS, inner, max_size=4),
        st.builds(TypedList, NAMES, st.lists(inner, max_size=12)),
        st.builds(_typed_map, NAMES, st.dictionaries(KEYS, inner, max_size=3)),
        st.builds(JavaObject, NAMES, st.dictionaries(NAMES, inner, max_size=3)),
    )


VALUES = st.recursive(SIMPLE, _deeper, max_leaves=40)


def read(data: bytes, **bounds: int) -> Value:
    reader = Reader(data, Bounds(**bounds))
    value = reader.value()
    assert reader.at_end
    return value


def same(left: Value, right: Value) -> bool:
    """Equal, and of the same types all the way down."""
    if type(left) is not type(right) or getattr(left, "type", "") != getattr(right, "type", ""):
        return False
    match left:
        case JavaObject():
            return same(left.fields, right.fields)
        case list():
            return len(left) == len(right) and all(map(same, left, right))
        case dict():
            return same([*left, *left.values()], [*right, *right.values()])
        case float():
            return struct.pack(">d", left) == struct.pack(">d", right)
    return bool(left == right)


@given(VALUES)
@example("\N{GRINNING FACE}" * 20_000)
@example("a" * 32_767 + "\N{GRINNING FACE}" + "b" * 40_000)
@example(b"x" * 100_000)
@example(-0.0)
@example([0.1] * 200 + [1, 0.2] * 50 + [0.3] * 63 + [None])
def test_what_is_written_is_read_back_with_its_types(value: Value) -> None:
    assert same(read(encode(value)), value)


@given(st.lists(VALUES, max_size=4))
def test_values_follow_one_another_and_share_their_tables(values: list[Value]) -> None:
    reader = Reader(encode(*values), Bounds())
    assert all(same(reader.value(), value) for value in values)
    assert reader.at_end


def test_not_a_number_stays_one() -> None:
    assert math.isnan(read(encode(math.nan)))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        # The examples of the specification.
        ("90", 0), ("80", -16), ("bf", 47), ("c800", 0), ("c700", -256), ("cfff", 2047), ("d40000", 0),
        ("d7ffff", 262143), ("490000012c", 300), ("e0", 0), ("d8", -8), ("ef", 15), ("f800", 0), ("ffff", 2047),
        ("3c0000", 0), ("3fffff", 262143), ("5900000000", 0), ("4c000000000000012c", 300), ("5b", 0.0), ("5c", 1.0),
        ("5d80", -128.0), ("5e7fff", 32767.0), ("4440287ae147ae147b", 12.24), ("4a000000d04b928400", 0),
        ("00", ""), ("0568656c6c6f", "hello"), ("01c383", "\u00c3"), ("30" "05" "68656c6c6f", "hello"),
        ("520005" "68656c6c6f" "05" "20776f726c", "hello worl"), ("23010203", b"\1\2\3"), ("3403" "010203", b"\1\2\3"),
        ("57" "9091" "5a", [0, 1]), ("48" "91" "03666565" "5a", {1: "fee"}), ("4e", None), ("54", True), ("46", False),
    ],
)  # fmt: skip
def test_the_specifications_forms_are_read(written: str, value: Value) -> None:
    if isinstance(value, int) and written.startswith("4a"):
        value = Date(struct.unpack(">q", bytes.fromhex(written)[1:])[0])
    assert read(bytes.fromhex(written)) == value


def test_the_double_in_thousandths_is_multiplied_as_java_does() -> None:
    assert read(b"\x5f" + struct.pack(">i", 9)) == 0.001 * 9 != 9 / 1000


def test_a_character_beyond_the_bmp_is_two_units_of_three_bytes_and_four_bytes_are_understood() -> None:
    assert encode("\N{GRINNING FACE}") == b"\x02\xed\xa0\xbd\xed\xb8\x80"
    assert read(b"\x02\xf0\x9f\x98\x80") == "\N{GRINNING FACE}"


def test_half_a_pair_becomes_the_replacement_character() -> None:
    assert read(b"\x01\xed\xa0\xbd") == "\ufffd"
    assert read(encode("a\ud83d")) == "a\ufffd"


def test_a_pair_is_never_cut_by_a_chunk() -> None:
    written = encode("a" * 0x7FFF + "\N{GRINNING FACE}")
    assert written[:3] == b"\x52\x7f\xff"


def test_a_byte_behind_a_text_that_looks_like_a_part_of_it_is_the_next_value() -> None:
    values = ["ä", 1, "世", 2, "\N{GRINNING FACE}", 3, "z", -16]
    assert read(encode(values)) == values


def test_shared_and_cyclic_shapes_come_back_as_they_were() -> None:
    shared: list[Value] = [1]
    cyclic: list[Value] = [shared, shared]
    cyclic.append(cyclic)
    found = read(encode(cyclic))
    assert found[0] is found[1]
    assert found[2] is found


def test_a_class_is_described_once() -> None:
    rows = [JavaObject("a.B", {"x": 1}), JavaObject("a.B", {"x": 2}), JavaObject("a.C", {"x": 3})]
    written = encode(rows)
    assert written.count(b"a.B") == 1
    assert same(read(written), rows)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_an_error(data: bytes) -> None:
    reader = Reader(data, Bounds())
    with suppress(HessianError):
        while not reader.at_end:
            reader.value()


@given(VALUES, st.data())
def test_a_damaged_message_is_a_value_or_an_error(value: Value, data: st.DataObject) -> None:
    written = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 3))):
        written[data.draw(st.integers(0, len(written) - 1))] = data.draw(st.integers(0, 255))
    reader = Reader(bytes(written), Bounds(values_max=10_000))
    with suppress(HessianError):
        while not reader.at_end:
            reader.value()


@given(VALUES, st.data())
def test_a_message_that_is_cut_off_is_an_error(value: Value, data: st.DataObject) -> None:
    written = encode(value)
    cut = written[: data.draw(st.integers(0, len(written) - 1))]
    with pytest.raises(HessianError):
        Reader(cut, Bounds()).value()


HOSTILE = {
    "a list of two billion": b"\x58I\x7f\xff\xff\xff",
    "a typed list of two billion": b"V\x04[int" + b"I\x7f\xff\xff\xff",
    "a class of two billion fields": b"C\x01aI\x7f\xff\xff\xff",
    "negative length": b"\x58I\xff\xff\xff\xff" + b"\x90",
    "lists in lists": b"\x79" * 1_000_000,
    "doubles in two billion": b"\x58I\x7f\xff\xff\xff" + b"D\x00\x00\x00\x00\x00\x00\x00\x01" * 90_000 + b"D\x00",
    "more doubles than values": b"\x58I\x00\x02\x00\x00" + b"D\x00\x00\x00\x00\x00\x00\x00\x01" * 131_072,
    "strewn doubles": b"\x57" + b"D\x00\x00\x00\x00\x00\x00\x00\x01\x90" * 90_000,
    "maps in maps": b"H\x90" * 500_000,
    "empty lists": b"\x57" + b"\x78" * 1_000_000 + b"Z",
    "classes all the way": b"C\x00\x90" * 300_000,
    "types all the way": b"V" * 1_000_000,
    "types of maps": b"M" * 1_000_000,
    "names of classes": b"C" * 1_000_000,
    "a text of continuations": b"\x01" + b"\x80" * 1_000_000,
    "chunks of nothing": b"R\x00\x00" * 300_000,
    "pieces of no bytes": b"A\x00\x00" * 300_000,
    "a reference to nothing": b"Q\x90",
    "a class that is not there": b"\x60",
    "a type that is not there": b"\x70\x95",
    "a list as a key": b"H\x78\x90Z",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_input_ends_soon_and_small(data: bytes) -> None:
    bounds = Bounds(values_max=100_000)
    started = time.process_time()
    with pytest.raises(HessianError):
        Reader(data, bounds).value()
    assert time.process_time() - started < 1
    tracemalloc.start()
    try:
        with pytest.raises(HessianError):
            Reader(data, bounds).value()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * 100_000 + 12 * len(data)


def test_what_has_no_form_in_java_is_refused() -> None:
    with pytest.raises(HessianError, match="does not fit a Java long"):
        encode(2**63)
    with pytest.raises(HessianError, match="type set has no Hessian form"):
        encode({1})
    deep: list[Value] = []
    for _ in range(1000):
        deep = [deep]
    with pytest.raises(HessianError, match="nested deeper"):
        encode(deep)
