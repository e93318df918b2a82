"""What documents say of who printed their lines is read of few of them, and is the same as read of each."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logserver.decode.distinct import combined
from logserver.decode.facts import RAW, FactReader
from logserver.decode.metadata import Metadata, Rows, read_metadata, sorted_labels
from logserver.decode.origin import Origins
from logserver.demo.fleet import in_any_order
from logserver.engines.embedded import EmbeddedStore

NOTHING = Metadata("", "", "", "", "", "", "{}", "")
PATHS = (
    f"/var/log/containers/iris-0_models_classifier-{'9f' * 32}.log",
    "/var/log/pods/models_iris-1_3f5a-77/classifier/2.log",
    "/srv/app/app.log",
    "",
)
NAMED = ("namespace", "pod", "container", "container_id", "node", "model", "predictor", "labels", "file_id", "doubt")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FactReader]:
    store = EmbeddedStore(tmp_path_factory.mktemp("metadata"), sessions=1)
    yield FactReader(store.transform)
    store.close()


class Asked:
    """Answers what a list of metadata says, and counts the rows it was asked for."""

    def __init__(self, metadata: list[Metadata]) -> None:
        self.metadata = metadata
        self.rows: list[int] = []

    def __call__(self, rows: Rows) -> pa.Table:
        self.rows += rows.tolist()
        said = [self.metadata[row] for row in rows]
        columns = {name: pa.array([getattr(one, name) for one in said]) for name in Metadata._fields}
        return pa.table({name: column.dictionary_encode() for name, column in columns.items()})


def read(files: list[str], of_pods: dict[str, bool], metadata: list[Metadata]) -> tuple[list[Metadata], list[int]]:
    """Return the metadata of each row, and the rows that were asked for."""
    found = combined([pa.chunked_array([pa.array(files, pa.string()).dictionary_encode()])])
    asked = Asked(metadata)
    codes, values = read_metadata(found, [of_pods[name] for (name,) in found.values], asked)
    return [values[code] for code in codes], asked.rows


def test_of_a_pods_file_the_first_and_the_last_document_are_read() -> None:
    iris, churn = (NOTHING._replace(pod=pod) for pod in ("iris-0", "churn-0"))
    got, asked = read(["a", "b"] * 5, {"a": True, "b": True}, [iris, churn] * 5)
    assert got == [iris, churn] * 5
    assert asked == [0, 1, 8, 9]


def test_each_document_is_read_where_the_metadata_came_late_or_the_path_names_no_pod() -> None:
    late = NOTHING._replace(pod="iris-0", labels='{"a":"1"}')
    other = NOTHING._replace(pod="churn-0")
    metadata = [NOTHING, other, NOTHING, NOTHING, late, other, late, other]
    got, asked = read(list("abaaabab"), {"a": True, "b": False}, metadata)
    assert got == metadata
    assert sorted(asked) == list(range(8))


def test_the_order_of_labels_says_nothing() -> None:
    one, other = (
        NOTHING._replace(labels=text) for text in ('{"a":"1","b":{"d":"2","c":"3"}}', '{"b":{"c":"3","d":"2"},"a":"1"}')
    )
    got, asked = read(["a"] * 4, {"a": True}, [one, other, other, other])
    assert got == [NOTHING._replace(labels='{"a":"1","b":{"c":"3","d":"2"}}')] * 4
    assert asked == [0, 3]


@pytest.mark.parametrize("text", ["", "no json", "[1]", "7", '{"a":', "[" * 5000])
def test_labels_that_are_no_object_are_none(text: str) -> None:
    assert sorted_labels(text) == "{}"


def test_no_documents_ask_nothing() -> None:
    assert read([], {}, []) == ([], [])


labels = st.dictionaries(st.sampled_from(["seldon-deployment-id", "version", "app", "a.b/c"]), st.text(max_size=3))
metadata_of_any_kind = st.one_of(
    st.just({}),
    st.sampled_from([None, "x", [1], {}]).map(lambda kubernetes: {"kubernetes": kubernetes}),
    st.builds(
        lambda pod, labels: {
            "kubernetes": {"namespace": "models", "pod": {"name": pod}, "node": {"name": "n"}, "labels": labels},
            "container": {"id": "c"},
            "host": {"name": "h"},
        },
        st.sampled_from(["iris-0", "iris-1"]),
        st.one_of(labels, st.sampled_from([None, "x", [1]])),
    ),
)


def meaning(said: dict[str, Any]) -> str:
    kubernetes = said.get("kubernetes")
    if not kubernetes or not isinstance(kubernetes, dict):
        return "odd" if kubernetes else "nothing"
    labels = kubernetes["labels"] if isinstance(kubernetes["labels"], dict) else {}
    return json.dumps([kubernetes["pod"]["name"], labels], sort_keys=True)


# What a file's documents say, one after the other; within a batch no file goes back to what it said before.
histories = st.lists(
    st.tuples(metadata_of_any_kind, st.integers(1, 3)), max_size=3, unique_by=lambda one: meaning(one[0])
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), histories), max_size=3, unique_by=lambda one: one[0]), st.randoms())
def test_a_batch_says_of_each_line_what_its_document_says_alone(
    facts: FactReader, files: list[tuple[str, list[tuple[dict[str, Any], int]]]], rng: random.Random
) -> None:
    queues = [[document(path, said) for said, count in history for _ in range(count)] for path, history in files]
    raws = []
    while queues := [queue for queue in queues if queue]:
        raws.append(json.dumps(in_any_order(rng.choice(queues).pop(0), rng)).encode())
    together = named(facts, Origins(), raws)
    assert together == [one for raw in raws for one in named(facts, Origins(), [raw])]


def document(path: str, said: dict[str, Any]) -> dict[str, Any]:
    return {"@timestamp": "2026-03-04T09:15:27Z", "message": "m", "log": {"offset": 1, "file": {"path": path}}, **said}


def named(facts: FactReader, origins: Origins, raws: list[bytes]) -> list[dict[str, Any]]:
    column = pa.array(raws, RAW.type)
    table = origins.named(facts.read(column), lambda rows: facts.metadata(column, rows))
    rows: list[dict[str, Any]] = table.select(NAMED).to_pylist()
    return rows


def test_a_document_that_is_asked_for_twice_counts_once() -> None:
    asked = Asked([NOTHING])
    found = combined([pa.chunked_array([pa.array(["a"]).dictionary_encode()])])
    codes, values = read_metadata(found, [True], asked)
    assert (codes.tolist(), values, asked.rows) == ([0], [NOTHING], [0])
