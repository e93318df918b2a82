"""The policy of an environment as a table, and what passes its gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.environments import Request, parse, proposals, refusals
from deploy.environments.gate import Gate
from deploy.environments.proposals import Wish
from deploy.errors import Refused, Unavailable
from deploy.operate.policy import Environments, Followed
from deploy.record import Record, RolloutPlan, edits
from deploy.record.journal import Deed
from deploy.spec import ModelSpec
from deploy.spec.file import from_document
from milepost.caller import Caller

POLICY = """
environments:
  qa:
    context: qa
    namespaces: {nlp: nlp-qa, "*": "*-test"}
  prod:
    after: qa
    namespaces: {nlp: nlp-prod}
    patch: {replicas: 3}
    who:
      - {operations: ["*"], groups: [nlp-team], users: [root]}
      - {operations: [restart, rollback], groups: [on-call]}
    limits:
      replicasMax: 4
      gpuCardsMax: 2
      required: [version, resources.limits.memory]
      forbiddenExposure: [external]
      pinnedImages: true
    approvals:
      - {operations: [apply, rollout, delete], groups: [release], needed: 2}
"""
ENVIRONMENTS = parse(POLICY)
PROD = ENVIRONMENTS["prod"]
GOOD: dict[str, Any] = {
    "name": "ner", "namespace": "nlp-prod", "image": "registry.example/ner:1", "version": "1",
    "resources": {"limits": {"memory": "4Gi"}},
}  # fmt: skip


def spec(**changes: Any) -> ModelSpec:
    return from_document(GOOD | changes)


def ask(operation: str = "scale", **changes: Any) -> Request:
    fields: dict[str, Any] = {"namespace": "nlp-prod", "caller": "ada", "groups": ("nlp-team",), **changes}
    return Request(operation=operation, **fields)


GPU = {"cores": 50, "memoryMiB": 1024}
TABLE: list[tuple[str, Request, list[str]]] = [
    ("all is well", ask(specs=(spec(replicas=4),)), []),
    ("another namespace", ask(namespace="web"), ["namespace is 'web': it is none of prod: nlp-prod"]),
    ("a stranger", ask(groups=("web",)), ["caller is 'ada': scale in prod is for user root or group nlp-team (who)"]),
    ("a user by name", ask(caller="root", groups=()), []),
    ("on-call may restart", ask("restart", groups=("on-call",)), []),
    ("on-call may not scale", ask(groups=("on-call",)), ["scale in prod is for user root or group nlp-team (who)"]),
    ("too many replicas", ask(specs=(spec(replicas=5),)), ["replicas is 5: prod allows 4 (limits.replicasMax)"]),
    (
        "too many by autoscaling",
        ask(specs=(spec(autoscaling={"maxReplicas": 9, "cpuPercent": 50}),)),
        ["autoscaling.maxReplicas is 9: prod allows 4"],
    ),
    ("shares of cards add up", ask(specs=(spec(replicas=4, gpu=GPU),)), []),
    (
        "whole cards beyond",
        ask(specs=(spec(replicas=3, gpu={"cards": 1}),)),
        ["gpu is '3 cards': 3 replicas take 3 cards; prod allows 2 (limits.gpuCardsMax)"],
    ),
    ("no version", ask(specs=(spec(version=None),)), ["version is None: prod wants it written in every spec"]),
    ("no memory limit", ask(specs=(spec(resources={}),)), ["resources.limits.memory is None: prod wants it written"]),
    (
        "outside",
        ask(specs=(spec(route={"exposure": "external"}),)),
        ["route.exposure is 'external': prod forbids it (limits.forbiddenExposure)"],
    ),
    ("latest", ask(specs=(spec(image="registry.example:5000/ner"),)), ["image is 'registry.example:5000/ner': prod"]),
    ("latest by name", ask(specs=(spec(image="ner:latest"),)), ["image is 'ner:latest': prod wants a digest or a tag"]),
    ("a digest", ask(specs=(spec(image="ner@sha256:" + "0" * 64),)), []),
    (
        "unapproved",
        ask("rollout"),
        ["operation is 'rollout': in prod it needs 2 approval(s) by group release: ask for them with"],
    ),
    ("approved", ask("rollout", approved=True), []),
    (
        "every reason at once",
        ask("apply", groups=(), specs=(spec(replicas=9, version=None),)),
        ["caller is", "replicas is 9", "version is None", "operation is 'apply'"],
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_what_is_refused(row: tuple[str, Request, list[str]]) -> None:
    _, request, expected = row
    found = [str(item) for item in refusals(PROD, request)]
    assert [want in got for want, got in zip(expected, found, strict=True)] == [True] * len(expected), found


@pytest.mark.parametrize(
    ("environment", "namespace", "place"),
    [
        ("qa", "nlp", "nlp-qa"),
        ("qa", "nlp-qa", "nlp-qa"),
        ("qa", "web", "web-test"),
        ("qa", "web-test", "web-test"),
        ("prod", "nlp", "nlp-prod"),
        ("prod", "nlp-prod", "nlp-prod"),
    ],
)
def test_a_namespace_has_its_place(environment: str, namespace: str, place: str) -> None:
    assert ENVIRONMENTS[environment].place(namespace) == place
    assert ENVIRONMENTS[environment].holds(place)


def test_a_namespace_without_a_place_is_refused() -> None:
    with pytest.raises(Refused, match="namespace is 'web': environment prod has no namespace for it, only nlp"):
        PROD.place("web")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("environments: [qa]", "environments is"),
        ("environments: {qa: {replicas: 3}}", "environments.qa.replicas is 3: there is no such field"),
        ("environments: {qa: {after: dev}}", "environments.qa.after is 'dev': there is no such environment"),
        ("environments: {qa: {who: [{operations: [aply], users: [a]}]}}", "operations is 'aply': it must be * or one"),
        ("environments: {qa: {approvals: [{operations: [scale], users: [a]}]}}", "operations is 'scale': it must be"),
        ("environments: {qa: {approvals: [{operations: [apply]}]}}", "environments.qa.approvals[0] is ''"),
        ("environments: {qa: {approvals: [{operations: [apply], users: [a], needed: 0}]}}", "needed is"),
        ("a: [", "it must be YAML"),
    ],
)
def test_a_bad_policy_is_told_by_field(text: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(text)
    assert told in str(refused.value)


ADA, BOB, EVE = (Caller(name, groups) for name, groups in (
    ("ada", ("nlp-team",)), ("bob", ("release",)), ("eve", ("release", "nlp-team")),
))  # fmt: skip


def deed(caller: Caller, name: str = "d1") -> Deed:
    return Deed(caller.name, 1000.0, "because", name)


def running() -> Record:
    record = edits.apply(Record("nlp-prod", "ner"), spec(), Deed("root", 1.0, id="first"))
    return edits.ended(record, now=2.0)


def proposed(by: Caller = ADA) -> Record:
    before = running()
    wish = Wish("apply", spec(version="2"), origin="qa revision 7")
    return Gate(PROD, by).admit(before, proposals.propose(before, wish, deed(by), needed=2))


def approved(record: Record, by: Caller, *, needed: int = 2, name: str = "d1") -> Record:
    return Gate(PROD, by).admit(record, proposals.approve(record, name, deed(by, "vote"), needed=needed))


def test_what_needs_approvals_passes_with_them_and_is_its_authors_deed() -> None:
    record = proposed()
    with pytest.raises(Refused, match="needs 2 approval"):
        Gate(PROD, ADA).admit(record, edits.apply(record, spec(version="2"), deed(ADA)))
    once = approved(record, BOB)
    assert once.stable == record.stable
    twice = approved(once, EVE)
    assert twice.proposal is None
    assert twice.stable is not None
    assert twice.revision(twice.stable.revision).spec["version"] == "2"
    assert twice.operation is not None
    assert (twice.operation.author, twice.operation.reason) == ("ada", "because (approved by bob, eve)")
    assert [entry.verb for entry in twice.audit[-4:]] == ["propose", "approve", "approve", "apply"]


@pytest.mark.parametrize(("rule", "needs"), [("create", True), ("apply", True), ("rollout", False)])
@pytest.mark.parametrize("verb", ["create", "apply"])
def test_a_new_model_is_a_creation_whatever_verb_brings_it(rule: str, verb: str, *, needs: bool) -> None:
    policy = parse(f"environments: {{prod: {{approvals: [{{operations: [{rule}], groups: [release]}}]}}}}")["prod"]
    gate, before = Gate(policy, ADA), Record("nlp-prod", "ner")
    after = edits.apply(before, spec(), deed(ADA), verb=verb)
    assert gate.needed(verb, before) == int(needs)
    if needs:
        with pytest.raises(Refused, match="operation is 'create': in prod it needs 1 approval"):
            gate.admit(before, after)
    else:
        assert gate.admit(before, after) == after


def test_who_may_only_create_may_not_change_what_is_there() -> None:
    policy = parse("environments: {qa: {who: [{operations: [create], users: [ada]}]}}")["qa"]
    assert Gate(policy, ADA).admit(Record("nlp", "ner"), edits.apply(Record("nlp", "ner"), spec(), deed(ADA)))
    with pytest.raises(Refused, match="apply in qa is for nobody"):
        Gate(policy, ADA).admit(running(), edits.apply(running(), spec(version="2"), deed(ADA)))


def test_one_vote_each() -> None:
    once = approved(proposed(), BOB)
    again = approved(once, BOB)
    assert again.proposal is not None
    assert [vote.author for vote in again.proposal.votes] == ["bob"]


@pytest.mark.parametrize(
    ("by", "name", "told"),
    [
        (ADA, "d1", "author is 'ada': a proposal is approved by somebody else"),
        (Caller("mallory", ("nlp-team",)), "d1", "caller is 'mallory': apply in prod is approved by group release"),
        (BOB, "d0", "proposal is 'd0': nlp-prod/ner has another proposal by now, d1 by ada"),
    ],
)
def test_an_approval_that_does_not_count_is_refused(by: Caller, name: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        approved(proposed(), by, name=name)
    assert told in str(refused.value)


def test_a_proposal_is_stale_once_the_model_has_changed() -> None:
    record = edits.scale(proposed(), 2, Deed("root", 3.0, id="scale"))
    with pytest.raises(Refused, match="stale: the model was at revision 1 when it was proposed and is at 2 now"):
        approved(record, BOB)


def test_a_policy_that_became_stricter_counts() -> None:
    strict = parse(POLICY.replace("needed: 2", "needed: 3"))["prod"]
    once = approved(proposed(), BOB)
    with pytest.raises(Refused, match="approvals is 2: apply in prod needs 3"):
        Gate(strict, EVE).admit(once, proposals.approve(once, "d1", deed(EVE, "vote"), needed=2))


def test_what_the_limits_forbid_can_not_even_be_proposed() -> None:
    before = running()
    wish = Wish("rollout", spec(replicas=50, version="2"), RolloutPlan())
    with pytest.raises(Refused, match="replicas is 50: prod allows 4"):
        Gate(PROD, ADA).admit(before, proposals.propose(before, wish, deed(ADA), needed=2))


def test_a_proposal_that_could_not_be_carried_out_is_refused() -> None:
    with pytest.raises(Refused, match="not deployed: rollout needs a deployed model"):
        proposals.propose(Record("nlp-prod", "ner"), Wish("rollout", spec(), RolloutPlan()), deed(ADA), needed=1)
    with pytest.raises(Refused, match="operation is 'scale'"):
        proposals.propose(running(), Wish("scale"), deed(ADA), needed=1)


def test_a_deletion_waits_too() -> None:
    before = running()
    with pytest.raises(Refused, match="operation is 'delete'"):
        Gate(PROD, ADA).admit(before, edits.delete(before, deed(ADA)))
    waiting = proposals.propose(before, Wish("delete"), deed(ADA), needed=2)
    gone = approved(approved(waiting, BOB), EVE)
    assert gone.deleting


def test_who_may_reject() -> None:
    record = proposed()
    mallory = Caller("mallory", ("nlp-team",))
    with pytest.raises(Refused, match="caller is 'mallory'"):
        Gate(PROD, mallory).admit(record, proposals.reject(record, "d1", deed(mallory)))
    for by in (ADA, BOB):
        assert Gate(PROD, by).admit(record, proposals.reject(record, "d1", deed(by))).proposal is None


def test_going_back_and_promoting_need_no_new_look_at_what_runs() -> None:
    before = running()
    plan = RolloutPlan()
    record = edits.start_rollout(before, spec(version="2"), plan, Deed("ada", 3.0, id="r"))
    assert Gate(PROD, ADA).admit(record, edits.abort(record, deed(ADA))).rollout is None
    with pytest.raises(Refused, match="replicas is 9"):
        Gate(PROD, ADA).admit(before, edits.scale(before, 9, deed(ADA)))


def test_a_server_follows_its_file(tmp_path: Path) -> None:
    file = tmp_path / "environments.yaml"
    file.write_text(POLICY)
    followed = Followed(Environments(file=str(file), name="prod"))
    assert followed.now() == PROD

    def replaced(text: str) -> None:
        new = tmp_path / "new"
        new.write_text(text)
        new.replace(file)

    replaced(POLICY.replace("replicasMax: 4", "replicasMax: 5"))
    changed = followed.now()
    assert changed is not None
    assert changed.limits.replicas_max == 5
    replaced("environments: {prod: {limits: {replicas: 3}}}")
    for _ in range(2):
        with pytest.raises(Refused, match=r"prod\.limits\.replicas is 3"):
            followed.now()
    file.unlink()
    with pytest.raises(Unavailable, match=r"policy of the environment cannot be had: environments\.file"):
        followed.now()
