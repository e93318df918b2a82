"""Where a line comes from is worked out once per distinct value, and is the same as row by row."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logserver import distinct
from logserver.distinct import combined, joined, mapped, split
from logserver.origin import Origin, Said, labels_model, origin

ID = "9f" * 32
NOTHING = Said("", "", "", "", "", "", "", "", "")
CONTAINERS = f"/var/log/containers/iris-0_models_classifier-{ID}.log"
PODS = "/var/log/pods/models_iris-0_3f5a-77/classifier/2.log"

rows = st.lists(st.tuples(*[st.sampled_from(["", "a", "b", "ü", "a\0b"])] * 3), min_size=0, max_size=40)


def column(values: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string()).dictionary_encode()])


@given(rows)
def test_combinations_are_those_of_the_rows(values: list[tuple[str, str, str]]) -> None:
    found = combined([column([row[place] for row in values]) for place in range(3)])
    assert [found.values[code] for code in found.codes] == values
    assert len(found.values) == len(set(values))


@settings(max_examples=25)
@given(rows)
def test_many_distinct_values_are_counted_anew_before_they_overflow(values: list[tuple[str, str, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct, "_KEY_MAX", 1)
        test_combinations_are_those_of_the_rows.hypothesis.inner_test(values)  # type: ignore[attr-defined]


def test_a_missing_value_is_the_empty_string() -> None:
    codes, values = split(pa.chunked_array([pa.array(["a", None, "a"]).dictionary_encode()]))
    assert [values[code] for code in codes] == ["a", "", "a"]


def test_values_that_become_equal_are_one() -> None:
    found = mapped(column(["a", "A", "b"]), str.lower)
    assert (found.to_pylist(), found.dictionary.to_pylist()) == (["a", "a", "b"], ["a", "b"])
    assert joined(found.indices.to_numpy(), ["x", "x"]).dictionary.to_pylist() == ["x"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (CONTAINERS, ("models", "iris-0", "classifier", ID)),
        (PODS, ("models", "iris-0", "classifier", "")),
        (f"/var/log/containers/strange-{ID}.log", ("", "", "", ID)),
        ("/srv/app/app.log", ("", "", "", "")),
        ("", ("", "", "", "")),
    ],
)
def test_the_path_names_what_the_metadata_does_not(path: str, expected: tuple[str, ...]) -> None:
    assert origin(NOTHING._replace(file_path=path))[:4] == expected
    said = NOTHING._replace(
        file_path=path, said_namespace="n", said_pod="p", said_container="c", said_container_id="i", host="h"
    )
    assert origin(said)[:4] == ("n", "p", "c", "i")


def test_a_file_is_known_by_what_does_not_change_while_its_metadata_comes() -> None:
    bare = NOTHING._replace(file_path=CONTAINERS, device_id="1", inode="2", fingerprint="aa")
    full = bare._replace(said_namespace="models", said_pod="iris-0", said_container_id=ID, host="h")
    grown = bare._replace(fingerprint="bb")
    other = bare._replace(inode="3")
    ids = [origin(said).file_id for said in (bare, full, grown, other)]
    assert ids[0] == ids[1] == ids[2] != ids[3]


def test_a_document_without_a_path_names_no_file() -> None:
    assert origin(NOTHING._replace(inode="2")) == Origin("", "", "", "", 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"seldon-deployment-id":"iris","version":"main"}', ("iris", "main")),
        ('{"seldon-deployment-id":7}', ("", "")),
        ("[1]", ("", "")),
        ("no json", ("", "")),
        ("", ("", "")),
    ],
)
def test_labels_of_any_kind_name_a_model_or_none(text: str, expected: tuple[str, str]) -> None:
    assert labels_model(text) == expected
