"""What is kept of a pod: why it is not ready, how it ended, what it asks of GPUs, which page is its front."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporter.cluster.gpu_request import GpuRequest, gpu_request, node_cards
from exporter.cluster.podindex import PodIndex, Shard
from exporter.cluster.pods import not_ready_reason, pod_entry
from exporter.cluster.quantity import parse_quantity
from exporter.objects import Pod
from tests.exporter.scene import crashing_pod, healthy_pod, pending_pod
from tests.exporter.workload import ENGINE, Object, running, seldon_pod


def decoded(pod: Object) -> Pod:
    return msgspec.json.decode(msgspec.json.encode(pod), type=Pod)


def with_status(**status: Any) -> Pod:
    return decoded({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "status": status})


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ErrImagePull"}}}]}, "ErrImagePull"),
        ({"initContainerStatuses": [{"name": "i", "state": {"terminated": {"reason": "Error", "exitCode": 2}}}],
          "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "PodInitializing"}}}]}, "Error"),
        ({"reason": "Evicted", "phase": "Failed"}, "Evicted"),
        ({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
         "Unschedulable"),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]},
         "ContainersNotReady"),
        ({"phase": "Pending"}, "Pending"),
        ({}, "Unknown"),
    ],
)  # fmt: skip
def test_a_pod_that_is_not_ready_says_why(status: Object, reason: str) -> None:
    assert not_ready_reason(with_status(**status)) == reason


def test_exit_code_132_is_named_an_illegal_instruction() -> None:
    entry = pod_entry(decoded(crashing_pod()))
    assert entry.containers[0].last_termination == "IllegalInstruction"
    assert (entry.ready, entry.reason) == (False, "CrashLoopBackOff")


def test_a_finished_pod_is_not_ready_for_no_reason() -> None:
    entry = pod_entry(with_status(phase="Succeeded"))
    assert (entry.ready, entry.reason, entry.replica) == (False, "", False)


@pytest.mark.parametrize(
    ("limits", "annotations", "expected"),
    [
        ({"cpu": "1"}, {}, None),
        ({"nvidia.com/gpu": "2"}, {}, GpuRequest(2.0, 2.0, 0.0, ())),
        ({"tencent.com/vcuda-core": 30, "tencent.com/vcuda-memory": 2}, {"tencent.com/predicate-gpu-idx-1": "0"},
         GpuRequest(0.3, 0.3, 2 * 268435456.0, ("0",))),
        ({"tencent.com/vcuda-core": "200"}, {"tencent.com/predicate-gpu-idx-1": "0,3"},
         GpuRequest(2.0, 2.0, 0.0, ("0", "3"))),
        ({"tencent.com/vcuda-core": "30"}, {"tencent.com/vcuda-core-limit": "50"}, GpuRequest(0.3, 0.5, 0.0, ())),
    ],
)  # fmt: skip
def test_gpu_requests_are_cards_and_bytes(limits: Object, annotations: dict[str, str], expected: object) -> None:
    assert gpu_request(limits, annotations, 1) == expected


def test_a_nodes_cards_are_gpumanagers_where_it_shares_them_out() -> None:
    assert node_cards({"nvidia.com/gpu": "2"}) == (2.0, 0.0)
    assert node_cards({"tencent.com/vcuda-core": "400", "tencent.com/vcuda-memory": "10"}) == (4.0, 10 * 268435456.0)


@pytest.mark.parametrize(
    ("text", "value"),
    [("250m", 0.25), ("12345678n", 0.012345678), ("71680Ki", 73400320.0), ("1.5Gi", 1.5 * 2**30), ("1e3", 1000.0),
     ("2", 2.0), ("-1", -1.0), (".5", 0.5), ("3E", 3e18)],
)  # fmt: skip
def test_quantities(text: str, value: float) -> None:
    assert parse_quantity(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "1 Gi", "1gi", "one", "1.2.3"])
def test_what_is_no_quantity_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        parse_quantity(text)


def test_the_orchestrators_page_is_the_front_and_its_units_are_not() -> None:
    entry = pod_entry(decoded(healthy_pod()))
    assert {(t.subject.identity.container, t.url, t.front) for t in entry.targets} == {
        ("classifier", "http://198.18.0.7:6000/prometheus", False),
        (ENGINE, "http://198.18.0.7:8000/prometheus", True),
    }


def test_a_pod_without_an_orchestrator_is_its_own_front_unless_that_is_elsewhere() -> None:
    alone = running(seldon_pod("p", engine=False), "198.18.0.3")
    assert [t.front for t in pod_entry(decoded(alone)).targets] == [True]
    del alone["metadata"]["labels"]["seldon-app"]
    assert [t.front for t in pod_entry(decoded(alone)).targets] == [False]


def test_a_pod_that_does_not_run_has_no_pages() -> None:
    assert pod_entry(decoded(pending_pod())).targets == ()


def test_an_index_finds_a_container_by_each_of_its_names_and_forgets_it() -> None:
    pods = PodIndex(render=False)
    raw = msgspec.json.encode(healthy_pod())
    pods.apply(raw, deleted=False)
    entry = next(iter(pods))
    container = entry.containers[0]
    assert len(container.container_id) == 64
    assert pods.by_container_id(container.container_id) is container.subject
    assert pods.by_name("models", entry.subject.identity.pod, "classifier") is container.subject
    assert container.subject in pods.by_pod_uid(entry.uid)
    pods.apply(raw, deleted=True)
    assert pods.by_container_id(container.container_id) is None
    assert (len(pods), list(pods.by_pod_uid(entry.uid))) == (0, [])


def test_a_pod_replaced_under_its_name_does_not_take_its_successor_along() -> None:
    pods = PodIndex(render=False)
    old, new = healthy_pod(), healthy_pod()
    new["metadata"]["uid"] = "successor"
    pods.apply(msgspec.json.encode(old), deleted=False)
    pods.apply(msgspec.json.encode(new), deleted=False)
    pods.apply(msgspec.json.encode(old), deleted=True)
    found = pods.pod("models", old["metadata"]["name"])
    assert found is not None
    assert found.uid == "successor"


def test_shards_share_the_pods_without_overlap() -> None:
    uids = [f"5c0b9a52-6f6f-4b5e-9d55-{number:012}" for number in range(1000)]
    owned = [[uid for uid in uids if Shard(index, 4).owns(uid)] for index in range(4)]
    assert sorted(uid for part in owned for uid in part) == uids
    assert all(180 < len(part) < 320 for part in owned)


def test_only_the_shards_own_pods_are_rendered() -> None:
    raw = msgspec.json.encode(healthy_pod())
    rendered = []
    for index in range(2):
        pods = PodIndex(render=True, shard=Shard(index, 2))
        pods.apply(raw, deleted=False)
        rendered.append(next(iter(pods)).state is not None)
    assert sorted(rendered) == [False, True]
