from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import Refused
from deploy.plan.wanted import wanted
from deploy.record import Record, edits
from deploy.record.coding import decode, encode
from deploy.record.journal import Deed
from deploy.rollout import canary
from deploy.rollout.judge import Verdict
from deploy.spec import ModelSpec
from deploy.spec.release import External, Split
from tests.deploy.world import CLUSTER, SETTLE_S, World

DEED = Deed("ada", 1000.0, "a test", "op-1")


def spec(version: str = "1") -> ModelSpec:
    return ModelSpec(name="m", namespace="models", image=f"registry.example/m:{version}", replicas=2)


def deployed() -> World:
    world = World(edits.apply(Record("models", "m"), spec(), DEED))
    world.settle()
    return world


def kinds(world: World) -> list[str]:
    return [line.split()[0] for line in world.log]


def test_a_new_model_is_ready_before_its_route_exists() -> None:
    world = deployed()
    applied = [line for line in world.log if line.startswith("Apply")]
    assert applied[0].startswith("Apply NetworkPolicy m, SeldonDeployment m")
    assert applied[1] == "Apply Ingress m"
    assert "Await" in kinds(world)[: world.log.index("Apply Ingress m")]
    assert world.routes == {"m": ("m-default",)}
    assert world.record.operation is not None
    assert world.record.operation.state == "done"


def test_what_is_compared_with_a_settled_model_differs_in_nothing() -> None:
    world = deployed()
    world.record = edits.start_rollout(world.record, spec("2"), canary((50,), 0), DEED)
    world.settle()
    assert wanted(world.record, world.seen(), cluster=CLUSTER, settle_s=SETTLE_S).digests == world.digests


def test_a_canary_rises_and_becomes_the_stable_track() -> None:
    world = deployed()
    world.record = edits.start_rollout(world.record, spec("2"), canary((10, 50), 5), DEED)
    seen = set()
    for _ in range(200):
        world.step()
        if "m-canary" in world.routes:
            seen.add(world.record.rollout.split.percent if world.record.rollout and world.record.rollout.split else 0)
        if not world.record.active:
            break
    assert {10, 50} <= seen
    assert world.routes == {"m": ("m-r2",)}
    assert world.seen().declared == ("r2",)
    moved = world.log.index("Remove Ingress m-canary")
    removed = world.log.index("Forget predictor default, which nothing is routed to")
    assert world.log.index("Apply Ingress m", moved) < removed


def test_a_candidate_that_fails_is_taken_away_and_stable_never_moves() -> None:
    world = deployed()
    world.record = edits.start_rollout(world.record, spec("2"), canary((10, 50), 5), DEED)
    world.verdict = Verdict("fail", "error ratio 0.5")
    world.settle()
    assert world.routes == {"m": ("m-default",)}
    assert world.seen().declared == ("default",)
    assert "error ratio 0.5" in world.record.operation.message  # type: ignore[union-attr]


def test_rollback_right_after_a_promotion_moves_the_route_alone() -> None:
    world = deployed()
    plan = canary((50,), 0, keep_s=60.0)
    world.record = edits.start_rollout(world.record, spec("2"), plan, DEED)
    for _ in range(40):
        world.step()
        if world.record.leaving and world.routes == {"m": ("m-r2",)}:
            break
    assert world.routes == {"m": ("m-r2",)}
    world.record = edits.rollback(world.record, 1, DEED)
    mark = len(world.log)
    for _ in range(3):
        world.step()
    assert world.routes == {"m": ("m-default",)}
    assert "Await" not in kinds(world)[mark:]
    world.settle()
    assert world.seen().declared == ("default",)


def test_delete_takes_the_route_first_then_drains_then_the_deployment() -> None:
    world = deployed()
    mark = len(world.log)
    world.record = edits.delete(world.record, DEED)
    world.settle()
    done = world.log[mark:]
    assert done[0] == "Remove Ingress m"
    assert done[1] == "StartDrain of the model"
    assert done.index("Remove SeldonDeployment m") > done.index("Wait drain of the model")
    assert world.objects == {}
    assert world.record.stable is None
    assert [revision.number for revision in world.record.revisions] == [1]


def test_a_migration_goes_up_and_back_from_whole_in_one_step() -> None:
    world = deployed()
    old = External(service="old", port=80)
    world.record = edits.migrate(world.record, old, Split(percent=0), DEED)
    world.settle()
    assert world.routes == {"m": ("old",), "m-canary": ("m-default",)}
    world.record = edits.migrate(world.record, None, Split(percent=100), DEED)
    world.settle()
    mark = len(world.log)
    world.record = edits.migrate(world.record, None, Split(percent=0), DEED)
    world.settle()
    assert [line for line in world.log[mark:] if not line.startswith("Await")] == ["Apply Ingress m-canary"]


VERBS = st.sampled_from(["apply", "rollout", "promote", "abort", "rollback", "restart", "scale", "migrate", "finish"])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(VERBS, st.integers(0, 12), st.booleans()), max_size=8), st.integers(1, 4))
def test_any_order_of_verbs_with_kills_between_any_two_steps_converges(
    verbs: list[tuple[str, int, bool]], delay: int
) -> None:
    """The invariants of World.check hold after each step, and in the end what is wanted is what there is."""
    world = World(edits.apply(Record("models", "m"), spec(), DEED), delay=delay)
    world.settle()
    for number, (verb, steps, killed) in enumerate(verbs, start=2):
        try:
            world.record = _done(world.record, verb, number)
        except Refused:
            continue
        for _ in range(steps):
            world.step()
        if killed:
            world.kill()
        world.record = decode(encode(world.record), key=world.record.key)
    if world.record.rollout is not None:
        world.record = edits.abort(world.record, DEED)
    world.settle()
    assert world.record.stable is not None
    assert world.seen().declared == (world.record.stable.predictor,)
    stable = f"m-{world.record.stable.predictor}"
    if world.record.migration is None:
        assert world.routes == {"m": (stable,)}
    else:
        assert world.routes == {"m": ("old",), "m-canary": (stable,)}


def _done(record: Record, verb: str, number: int) -> Record:
    deed = Deed("ada", 1000.0 + number, "", f"op-{number}")
    changes = {
        "apply": lambda: edits.apply(record, spec(str(number)), deed),
        "rollout": lambda: edits.start_rollout(record, spec(str(number)), canary((5, 50), 3), deed),
        "promote": lambda: edits.promote(record, deed),
        "abort": lambda: edits.abort(record, deed),
        "rollback": lambda: edits.rollback(record, None, deed),
        "restart": lambda: edits.restart(record, deed),
        "scale": lambda: edits.scale(record, 1 + number % 3, deed),
        "migrate": lambda: edits.migrate(record, External(service="old", port=80), Split(percent=number % 101), deed),
        "finish": lambda: edits.finish_migration(record, deed),
    }
    return changes[verb]()


@pytest.mark.parametrize(
    ("verb", "said"),
    [("promote", "no rollout in progress"), ("abort", "no rollout"), ("finish", "not being migrated")],
)
def test_a_verb_that_does_not_fit_is_refused_with_the_state(verb: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        _done(deployed().record, verb, 2)
