from __future__ import annotations

from typing import Any

from deploy import rollout
from deploy.api.permissions import CHANGES, impossible
from deploy.record import Record, edits
from deploy.record.journal import Deed
from deploy.rollout import canary
from deploy.rollout.judge import Verdict
from deploy.seen.kinds import Meta
from deploy.seen.podkinds import Container, Ended, Event, Involved, Phase, Pod, PodStatus
from deploy.spec import ModelSpec
from deploy.spec.file import from_document
from deploy.why.timeline import timeline

DAY = "2026-11-24T03:00:0{}Z"


def spec(version: str) -> ModelSpec:
    return ModelSpec(name="m", namespace="models", image=f"registry.example/m:{version}")


def deployed() -> Record:
    record = edits.apply(Record("models", "m"), spec("1"), Deed("ada", 10.0, "first"))
    return edits.ended(record, now=20.0)


def in_rollout() -> Record:
    record = edits.start_rollout(deployed(), spec("2"), canary((10, 50), 0), Deed("bob", 30.0))
    record = rollout.advance(record, now=40.0)
    record = rollout.advance(record, now=41.0)
    return rollout.advance(record, now=42.0, verdict=Verdict("pass", "fine"))


def test_verbs_steps_and_judgements_of_a_rollout_are_told_by_time() -> None:
    found = timeline(in_rollout(), (), ())
    told = [(item.at, item.kind, item.what, item.revision) for item in found.events]
    assert told == [
        (10.0, "operation", "apply", 1),
        (20.0, "operation", "apply", 0),
        (30.0, "operation", "rollout", 2),
        (40.0, "step", "step", 0),
        (42.0, "step", "step", 0),
        (42.0, "judgement", "pass", 0),
    ]
    assert [item.detail for item in found.events if item.kind == "step"] == ["1 of 2 at 10 %", "2 of 2 at 50 %"]


def test_restarts_come_with_their_time_and_a_finished_initializer_is_none() -> None:
    crashed = Container(
        "server", restart_count=2, last_state=Phase(terminated=Ended(137, "OOMKilled", "", DAY.format(5)))
    )
    loaded = Container("init", state=Phase(terminated=Ended(0, "Completed", "", DAY.format(1))))
    status = PodStatus(start_time=DAY.format(0), container_statuses=[crashed], init_container_statuses=[loaded])
    pods = (Pod(Meta("m-0", labels={"version": "default"}), status),)
    found = timeline(Record("models", "m"), pods, ()).events
    assert [(item.kind, item.container, item.severity) for item in found] == [
        ("pod", "", "info"),
        ("restart", "server", "error"),
    ]
    assert (found[1].at - found[0].at, found[1].predictor, found[1].detail) == (
        5.0,
        "default",
        "exit code 137 OOMKilled",
    )


def test_warnings_of_the_cluster_are_told_and_normal_events_are_not() -> None:
    about = Involved("Pod", "m-0")
    events = (
        Event("Warning", "Unhealthy", "Startup probe failed", about, count=7, last_timestamp=DAY.format(3)),
        Event("Warning", "FailedCreate", "exceeded quota", Involved("ReplicaSet", "m-x"), event_time=DAY.format(2)),
        Event("Normal", "Pulled", "fine", about, last_timestamp=DAY.format(1)),
    )
    found = timeline(Record("models", "m"), (), events).events
    assert [item.detail for item in found] == [
        "ReplicaSet m-x: exceeded quota",
        "Pod m-0: Startup probe failed (7 times)",
    ]


def test_the_latest_are_kept_and_the_answer_says_how_many_are_left_out() -> None:
    found = timeline(in_rollout(), (), (), since=20.0, most=2)
    assert [item.at for item in found.events] == [42.0, 42.0]
    assert found.left_out == 3


def test_what_is_possible_follows_the_state_of_the_model() -> None:
    empty, serving, moving = Record("models", "m"), deployed(), in_rollout()
    possible = {verb for verb in CHANGES if not impossible(serving, verb)}
    changed = {"apply", "scale", "restart", "delete", "rollout", "migrate", "converge"}
    assert possible == changed | {"shadow", "rebuild"}
    assert {verb for verb in CHANGES if not impossible(empty, verb)} == {"apply", "adopt", "converge"}
    ways = {"pause", "promote", "abort", "rollback"}
    assert {verb for verb in CHANGES if not impossible(moving, verb)} == {*ways, "delete", "converge"}
    paused = edits.pause(moving, Deed("bob", 50.0))
    assert (impossible(paused, "pause"), impossible(paused, "resume")) == ("it is paused already", "")
    assert "promote or abort it before" in impossible(moving, "apply")
    assert "no rollout in progress" in impossible(serving, "pause")


def test_a_rebuild_is_possible_where_a_server_has_an_image_of_its_own() -> None:
    def of(**spec: Any) -> Record:
        return edits.apply(
            Record("models", "m"), from_document({"name": "m", "namespace": "models", **spec}), Deed("ada", 1.0)
        )

    child = {"name": "scorer", "framework": "sklearn", "modelUri": "gs://b/m"}
    graph = {"name": "clean", "type": "transformer", "image": "i:1", "children": [child]}
    assert impossible(of(graph=graph), "rebuild") == ""
    assert "reusable server" in impossible(of(framework="sklearn", modelUri="gs://b/m"), "rebuild")
