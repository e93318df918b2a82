"""Lines leave by whole store partitions (a day of one retention class): by age, and when the disk limit is passed.

A partition goes when its day is older than its lines are kept. Above `retention.disk_bytes_max` the oldest days go
first, but never today's: then the limit is exceeded and said so.
"""

from __future__ import annotations

import datetime
import logging
from dataclasses import dataclass

from logserver.metrics import Metrics
from logserver.settings import RetentionSettings
from logserver.status import Status
from logserver.store import Store, read

log = logging.getLogger(__name__)

# Marks of files not seen for this long after their last line expired are of no use.
MARKS_MARGIN_DAYS = 2


@dataclass(frozen=True, slots=True, order=True)
class StorePartition:
    """One droppable piece of a table, ordered oldest first; `keep_days` is 0 where the table has no classes."""

    day: datetime.date
    table: str
    keep_days: int
    id: str
    bytes: int


def expired(partitions: list[StorePartition], *, default_days: int, today: datetime.date) -> list[StorePartition]:
    """Return what is older than it is kept: a day is kept until `keep_days` whole days have passed after it."""
    return [p for p in partitions if p.day + datetime.timedelta(days=p.keep_days or default_days) < today]


def beyond_disk(
    partitions: list[StorePartition], *, bytes_used: int, bytes_max: int, today: datetime.date
) -> list[StorePartition]:
    """Return the oldest partitions that must go to come below the limit; none when there is no limit (0)."""
    chosen: list[StorePartition] = []
    left = bytes_used
    for partition in sorted(partitions):
        if not bytes_max or left <= bytes_max or partition.day >= today:
            break
        chosen.append(partition)
        left -= partition.bytes
    return chosen


class Retention:
    """Applies the two rules; blocking."""

    def __init__(
        self, store: Store, settings: RetentionSettings, *, cluster: str, metrics: Metrics, status: Status
    ) -> None:
        self._store = store
        self._settings = settings
        self._cluster = f"ON CLUSTER `{cluster}`" if cluster else ""
        self._metrics = metrics
        self._status = status

    def apply(self, now: datetime.datetime) -> list[StorePartition]:
        """Drop what must go and return it. Raises what the store raises."""
        partitions, used = self._partitions()
        today = now.date()
        old = expired(partitions, default_days=self._settings.days, today=today)
        self._drop(old, "age")
        if old:
            self._forget_marks()
        left = [partition for partition in partitions if partition not in old]
        used -= sum(partition.bytes for partition in old)
        limit = self._settings.disk_bytes_max
        big = beyond_disk(left, bytes_used=used, bytes_max=limit, today=today)
        self._drop(big, "disk")
        used -= sum(partition.bytes for partition in big)
        if limit and used > limit:
            log.warning(
                "%d bytes on disk are more than retention.disk_bytes_max=%d, and only today is left", used, limit
            )
        self._status.disk_bytes, self._status.disk_limit_bytes = used, limit
        self._metrics.gauge("disk_bytes").set(used)
        self._metrics.gauge("disk_limit_bytes").set(limit)
        return old + big

    def _partitions(self) -> tuple[list[StorePartition], int]:
        """Return the droppable partitions and the bytes of all tables."""
        sql = (
            "SELECT table, partition_id, any(partition) AS name, sum(bytes_on_disk) AS bytes FROM system.parts "
            "WHERE active AND database = currentDatabase() "
            "AND table IN ('lines', 'rejects', 'files', 'positions', 'owners') GROUP BY table, partition_id"
        )
        partitions, used = [], 0
        for row in read(self._store, sql):
            size = int(str(row["bytes"]))
            used += size
            if row["table"] in ("lines", "rejects"):
                partitions.append(_partition(str(row["table"]), str(row["partition_id"]), str(row["name"]), size))
        return partitions, used

    def _drop(self, partitions: list[StorePartition], reason: str) -> None:
        for partition in partitions:
            self._store.execute(
                f"ALTER TABLE {partition.table} {self._cluster} DROP PARTITION ID {{id:String}}", {"id": partition.id}
            )
            self._metrics.counter("expired_partitions_total", reason).inc()
            log.info("dropped %s of %s (%d bytes): %s", partition.day, partition.table, partition.bytes, reason)

    def _forget_marks(self) -> None:
        """Delete the marks of files whose lines are long gone. It rewrites the table, so once a day is often enough."""
        longest = max([self._settings.days, *keep_days(self._settings).values()]) + MARKS_MARGIN_DAYS
        self._store.execute(
            f"ALTER TABLE files {self._cluster} DELETE WHERE seen_at < now() - INTERVAL {longest} DAY "
            "SETTINGS mutations_sync = 0"
        )


def keep_days(settings: RetentionSettings) -> dict[str, int]:
    """Return the days of single namespaces. Raises ValueError, naming the entry, when one is not namespace=days."""
    days = {}
    for entry in settings.namespaces:
        namespace, equals, number = entry.partition("=")
        if not equals or not namespace or not number.isdigit() or not 0 < int(number) <= 65_000:
            raise ValueError(f"retention.namespaces has {entry!r}; write namespace=days, for example audit=365")
        days[namespace] = int(number)
    return days


def _partition(table: str, partition_id: str, name: str, size: int) -> StorePartition:
    """Read the name the engine gives: `(7,'2026-03-04')` for lines, `2026-03-04` for rejects."""
    keep, _, day = name.strip("()").rpartition(",")
    return StorePartition(datetime.date.fromisoformat(day.strip("'")), table, int(keep or 0), partition_id, size)
