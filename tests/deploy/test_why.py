from __future__ import annotations

import pytest

from deploy.kinds import Meta
from deploy.podkinds import Condition, Container, Ended, Event, Involved, Phase, Pod, PodStatus, Waiting
from deploy.why import Evidence, why

NOTHING = Evidence("Available", "", (), (), (), ())


def ended(code: int, reason: str = "Error", message: str = "") -> Container:
    return Container("server", state=Phase(terminated=Ended(code, reason, message)))


def pod(*containers: Container, init: tuple[Container, ...] = (), conditions: tuple[Condition, ...] = ()) -> Evidence:
    status = PodStatus(
        container_statuses=list(containers), init_container_statuses=list(init), conditions=list(conditions)
    )
    return Evidence("Creating", "", (Pod(Meta("m-0"), status),), (), (), ())


def event(reason: str, message: str) -> Evidence:
    return Evidence("Creating", "", (), (Event("Warning", reason, message, Involved("Pod", "m-0")),), (), ())


def unscheduled(message: str) -> Evidence:
    return pod(conditions=(Condition("PodScheduled", "False", "Unschedulable", message),))


CASES: list[tuple[str, Evidence]] = [
    ("no AVX", pod(ended(132))),
    ("out of memory", pod(ended(137, "OOMKilled"))),
    ("the server crashes", pod(ended(1))),
    ("initializer failed", pod(init=(ended(1, "Error", "gs://b/m: no such object"),))),
    ("image pull", pod(Container("server", state=Phase(Waiting("ImagePullBackOff", "not found"))))),
    ("configuration of a container", pod(Container("server", state=Phase(Waiting("CreateContainerConfigError", "s"))))),
    ("no free GPU block", unscheduled("0/4 nodes are available: 4 Insufficient tencent.com/vcuda-core")),
    ("no node fits", unscheduled("0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector")),
    ("quota", event("FailedCreate", "pods is forbidden: exceeded quota: gpu, requested: 1, used: 4, limited: 4")),
    ("a probe kills a slow loader", event("Unhealthy", "Startup probe failed: connection refused")),
    ("route without endpoints", Evidence("Creating", "", (), (), (), (("m", "m-default", 0),))),
    ("canary not merged", Evidence("", "", (), (), (), (("m", "m-a", 1), ("m-canary", "m-a", 1)))),
    ("webhook refused", Evidence("", "", (), (), (), (), 'admission webhook "v" denied the request: traffic')),
    ("not deployed", Evidence("", "", (), (), (), (), exists=False)),
    ("Seldon says failed", Evidence("Failed", "Progress deadline exceeded", (), (), (), ())),
]


@pytest.mark.parametrize(("rule", "evidence"), CASES, ids=[rule for rule, _ in CASES])
def test_each_failure_is_named_first_with_what_to_do(rule: str, evidence: Evidence) -> None:
    found = why(evidence)
    assert found[0].rule == rule
    assert found[0].found
    assert found[0].todo


def test_a_failing_container_is_named_so_that_its_log_can_be_read() -> None:
    found = why(pod(ended(132)))[0]
    assert (found.pod, found.container) == ("m-0", "server")


def test_a_serving_model_has_no_findings() -> None:
    assert why(NOTHING) == ()
