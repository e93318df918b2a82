"""The nodes' GPUs as samples: how much there is, how much running pods ask for, and what is free. Pure.

A request counts against its node as soon as the pod is bound to it. Against single cards it counts where GpuManager's
scheduler extender has written its choice on the pod (`exporter.cluster.gpu_request`): a container's cards are shared
evenly by the cards it was predicated for, which are whole ones whenever there are several. What is free on one card is
what the next share can get at most; nvidia.com/gpu names no cards, so for such nodes there are totals only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.cluster import Cluster
from exporter.cluster.gpu_request import GpuRequest, node_cards, shares_cards
from exporter.page import families as fam
from exporter.page.family import Scope
from exporter.page.samples import Samples
from exporter.page.sink import Subject
from milepost.identity import Identity

_RUNNING = ("Pending", "Running")


@dataclass(slots=True)
class _Asked:
    """What the pods of one node ask for, and how much of it from which card: [share, bytes]."""

    cards: float = 0.0
    memory_bytes: float = 0.0
    by_card: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))

    def add(self, gpu: GpuRequest) -> None:
        """Add one container's request."""
        self.cards += gpu.cards
        self.memory_bytes += gpu.memory_bytes
        for index in gpu.assigned:
            self.by_card[index][0] += gpu.cards / len(gpu.assigned)
            self.by_card[index][1] += gpu.memory_bytes / len(gpu.assigned)


def add_node_lines(out: Samples, cluster: Cluster) -> None:
    """Add the cards of every node that has some, how much of them its running pods ask for, and what is left."""
    asked = _asked(cluster)
    for node in cluster.nodes:
        resources = node.status.allocatable or node.status.capacity
        cards, memory_bytes = node_cards(resources)
        if not cards:
            continue
        here = asked.get(node.metadata.name, _Asked())
        subject = Subject.of(Identity(node=node.metadata.name), Scope.NODE)
        out.add(fam.NODE_GPU_CAPACITY, subject, cards)
        out.add(fam.NODE_GPU_REQUESTED, subject, here.cards)
        out.add(fam.NODE_GPU_FREE, subject, _free(cards, here.cards))
        if memory_bytes:
            out.add(fam.NODE_GPU_MEMORY_CAPACITY, subject, memory_bytes)
            out.add(fam.NODE_GPU_MEMORY_REQUESTED, subject, here.memory_bytes)
            out.add(fam.NODE_GPU_MEMORY_FREE, subject, _free(memory_bytes, here.memory_bytes))
        if shares_cards(resources):
            _add_cards(out, subject, int(cards), here)


def _asked(cluster: Cluster) -> Mapping[str, _Asked]:
    asked: defaultdict[str, _Asked] = defaultdict(_Asked)
    for entry in cluster.pods:
        if entry.phase in _RUNNING:
            for container in entry.containers:
                if container.gpu:
                    asked[entry.subject.identity.node].add(container.gpu)
    return asked


def _add_cards(out: Samples, subject: Subject, cards: int, asked: _Asked) -> None:
    for index in map(str, range(cards)):
        share, memory_bytes = asked.by_card.get(index, (0.0, 0.0))
        out.add(fam.CARD_REQUESTED, subject, share, index)
        out.add(fam.CARD_FREE, subject, _free(1.0, share), index)
        out.add(fam.CARD_MEMORY_REQUESTED, subject, memory_bytes, index)


def _free(capacity: float, asked: float) -> float:
    """Return what is left; hundredths of cards do not add up exactly in binary, and nothing is less than nothing."""
    return max(0.0, round(capacity - asked, 6))
