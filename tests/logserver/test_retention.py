"""Lines leave by whole days: by age, by class, by disk."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logserver.engines.embedded import EmbeddedStore
from logserver.metrics import Metrics
from logserver.retention import Retention, StorePartition, beyond_disk, expired, keep_days
from logserver.schema import Dialect, migrate
from logserver.settings import RetentionSettings
from logserver.status import Status
from logserver.store import read
from milepost.units import Bytes

TODAY = datetime.date(2026, 3, 10)


def partition(day: int, *, keep: int = 7, size: int = 100) -> StorePartition:
    return StorePartition(datetime.date(2026, 3, day), "lines", keep, str(day), size)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    opened = EmbeddedStore(tmp_path, sessions=1)
    migrate(opened, Dialect())
    yield opened
    opened.close()


def test_a_day_is_kept_for_its_days_and_gone_after() -> None:
    assert expired([partition(2), partition(3), partition(10)], default_days=7, today=TODAY) == [partition(2)]


def test_a_longer_class_stays() -> None:
    assert expired([partition(2, keep=30)], default_days=7, today=TODAY) == []


def test_the_oldest_days_go_until_the_disk_limit_is_met() -> None:
    days = [partition(9), partition(8), partition(7)]
    assert beyond_disk(days, bytes_used=300, bytes_max=Bytes(150), today=TODAY) == [partition(7), partition(8)]


def test_today_never_goes_for_the_disk() -> None:
    assert beyond_disk([partition(10)], bytes_used=300, bytes_max=Bytes(1), today=TODAY) == []


def test_no_limit_means_no_limit() -> None:
    assert beyond_disk([partition(1)], bytes_used=300, bytes_max=Bytes(0), today=TODAY) == []


@pytest.mark.parametrize("entry", ["audit", "audit=", "=3", "audit=x", "audit=0"])
def test_a_wrong_override_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=r"retention\.namespaces"):
        keep_days(RetentionSettings(namespaces=(entry,)))


def test_expired_partitions_are_dropped_from_the_store(store: EmbeddedStore) -> None:
    for keep, day in ((7, "2026-03-01"), (30, "2026-03-01"), (7, "2026-03-09")):
        store.execute(
            "INSERT INTO lines (ts, keep_days, day, file_offset) "
            "SELECT toDateTime64({day:Date}, 9), {keep:UInt16}, {day:Date}, number FROM numbers(10)",
            {"day": day, "keep": keep},
        )
    store.execute(
        "INSERT INTO rejects (received_at, offset) SELECT toDateTime64('2026-03-01', 3), number FROM numbers(3)"
    )
    metrics = Metrics()
    retention = Retention(store, RetentionSettings(), cluster="", metrics=metrics, status=Status())
    dropped = retention.apply(datetime.datetime(2026, 3, 10, tzinfo=datetime.UTC))
    assert [(p.table, p.keep_days, str(p.day)) for p in sorted(dropped)] == [
        ("lines", 7, "2026-03-01"),
        ("rejects", 0, "2026-03-01"),
    ]
    assert read(store, "SELECT count() AS n FROM lines") == [{"n": 20}]
    assert read(store, "SELECT count() AS n FROM rejects") == [{"n": 0}]
    assert metrics.registry.get_sample_value("milepost_logserver_expired_partitions_total", {"reason": "age"}) == 2


def test_marks_of_files_go_when_days_go_and_the_table_is_left_alone_else(store: EmbeddedStore) -> None:
    store.execute(
        "INSERT INTO files (file_id, mark, seen_at) SELECT number, 5, now64(3) - toIntervalHour(24 * number + 1) "
        "FROM numbers(0, 20)"
    )
    retention = Retention(store, RetentionSettings(), cluster="", metrics=Metrics(), status=Status())
    now = datetime.datetime.now(datetime.UTC)
    retention.apply(now)
    assert read(store, "SELECT count() AS n FROM system.mutations WHERE table = 'files'") == [{"n": 0}]
    store.execute("INSERT INTO lines (ts, keep_days, day) SELECT now64(9), 7, today() - 9")
    retention.apply(now)
    for _ in range(200):
        if not read(store, "SELECT 1 AS running FROM system.mutations WHERE NOT is_done"):
            break
        time.sleep(0.05)
    assert read(store, "SELECT max(file_id) AS oldest FROM files") == [{"oldest": 8}]
