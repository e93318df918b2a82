from __future__ import annotations

import time

import msgspec

from deploy.cluster.cache import ModelCache
from deploy.record import Record, edits
from deploy.record.coding import encode
from deploy.record.journal import Deed
from deploy.seen import MODEL_LABEL, SELDON_ID_LABEL
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


def deployment(model: str, available: int) -> bytes:
    labels = {SELDON_ID_LABEL: model}
    counts = {"updatedReplicas": 2, "availableReplicas": available, "replicas": 2}
    metadata = {"namespace": "models", "name": f"{model}-default-0", "labels": labels}
    return msgspec.json.encode({"metadata": metadata, "spec": {"replicas": 2}, "status": counts})


def applied(name: str) -> Record:
    spec = ModelSpec(name=name, namespace="models", image="registry.example/m:1")
    return edits.ended(edits.apply(Record("models", name), spec, Deed("ada", 1.0)), now=2.0)


def record(name: str, stored: Record | None = None) -> bytes:
    stored = stored or applied(name)
    labels = {MODEL_LABEL: name}
    metadata = {"namespace": "models", "name": f"milepost-model-{name}", "labels": labels}
    return msgspec.json.encode({"metadata": metadata, "data": {"record.json": encode(stored).decode()}})


def filled(count: int) -> ModelCache:
    cache = ModelCache()
    for number in range(count):
        cache.see_seldon(WatchEvent(Kind.ADDED, seldon(f"m{number}")))
        cache.see_deployment(WatchEvent(Kind.ADDED, deployment(f"m{number}", 2)))
        cache.see_record(WatchEvent(Kind.ADDED, record(f"m{number}")))
    return cache


def test_a_row_joins_what_runs_with_what_is_remembered() -> None:
    row = next(filled(1).rows("models"))
    assert (row.name, row.state, row.seldon, row.replicas, row.available) == ("m0", "ready", "Available", 2, 2)
    assert (row.revision, row.operation, row.managed) == (1, "apply done", True)


def test_a_replica_that_is_missing_makes_a_model_unready() -> None:
    cache = filled(1)
    cache.see_deployment(WatchEvent(Kind.MODIFIED, deployment("m0", 1)))
    row = next(cache.rows())
    assert (row.state, row.available) == ("unready", 1)


def test_a_model_whose_workload_was_taken_away_by_hand_stays_in_the_list_until_it_is_deleted() -> None:
    cache = filled(2)
    cache.see_seldon(WatchEvent(Kind.DELETED, seldon("m0")))
    assert [(row.name, row.state) for row in cache.rows()] == [("m0", "unready"), ("m1", "ready")]
    deleting = edits.delete(applied("m0"), Deed("ada", 3.0))
    cache.see_record(WatchEvent(Kind.MODIFIED, record("m0", deleting)))
    assert [row.state for row in cache.rows()] == ["deleting", "ready"]
    cache.see_record(WatchEvent(Kind.MODIFIED, record("m0", edits.ended(deleting, now=4.0))))
    assert [row.name for row in cache.rows()] == ["m1"]


def test_a_model_that_nobody_manages_is_listed_from_what_seldon_shows() -> None:
    cache = ModelCache()
    cache.see_seldon(WatchEvent(Kind.ADDED, seldon("foreign")))
    cache.see_deployment(WatchEvent(Kind.ADDED, deployment("foreign", 2)))
    row = next(cache.rows())
    assert (row.state, row.managed, row.revision) == ("ready", False, 0)
    gone = {"metadata": {"namespace": "models", "name": "foreign-default-0"}}
    cache.see_deployment(WatchEvent(Kind.DELETED, msgspec.json.encode(gone)))
    assert next(cache.rows()).state == "unready"


def test_followers_get_each_real_change_once_and_hear_when_they_have_missed_too_much() -> None:
    cache = ModelCache(changes_kept=3)
    begun = cache.feed.mark
    cache.see_seldon(WatchEvent(Kind.ADDED, seldon("m0")))
    cache.see_seldon(WatchEvent(Kind.MODIFIED, seldon("m0")))
    changes = cache.feed.since(begun)
    assert changes is not None
    assert [change.after and change.after.name for change in changes] == ["m0"]
    assert cache.feed.since(changes[0].mark) == []
    for number in range(1, 4):
        cache.see_seldon(WatchEvent(Kind.ADDED, seldon(f"m{number}")))
    assert cache.feed.since(begun) is None
    again = cache.feed.since(changes[0].mark)
    assert again is not None
    assert [change.after and change.after.name for change in again] == ["m1", "m2", "m3"]
    assert cache.feed.since("another-1") is None
    assert cache.feed.since("nonsense") is None


def test_a_thousand_models_are_listed_in_less_than_half_a_second() -> None:
    cache = filled(MODELS)
    begun = time.perf_counter()
    body = msgspec.json.encode(tuple(cache.rows()))
    taken_s = time.perf_counter() - begun
    assert body.count(b'"Available"') == MODELS
    assert taken_s < 0.5, f"{taken_s:.3f} s"
