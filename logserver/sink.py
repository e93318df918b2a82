"""Storing one batch, step by step and safe to repeat: marks, lines, rejects, position. Blocking, one at a time.

The order is what makes it exact. The marks come first, so that after a crash every line that may be stored is below its
file's mark and is looked for before it is stored again. The position comes last, so that nothing is skipped. A step
whose outcome is unknown is repeated with the same rows and the same token, which the store recognises; a token is never
used for other rows, so it carries this process's id and the batch's number.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from logserver.decode import Decoded
from logserver.dedup import Dedup, Fresh
from logserver.ledger import Ledger
from logserver.record import Span, StoredBatch, TopicPartition
from logserver.store import Store


@dataclass(slots=True)
class Delivery:
    """A decoded batch on its way into the store; `fresh` is set once and then kept over every repetition."""

    number: int
    decoded: Decoded
    spans: dict[TopicPartition, Span]
    fresh: Fresh | None = None


class Sink:
    """Writes deliveries; see the module's text."""

    def __init__(self, store: Store, dedup: Dedup, ledger: Ledger) -> None:
        self._store = store
        self._dedup = dedup
        self._ledger = ledger

    def register(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Claim the partitions and return their stored positions; what was given up before is forgotten."""
        self._dedup.forget()
        return self._ledger.register(partitions)

    def store(self, delivery: Delivery) -> StoredBatch:
        """Store the delivery, or what is left of it. Raises Transient (call again), Fenced, Rejected."""
        self._ledger.check(delivery.spans)
        if delivery.fresh is None:
            delivery.fresh = self._dedup.fresh(delivery.decoded.lines)
        token = f"{self._ledger.owner}-{delivery.number}"
        self._insert("files", delivery.fresh.marks, token)
        self._insert("lines", delivery.fresh.lines, token)
        self._insert("rejects", delivery.decoded.rejects, token)
        self._ledger.check(delivery.spans)
        self._ledger.advance(delivery.spans, token=token)
        return StoredBatch(delivery.fresh.lines, delivery.spans)

    def _insert(self, table: str, rows: pa.Table, token: str) -> None:
        if rows.num_rows:
            self._store.insert(table, rows, token=token, query_id=self._ledger.query_id(table))
