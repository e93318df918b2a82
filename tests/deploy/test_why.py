from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.objects.pods import PREFLIGHT
from deploy.operate.evidence import concerned
from deploy.record import Record, Revision, Track
from deploy.seen.kinds import Meta
from deploy.seen.podkinds import Condition, Container, Ended, Event, Involved, Phase, Pod, PodStatus, Waiting
from deploy.why import RULES, why
from deploy.why.symptoms import Evidence

NOTHING = Evidence("Available", "", (), (), (), ())
NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z"""
DENIED = 'admission webhook "v" denied the request: traffic'
HEALTHY = (("m", "m-default", 1),)
CANARY = (("m", "m-a", 1), ("m-canary", "m-b", 1))


def ended(code: int, reason: str = "Error", message: str = "", *, name: str = "server") -> Container:
    return Container(name, state=Phase(terminated=Ended(code, reason, message)))


def pod(
    *containers: Container, init: tuple[Container, ...] = (), conditions: tuple[Condition, ...] = (), reason: str = ""
) -> Evidence:
    status = PodStatus(
        reason=reason,
        container_statuses=list(containers),
        init_container_statuses=list(init),
        conditions=list(conditions),
    )
    return replace(NOTHING, state="Creating", pods=(Pod(Meta("m-0"), status),), now=NOW)


def event(reason: str, message: str, field_path: str = "") -> Evidence:
    about = Involved("Pod", "m-0", field_path)
    return replace(NOTHING, state="Creating", events=(Event("Warning", reason, message, about),))


def unscheduled(message: str) -> Evidence:
    return pod(conditions=(Condition("PodScheduled", "False", "Unschedulable", message),))


def again(finished_at: str) -> Evidence:
    last = Phase(terminated=Ended(137, "OOMKilled", finished_at=finished_at))
    return pod(Container("server", ready=True, restart_count=4, last_state=last))


NO_MOUNT = 'MountVolume.SetUp failed for volume "secret-tls": secret "tls" not found'
CASES: list[tuple[str, Evidence]] = [
    ("no AVX", pod(ended(132))),
    ("out of memory", pod(ended(137, "OOMKilled"))),
    ("the server crashes", pod(ended(1))),
    ("the server crashes", pod(ended(0, "Completed"))),
    ("killed", pod(ended(137))),
    ("killed", pod(ended(143))),
    ("evicted", pod(reason="Evicted")),
    ("initializer failed", pod(init=(ended(1, "Error", "gs://b/m: no such object"),))),
    ("initializer out of memory", pod(init=(ended(137, "OOMKilled"),))),
    ("the CPU lacks features", pod(init=(ended(86, "Error", "this node's CPU lacks AVX2", name=PREFLIGHT),))),
    ("the preflight failed", pod(init=(ended(87, name=PREFLIGHT),))),
    ("image pull", pod(Container("server", state=Phase(Waiting("ImagePullBackOff", "not found"))))),
    ("configuration of a container", pod(Container("server", state=Phase(Waiting("CreateContainerConfigError", "s"))))),
    ("a volume is not mounted", event("FailedMount", NO_MOUNT)),
    ("no free GPU block", unscheduled("0/4 nodes are available: 4 Insufficient tencent.com/vcuda-core")),
    ("no node fits", unscheduled("0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector")),
    ("quota", event("FailedCreate", "pods is forbidden: exceeded quota: gpu, requested: 1, used: 4, limited: 4")),
    ("a probe kills a slow loader", event("Unhealthy", "Startup probe failed: connection refused")),
    ("route without endpoints", replace(NOTHING, routed=(("m", "m-default", 0),))),
    ("route missing", replace(NOTHING, missing=("m",))),
    ("canary not merged", replace(NOTHING, routed=(("m", "m-a", 1), ("m-canary", "m-a", 1)))),
    ("canary not merged", replace(NOTHING, routed=CANARY, conflicts=("main backend of Ingress n/other",))),
    ("webhook refused", replace(NOTHING, operation=DENIED)),
    ("not deployed", replace(NOTHING, state="", exists=False)),
    ("Seldon does nothing", replace(NOTHING, state="")),
    ("Seldon says failed", replace(NOTHING, state="Failed", description="Progress deadline exceeded")),
    ("scaled to zero", replace(NOTHING, idle=("default",), routed=(("m", "m-default", 0),))),
    ("not ready", replace(NOTHING, unsettled=(("default", "default: 0 of 1 Deployments exist"),))),
    ("not looked at", replace(NOTHING, routed=CANARY, unseen=("Ingresses of other namespaces",))),
]


@pytest.mark.parametrize(("rule", "evidence"), CASES, ids=[rule for rule, _ in CASES])
def test_each_failure_is_named_first_with_what_to_do(rule: str, evidence: Evidence) -> None:
    found = why(evidence)
    assert found[0].rule == rule
    assert found[0].found
    assert found[0].todo


def test_what_could_not_be_looked_at_is_a_note_and_all_else_a_fault() -> None:
    assert {rule.name for rule in RULES if rule.severity == "note"} == {"not looked at"}
    assert [found.severity for found in why(dict(CASES)["not looked at"])] == ["note"]
    assert [found.severity for found in why(pod(ended(132)))] == ["fault"]


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, _ in CASES} == {rule.name for rule in RULES}


def test_a_failing_container_is_named_so_that_its_log_can_be_read() -> None:
    found = why(pod(ended(132)))[0]
    assert (found.pod, found.container) == ("m-0", "server")


def test_a_container_that_a_probe_kills_is_named_as_well() -> None:
    found = why(event("Unhealthy", "Liveness probe failed: timeout", "spec.containers{server}"))[0]
    assert (found.pod, found.container) == ("m-0", "server")


def test_what_the_preflight_says_is_not_taken_for_the_storage_initializers_word() -> None:
    found = why(pod(init=(ended(86, name=PREFLIGHT), ended(1, message="403", name="m-model-initializer"))))
    assert [(item.rule, item.container) for item in found] == [
        ("the CPU lacks features", PREFLIGHT),
        ("initializer failed", "m-model-initializer"),
    ]


def test_the_end_of_a_container_that_is_ready_again_is_told_for_an_hour() -> None:
    assert "(ready again, 4 restarts)" in why(again("2025-12-31T23:30:00Z"))[0].found
    assert why(again("2025-12-31T22:59:00Z")) == ()


def test_a_pod_that_is_on_its_way_out_may_end_as_it_likes() -> None:
    status = PodStatus(container_statuses=[ended(143)])
    gone = Pod(Meta("m-0", deletion_timestamp="2025-12-31T23:59:59Z"), status)
    assert why(replace(NOTHING, pods=(gone,), now=NOW)) == ()


def test_what_was_not_looked_at_is_told_only_where_it_matters() -> None:
    assert why(replace(NOTHING, routed=HEALTHY, unseen=("Ingresses of other namespaces",))) == ()


def test_a_serving_model_has_no_findings() -> None:
    assert why(replace(NOTHING, routed=HEALTHY)) == ()


RECORD = Record(
    "n",
    "ner",
    revisions=(Revision(1, {"predictor": "old"}, "ada", 0.0, "", ""), Revision(2, {}, "ada", 0.0, "", "")),
    stable=Track("default", 2),
)
POD = "seldon-0cc175b9c0f1b6a831c399e269772661-7d9f-x2x4z"
OWN = [
    "ner", "ner-canary", POD, POD.rpartition("-")[0], "ner-default-0-ner", "ner-default-0-ner-7d9f-abcde",
    "ner-old-0-ner-1a2b", "ner-r7-0-ner-55-qq", "ner-default-svc-orch", "ner-default-explainer-6f-1", "ner-rebuild-d1",
]  # fmt: skip
OTHERS = ["nerd", "ner-large", "ner-large-default-0-ner-large", "ner-default-default-0-x", "seldon-9dd4-7d9f", "other"]


def test_events_of_a_model_whose_name_begins_alike_are_not_taken_for_its_own() -> None:
    concerns = concerned(RECORD, [POD])
    assert [name for name in OWN if not concerns(name)] == []
    assert [name for name in OTHERS if concerns(name)] == []
