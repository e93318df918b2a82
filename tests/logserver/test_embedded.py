"""The embedded engine keeps the Store's promises."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from logserver.engines.embedded import EmbeddedStore
from logserver.errors import Fatal, QueryCancelled, QueryTimeout, QueryTooLarge, Rejected
from logserver.query import LINE_COLUMNS
from logserver.read.lines import lines_of
from logserver.record import LINE_SCHEMA, MARK_SCHEMA, POSITION_SCHEMA, REJECT_SCHEMA
from logserver.schema import Dialect, migrate, steps
from logserver.store import Cancel, Limits, read
from tests.logserver.rows import line_rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    opened = EmbeddedStore(tmp_path, sessions=2)
    migrate(opened, Dialect())
    yield opened
    opened.close()


def test_migrating_twice_applies_each_step_once(store: EmbeddedStore) -> None:
    assert migrate(store, Dialect()) == []


def test_a_store_of_an_older_program_keeps_its_lines(tmp_path: Path) -> None:
    with contextlib.closing(EmbeddedStore(tmp_path, sessions=1)) as old:
        first, *later = steps(Dialect())
        for statement in first.statements:
            old.execute(statement)
        old.execute("CREATE TABLE schema_steps (step UInt32, name String) ENGINE = MergeTree ORDER BY step")
        old.execute("INSERT INTO schema_steps VALUES (1, 'lines')")
        before = line_rows({"message": f"line {number}", "labels": '{"a":"\u00fc/\\""}'} for number in range(3))
        old.insert("lines", before.drop_columns(["origin"]))
        assert migrate(old, Dialect()) == [step.number for step in later]
        after = line_rows({"message": f"line {number}", "file_id": 8} for number in range(3, 5))
        old.insert("lines", after)
        for statement in ("SELECT 1", "OPTIMIZE TABLE lines FINAL"):
            old.execute(statement)
            sql = f"SELECT {LINE_COLUMNS} FROM lines ORDER BY message"  # noqa: S608 (names of ours)
            assert lines_of(old.select(sql)) == lines_of(before) + lines_of(after)


def test_a_store_of_a_newer_program_is_refused(store: EmbeddedStore) -> None:
    store.execute("INSERT INTO schema_steps (step, name) VALUES (9999, 'future')")
    with pytest.raises(Fatal, match="9999"):
        migrate(store, Dialect())


@pytest.mark.parametrize(
    ("table", "schema"),
    [("lines", LINE_SCHEMA), ("rejects", REJECT_SCHEMA), ("files", MARK_SCHEMA), ("positions", POSITION_SCHEMA)],
)
def test_arrow_columns_and_tables_have_the_same_columns(store: EmbeddedStore, table: str, schema: pa.Schema) -> None:
    rows = read(
        store,
        "SELECT name FROM system.columns WHERE table = {table:String} AND default_kind != 'MATERIALIZED' "
        "ORDER BY position",
        {"table": table},
    )
    assert [row["name"] for row in rows] == schema.names


@pytest.mark.parametrize(
    "value",
    ["", "plain", "tab\tnewline\nreturn\r", "back\\slash \\n", "quote ' \"", "nul \0", "ünï 🙂", "{x:String}", "%s"],
)
def test_a_parameter_arrives_as_it_was_given(store: EmbeddedStore, value: str) -> None:
    assert read(store, "SELECT {v:String} AS v", {"v": value}) == [{"v": value}]
    assert read(store, "SELECT {v:Array(String)} AS v", {"v": [value, value]}) == [{"v": [value, value]}]


def test_the_same_token_with_the_same_rows_stores_them_once(store: EmbeddedStore) -> None:
    now = datetime.datetime(2026, 3, 4, 9, 15, tzinfo=datetime.UTC)
    rows = pa.table({"file_id": [1, 2], "mark": [5, 6], "seen_at": [now, now]}).cast(MARK_SCHEMA)
    for _ in range(3):
        store.insert("files", rows, token="one")
    assert read(store, "SELECT count() AS n FROM files") == [{"n": 2}]


def test_a_query_past_its_time_limit_says_so(store: EmbeddedStore) -> None:
    with pytest.raises(QueryTimeout):
        store.select("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", limits=Limits(time_s=0.2))


def test_a_result_past_its_row_limit_says_so(store: EmbeddedStore) -> None:
    with pytest.raises(QueryTooLarge):
        store.select("SELECT number FROM numbers(1000000)", limits=Limits(rows=10))


def test_a_query_past_its_memory_limit_says_so(store: EmbeddedStore) -> None:
    with pytest.raises(QueryTooLarge):
        store.select("SELECT groupArray(number) FROM numbers(100000000)", limits=Limits(memory_bytes=10**7))


def test_wrong_sql_is_the_callers_fault(store: EmbeddedStore) -> None:
    with pytest.raises(Rejected, match="no_such_table"):
        store.select("SELECT 1 FROM no_such_table")


def test_a_running_query_can_be_cancelled(store: EmbeddedStore) -> None:
    cancel = Cancel()
    threading.Timer(0.2, cancel.cancel).start()
    began = time.monotonic()
    with pytest.raises(QueryCancelled):
        store.select("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", cancel=cancel)
    assert time.monotonic() - began < 5


def test_a_directory_belongs_to_one_store(store: EmbeddedStore, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="in use"):
        EmbeddedStore(tmp_path)


def test_a_cancelled_query_never_spoils_the_next_one(tmp_path: Path) -> None:
    one_session = EmbeddedStore(tmp_path, sessions=1)
    try:
        for delay_ms in range(25):
            cancel = Cancel()
            timer = threading.Timer(delay_ms / 1000, cancel.cancel)
            timer.start()
            with contextlib.suppress(QueryCancelled):
                one_session.select("SELECT sum(number) FROM numbers(300000000) GROUP BY number % 9", cancel=cancel)
            timer.join()
            assert read(one_session, "SELECT min(number) AS least FROM numbers(10)") == [{"least": 0}]
    finally:
        one_session.close()
