"""Who owns a partition, and how far it is stored: the rows of `owners` and `positions`.

On assignment a process registers with an epoch above all others of the partition; then it ends inserts that older
owners still have running, and reads the position. A process that finds a higher epoch than its own is *fenced*: it has
lost the partition without having been told yet, and drops what it holds of it. The embedded engine belongs to one
process, so there the check costs nothing and finds nothing.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa

from logserver.errors import Fenced
from logserver.record import POSITION_SCHEMA, Span, TopicPartition
from logserver.store import Store, read

QUERY_ID_PREFIX = "milepost"


class Ledger:
    """This process's claims; one thread at a time."""

    def __init__(
        self,
        store: Store,
        *,
        shared: bool,
        cluster: str,
        now: Callable[[], datetime.datetime],
        replicated: bool = False,
    ) -> None:
        self.owner = uuid.uuid4().hex
        self._store = store
        self._shared = shared
        self._replicated = replicated
        self.cluster = f"ON CLUSTER `{cluster}`" if cluster else ""
        self._now = now
        self._epochs: dict[TopicPartition, int] = {}
        self._seq = 0

    def query_id(self, name: str) -> str:
        """Return a query id by which a later owner finds and ends our insert."""
        self._seq += 1
        return f"{QUERY_ID_PREFIX}:{self.owner}:{self._seq}:{name}"

    def register(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Claim the partitions; return the next offset of each that was ever stored.

        Raises what the store raises.
        """
        ours = list(partitions)
        self._epochs = {}
        if not ours:
            return {}
        self._catch_up(("owners",))
        highest, older = self._known(ours)
        epochs = {partition: highest.get(partition, 0) + 1 for partition in ours}
        for partition, epoch in epochs.items():
            self._store.execute(
                "INSERT INTO owners (topic, partition, epoch, owner, registered_at) SELECT {topic:String}, "
                "{partition:UInt32}, {epoch:UInt64}, {owner:String}, now64(3)",
                {"topic": partition.topic, "partition": partition.partition, "epoch": epoch, "owner": self.owner},
            )
        if self._shared:
            self._end_inserts_of(older)
        self._catch_up(("positions", "files", "lines"))
        self._epochs = epochs
        return self._positions(ours)

    def check(self, partitions: Iterable[TopicPartition]) -> None:
        """Raise Fenced when another process has claimed one of the partitions since we did."""
        ours = list(partitions)
        if missing := [partition for partition in ours if partition not in self._epochs]:
            raise Fenced(f"{missing[0]} is not ours any more")
        if not self._shared:
            return
        highest, _ = self._known(ours)
        for partition in ours:
            if highest.get(partition, 0) > self._epochs[partition]:
                raise Fenced(f"{partition} has a newer owner (epoch {highest[partition]})")

    def advance(self, spans: Mapping[TopicPartition, Span], *, token: str) -> None:
        """Store the positions behind these spans; the last write of a batch."""
        self._seq += 1
        partitions = list(spans)
        now = int(self._now().timestamp() * 1000)
        columns = {
            "topic": pa.array([partition.topic for partition in partitions]).dictionary_encode(),
            "partition": pa.array([partition.partition for partition in partitions], pa.uint32()),
            "next_offset": pa.array([spans[partition].next_offset for partition in partitions], pa.uint64()),
            "epoch": pa.array([self._epochs[partition] for partition in partitions], pa.uint64()),
            "seq": pa.array([self._seq] * len(partitions), pa.uint64()),
            "updated_at": pa.array([now] * len(partitions), POSITION_SCHEMA.field("updated_at").type),
        }
        rows = pa.table([columns[name] for name in POSITION_SCHEMA.names], schema=POSITION_SCHEMA)
        self._store.insert("positions", rows, token=token, query_id=self.query_id("positions"))

    def _known(self, partitions: list[TopicPartition]) -> tuple[dict[TopicPartition, int], set[str]]:
        """Return the highest epoch of each partition, and who ever owned one of them but us."""
        sql = (
            "SELECT topic, partition, max(epoch) AS epoch, groupUniqArray(10000)(owner) AS names FROM owners "
            "WHERE topic IN {topics:Array(String)} GROUP BY topic, partition"
        )
        rows = read(self._store, sql, {"topics": sorted({partition.topic for partition in partitions})})
        epochs: dict[TopicPartition, int] = {}
        names: set[str] = set()
        for row in rows:
            partition = TopicPartition(str(row["topic"]), int(str(row["partition"])))
            if partition in partitions:
                epochs[partition] = int(str(row["epoch"]))
                names.update(str(name) for name in _listed(row["names"]))
        return epochs, names - {self.owner}

    def _catch_up(self, tables: tuple[str, ...]) -> None:
        """Wait until this server has all that was inserted on the table's other replicas.

        Each replicated table is copied on its own, so a position or a mark could be here before its lines, or lines
        before their mark. https://clickhouse.com/docs/sql-reference/statements/system#sync-replica
        """
        if self._replicated:
            for table in tables:
                self._store.execute(f"SYSTEM SYNC REPLICA {table}")

    def _end_inserts_of(self, owners: set[str]) -> None:
        """End running inserts of earlier owners and wait until they have ended."""
        if owners:
            self._store.execute(
                f"KILL QUERY {self.cluster} WHERE arrayExists(prefix -> startsWith(query_id, prefix), "
                "{prefixes:Array(String)}) SYNC",
                {"prefixes": [f"{QUERY_ID_PREFIX}:{owner}:" for owner in sorted(owners)]},
            )

    def _positions(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        sql = (
            "SELECT topic, partition, argMax(next_offset, (epoch, seq)) AS next FROM positions "
            "WHERE topic IN {topics:Array(String)} GROUP BY topic, partition"
        )
        rows = read(self._store, sql, {"topics": sorted({partition.topic for partition in partitions})})
        found = {TopicPartition(str(r["topic"]), int(str(r["partition"]))): int(str(r["next"])) for r in rows}
        return {partition: found[partition] for partition in partitions if partition in found}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
