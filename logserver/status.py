"""What the write side tells the world about itself: read by `/readyz`, `/stats` and `/metrics`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from logserver.record import TopicPartition


@dataclass(slots=True)
class Status:
    """Kept by the ingest loop on the event loop's thread; anyone may read it.

    `problem` says in one sentence why documents are not being stored, `kafka_problem` why none come; else they are
    empty.
    """

    started_s: float = field(default_factory=time.time)
    assigned: tuple[TopicPartition, ...] = ()
    joined: bool = False
    store_ok: bool = True
    paused: bool = False
    last_progress_s: float = 0.0
    lag: dict[TopicPartition, int] = field(default_factory=dict)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    problem: str = ""
    kafka_problem: str = ""
    disk_bytes: int = 0
    disk_limit_bytes: int = 0

    @property
    def ready(self) -> bool:
        """Whether this replica takes part and its store answers; without Kafka what is stored can still be read."""
        return self.joined and self.store_ok and not self.problem

    def progressed(self) -> None:
        """Note that a batch was stored or that there was nothing to store."""
        if not self.kafka_problem:
            self.last_progress_s = time.time()
