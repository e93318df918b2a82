"""What is free of the nodes' cards, as a whole and card by card."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from exporter.cluster import Cluster
from exporter.cluster.nodelines import add_node_lines
from exporter.cluster.podindex import PodIndex
from exporter.page.samples import Samples
from tests.exporter.workload import Object, running

BLOCK = 256 << 20
SHARED = {"tencent.com/vcuda-core": "200", "tencent.com/vcuda-memory": "120"}


def pod(name: str, limits: Mapping[str, str | int], *, assigned: str = "", phase: str = "Running") -> Object:
    annotations = {"tencent.com/predicate-gpu-idx-0": assigned} if assigned else {}
    found: Object = {
        "metadata": {"name": name, "namespace": "research", "annotations": annotations},
        "spec": {"nodeName": "gpu-1", "containers": [{"name": "main", "resources": {"limits": dict(limits)}}]},
    }
    found = running(found, "198.18.0.9")
    found["status"]["phase"] = phase
    return found


def share(cores: int, blocks: int) -> dict[str, str | int]:
    return {"tencent.com/vcuda-core": str(cores), "tencent.com/vcuda-memory": blocks}


def figures(capacity: Mapping[str, str], *pods: Object) -> dict[str, float]:
    """The samples about the node, by family and card."""
    cluster = Cluster(PodIndex(render=False))
    cluster.nodes.apply(
        msgspec.json.encode({"metadata": {"name": "gpu-1"}, "status": {"allocatable": dict(capacity)}}), deleted=False
    )
    for each in pods:
        cluster.pods.apply(msgspec.json.encode(each), deleted=False)
    out = Samples()
    add_node_lines(out, cluster)
    found = {}
    for family, lines in out.lines.items():
        for line in lines:
            _, _, index = line.partition('index="')
            card = f" {index[0]}" if index else ""
            found[family.name.removeprefix("milepost_node_gpu_") + card] = float(line.rpartition(" ")[2])
    return found


def test_shares_count_against_the_node_and_against_the_card_they_were_predicated_for() -> None:
    found = figures(SHARED, pod("a", share(30, 20), assigned="1"), pod("b", share(60, 40), assigned="1"))
    assert (found["capacity_cards"], found["free_cards"]) == (2, 1.1)
    assert found["requested_cards"] == found["card_requested_ratio 1"] == pytest.approx(0.9)
    assert found["memory_free_bytes"] == 60 * BLOCK
    assert (found["card_requested_ratio 0"], found["card_free_ratio 0"]) == (0, 1)
    assert found["card_free_ratio 1"] == 0.1
    assert found["card_memory_requested_bytes 1"] == 60 * BLOCK


def test_a_container_of_several_cards_takes_each_of_them() -> None:
    found = figures(SHARED, pod("a", share(200, 120), assigned="0,1"))
    assert [found[f"card_free_ratio {card}"] for card in (0, 1)] == [0, 0]
    assert found["card_memory_requested_bytes 0"] == 60 * BLOCK


def test_what_no_annotation_places_is_missing_from_the_node_and_from_no_card() -> None:
    found = figures(SHARED, pod("a", share(50, 10)))
    assert found["free_cards"] == 1.5
    assert [found[f"card_free_ratio {card}"] for card in (0, 1)] == [1, 1]


def test_a_finished_pod_gives_its_share_back_and_nothing_is_less_than_nothing() -> None:
    finished = pod("done", share(100, 60), assigned="0", phase="Succeeded")
    assert figures(SHARED, finished)["free_cards"] == 2
    crowd = [pod(f"p{number}", share(100, 60), assigned="0") for number in range(3)]
    found = figures(SHARED, *crowd)
    assert (found["free_cards"], found["card_free_ratio 0"], found["memory_free_bytes"]) == (0, 0, 0)


def test_whole_cards_are_counted_for_the_node_alone() -> None:
    found = figures({"nvidia.com/gpu": "4"}, pod("a", {"nvidia.com/gpu": "3"}))
    assert found == {"capacity_cards": 4, "requested_cards": 3, "free_cards": 1}


def test_a_node_without_cards_has_nothing_to_say() -> None:
    assert figures({"cpu": "8"}) == {}
