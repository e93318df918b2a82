from __future__ import annotations

import time

import msgspec

from deploy import edits
from deploy.cache import ModelCache
from deploy.journal import Deed
from deploy.record import Record, encode
from deploy.seen import MODEL_LABEL
from deploy.spec import ModelSpec
from milepost.kube import WatchEvent
from milepost.watch import Kind

MODELS = 1000


def seldon(name: str) -> bytes:
    return msgspec.json.encode(
        {
            "metadata": {"namespace": "models", "name": name},
            "spec": {"predictors": [{"name": "default"}]},
            "status": {"state": "Available", "replicas": 2},
        }
    )


def record(name: str) -> bytes:
    spec = ModelSpec(name=name, namespace="models", image="registry.example/m:1")
    stored = edits.apply(Record("models", name), spec, Deed("ada", 1.0))
    labels = {MODEL_LABEL: name}
    metadata = {"namespace": "models", "name": f"milepost-model-{name}", "labels": labels}
    return msgspec.json.encode({"metadata": metadata, "data": {"record.json": encode(stored).decode()}})


def filled(count: int) -> ModelCache:
    cache = ModelCache()
    for number in range(count):
        cache.see_seldon(WatchEvent(Kind.ADDED, seldon(f"m{number}")))
        cache.see_record(WatchEvent(Kind.ADDED, record(f"m{number}")))
    return cache


def test_a_row_joins_what_runs_with_what_is_remembered() -> None:
    row = next(filled(1).rows("models"))
    assert (row.name, row.state, row.replicas, row.revision, row.operation) == (
        "m0",
        "Available",
        2,
        1,
        "apply running",
    )


def test_a_deleted_model_leaves_the_list() -> None:
    cache = filled(2)
    cache.see_seldon(WatchEvent(Kind.DELETED, seldon("m0")))
    assert [row.name for row in cache.rows()] == ["m1"]


def test_a_thousand_models_are_listed_in_less_than_half_a_second() -> None:
    cache = filled(MODELS)
    begun = time.perf_counter()
    body = msgspec.json.encode(tuple(cache.rows()))
    taken_s = time.perf_counter() - begun
    assert body.count(b'"Available"') == MODELS
    assert taken_s < 0.5, f"{taken_s:.3f} s"
