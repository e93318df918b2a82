"""The demonstration's documents look like Filebeat's: identities are stable, offsets only grow, labels name models."""

import json
import random
from collections import defaultdict
from datetime import UTC, datetime

from logserver.demo.fleet import FLEET, containers
from milepost.identity import model_and_predictor

NOW = datetime(2026, 3, 4, 9, 15, 27, 481_000, tzinfo=UTC)


def spoken(seconds: float, *, seed: int = 1) -> list[dict[str, object]]:
    rng = random.Random(seed)
    fleet = containers(FLEET, rng)
    return [json.loads(document) for one in fleet for document in one.speak(rng, NOW, seconds, 1.0)]


def test_every_model_of_the_fleet_speaks_under_its_own_name() -> None:
    seen = defaultdict(set)
    for document in spoken(20):
        kubernetes = document["kubernetes"]
        assert isinstance(kubernetes, dict)
        seen[kubernetes["namespace"]].add(model_and_predictor(kubernetes["labels"]))
    assert seen["recommend"] == {("ranker", "default"), ("ranker", "canary"), ("churn", "default")}
    assert seen["abox"] == {("", "")}
    assert set(seen) == {model.namespace for model in FLEET}


def test_the_offsets_of_a_file_grow_by_what_was_written() -> None:
    last: dict[str, int] = {}
    for document in spoken(20):
        log = document["log"]
        assert isinstance(log, dict)
        path, offset = log["file"]["path"], log["offset"]
        assert offset > last.get(path, -1)
        last[path] = offset
    assert len(last) == sum(replicas * len(m.servers) for m in FLEET for _, replicas in m.predictors)


def test_tracebacks_are_one_multiline_document() -> None:
    tracebacks = [d for d in spoken(120) if str(d["message"]).startswith("Traceback")]
    assert tracebacks
    assert all("\n" in str(d["message"]) and "multiline" in d["log"]["flags"] for d in tracebacks)  # type: ignore[index]


def test_the_pace_follows_the_rate() -> None:
    rng = random.Random(2)
    one = next(c for c in containers(FLEET, rng) if c.server.container == "resnet50")
    slow = sum(1 for _ in one.speak(rng, NOW, 60, 1.0))
    fast = sum(1 for _ in one.speak(rng, NOW, 60, 10.0))
    assert 300 < slow < 900
    assert fast > 4 * slow
