"""Where a line comes from is worked out once per distinct value, and is the same as row by row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logserver.decode import distinct
from logserver.decode.distinct import combined, joined, mapped, paired, split
from logserver.decode.metadata import Metadata
from logserver.decode.origin import File, Origin, labels_model, origin

ID = "9f" * 32
NO_FILE = File("", "", "", "")
NOTHING = Metadata("", "", "", "", "", "", "{}", "")
CONTAINERS = f"/var/log/containers/iris-0_models_classifier-{ID}.log"
PODS = "/var/log/pods/models_iris-0_3f5a-77/classifier/2.log"

rows = st.lists(st.tuples(*[st.sampled_from(["", "a", "b", "ü", "a\0b"])] * 3), min_size=0, max_size=40)


def places(found: Origin) -> tuple[str, ...]:
    return found.namespace, found.pod, found.container, found.container_id


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


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=20))
def test_pairs_are_those_of_the_rows(values: list[tuple[int, int]]) -> None:
    one, other = np.array(values, dtype=np.int64).reshape(-1, 2).T
    codes, firsts = paired(one, other, 4)
    assert [values[firsts[code]] for code in codes] == values
    assert len(firsts) == len(set(values))


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
    file = NO_FILE._replace(path=path)
    assert places(origin(file, NOTHING)) == expected
    said = NOTHING._replace(namespace="n", pod="p", container="c", container_id="i", host="h")
    assert places(origin(file, said)) == ("n", "p", "c", "i")


def test_a_file_is_known_by_what_does_not_change_while_its_metadata_comes() -> None:
    file = File(CONTAINERS, "1", "2", "aa")
    full = NOTHING._replace(namespace="models", pod="iris-0", container_id=ID, host="h")
    grown = file._replace(fingerprint="bb")
    other = file._replace(inode="3")
    ids = [origin(file, NOTHING), origin(file, full), origin(grown, NOTHING), origin(other, NOTHING)]
    assert ids[0].file_id == ids[1].file_id == ids[2].file_id != ids[3].file_id


def test_a_document_without_a_path_names_no_file() -> None:
    assert origin(NO_FILE._replace(inode="2"), NOTHING) == Origin("", "", "", "", "", "", "{}", "", "", 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"seldon-deployment-id":"iris","version":"main"}', ("iris", "main")),
        ('{"seldon-deployment-id":7}', ("", "")),
        ("{}", ("", "")),
    ],
)
def test_labels_of_any_kind_name_a_model_or_none(text: str, expected: tuple[str, str]) -> None:
    assert labels_model(text) == expected
