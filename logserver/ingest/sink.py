"""Storing one batch, step by step and safe to repeat: marks, lines, rejects, position. Blocking, one at a time.

The order is what makes it exact. The marks come first, so that after a crash every line that may be stored is below its
file's mark and is looked for before it is stored again. The position comes last, so that nothing is skipped. A step
whose outcome is unknown is repeated with the same rows and the same token, which the store recognises; a token is never
used for other rows, so it carries this process's id and the batch's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from logserver.decode import Decoded
from logserver.errors import Fenced
from logserver.ingest.dedup import Dedup, Fresh
from logserver.ingest.ledger import Ledger
from logserver.record import Span, StoredBatch, TopicPartition
from logserver.store import Store, read

_REJECTED = (
    "SELECT uniqExact(offset) FROM rejects WHERE topic = {topic:String} AND partition = {partition:UInt32} "
    "AND offset >= {first:UInt64} AND offset < {next:UInt64}"
)


@dataclass(slots=True)
class Delivery:
    """A decoded batch on its way into the store; `fresh` is set once and then kept over every repetition."""

    number: int
    decoded: Decoded
    spans: dict[TopicPartition, Span]
    fresh: Fresh | None = None
    lines_sent: bool = False


class Sink:
    """Writes deliveries; see the module's text."""

    def __init__(self, store: Store, dedup: Dedup, ledger: Ledger) -> None:
        self._engine = store
        self._dedup = dedup
        self._ledger = ledger

    def register(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Claim the partitions and return their stored positions; what was given up before is forgotten."""
        self._dedup.forget()
        return self._ledger.register(partitions)

    def read_before(self, positions: Mapping[TopicPartition, int], *, window: int) -> tuple[int, int]:
        """Return how many documents lie right before the positions and how many of them were rejected.

        At most `window` of each partition; offsets the topic no longer has count as documents.
        """
        documents = rejected = 0
        for place, next_offset in positions.items():
            first = max(0, next_offset - window)
            where = {"topic": place.topic, "partition": place.partition, "first": first, "next": next_offset}
            ((count,),) = (row.values() for row in read(self._engine, _REJECTED, where))
            documents += next_offset - first
            rejected += int(str(count))
        return documents, rejected

    def store(self, delivery: Delivery) -> StoredBatch:
        """Store the delivery, or what is left of it. Raises Transient (call again), Fenced, Rejected."""
        try:
            return self._store(delivery)
        except Fenced:
            if delivery.lines_sent:
                self._settle(delivery)
            raise

    def _store(self, delivery: Delivery) -> StoredBatch:
        self._ledger.check(delivery.spans)
        if delivery.fresh is None:
            delivery.fresh = self._dedup.fresh(delivery.decoded.lines)
        token = f"{self._ledger.owner}-{delivery.number}"
        self._insert("files", delivery.fresh.marks, token)
        self._ledger.check(delivery.spans)  # as late as can be: looking up and marking took time
        delivery.lines_sent = True
        self._insert("lines", delivery.fresh.lines, token)
        self._insert("rejects", delivery.decoded.rejects, token)
        self._ledger.check(delivery.spans)
        self._ledger.advance(delivery.spans, token=token)
        return StoredBatch(delivery.fresh.arrived, delivery.spans)

    def _settle(self, delivery: Delivery) -> None:
        """Merge the days of a batch that was sent while a newer owner stored the same lines: merging keeps one of each.

        Happens only to a process that was frozen, or cut off, between its last look at the ledger and its insert.
        """
        if delivery.fresh is None:
            return
        for group in delivery.fresh.lines.group_by(["keep_days", "day"]).aggregate([]).to_pylist():
            self._engine.execute(
                f"OPTIMIZE TABLE lines {self._ledger.cluster} PARTITION ({{keep:UInt16}}, {{day:Date}}) FINAL",
                {"keep": group["keep_days"], "day": str(group["day"])},
            )

    def _insert(self, table: str, rows: pa.Table, token: str) -> None:
        if rows.num_rows:
            self._engine.insert(table, rows, token=token, query_id=self._ledger.query_id(table))
