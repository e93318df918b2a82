"""Both engines keep the Store's promises: the embedded one, and clickhouse-driver over the native protocol."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest
from clickhouse_driver import errors as driver

from logserver.engines.embedded import EmbeddedStore
from logserver.engines.server import ServerStore
from logserver.errors import Fatal, QueryCancelled, QueryTimeout, QueryTooLarge, Rejected, Transient
from logserver.ingest.dedup import Dedup
from logserver.ingest.ledger import Ledger
from logserver.record import LINE_SCHEMA, MARK_SCHEMA, Span, TopicPartition
from logserver.schema import Dialect, migrate
from logserver.schema import steps as known_steps
from logserver.settings import StoreSettings
from logserver.store import NO_PARAMS, Cancel, Limits, Params, Store, read
from tests.logserver.test_dedup import lines_of
from tests.parts.native_front import native_front

NOW = datetime.datetime(2026, 3, 4, 9, 15, tzinfo=datetime.UTC)


@pytest.fixture(params=["embedded", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with ExitStack() as stack:
        opened: Store
        if request.param == "embedded":
            opened = EmbeddedStore(tmp_path, sessions=2)
        else:
            port, _ = stack.enter_context(native_front(tmp_path))
            opened = ServerStore(StoreSettings(url=f"clickhouse://127.0.0.1:{port}", connections=2))
        stack.enter_context(closing(opened))
        migrate(opened, Dialect())
        yield opened


def test_migrating_again_changes_nothing(store: Store) -> None:
    assert migrate(store, Dialect()) == []


@pytest.mark.parametrize(
    "row",
    [
        "lines (ts, message) SELECT now64(9), 'm'",
        "rejects (received_at, offset) SELECT now64(3), 1",
        "files (file_id, mark, seen_at) SELECT 1, 1, now64(3)",
        "owners (partition, epoch) SELECT 1, 1",
        "positions (partition, next_offset) SELECT 1, 1",
    ],
    ids=lambda row: row.partition(" ")[0],
)
def test_an_insert_is_on_the_disk_when_it_is_done(store: Store, row: str) -> None:
    before = synced(store)
    store.execute(f"INSERT INTO {row}")
    files, folders = (after - earlier for after, earlier in zip(synced(store), before, strict=True))
    assert files > 0
    assert folders > 0


def synced(store: Store) -> tuple[int, int]:
    """How many files and folders the engine has written through to the disk."""
    rows = read(store, "SELECT event, value FROM system.events WHERE event IN ('FileSync', 'DirectorySync')")
    found = {row["event"]: int(str(row["value"])) for row in rows}
    return found.get("FileSync", 0), found.get("DirectorySync", 0)


def test_a_store_of_a_newer_version_is_refused(store: Store) -> None:
    store.execute("INSERT INTO schema_steps (step, name) SELECT 9999, 'of the future'")
    with pytest.raises(Fatal, match="schema step 9999"):
        migrate(store, Dialect())


def test_replicated_tables_of_a_cluster_are_made_everywhere_and_remember_tokens() -> None:
    for step in known_steps(Dialect(replicated=True, cluster="main")):
        for statement in step.statements:
            assert "ON CLUSTER `main`" in statement
            if statement.startswith("CREATE"):
                assert "ENGINE = Replicated" in statement
                assert " replicated_deduplication_window = " in statement


def test_many_that_start_at_once_bring_a_new_server_to_the_same_schema(tmp_path: Path) -> None:
    with native_front(tmp_path) as (port, _), ThreadPoolExecutor(6) as replicas:
        stores = [ServerStore(StoreSettings(url=f"clickhouse://127.0.0.1:{port}", connections=1)) for _ in range(6)]
        together = threading.Barrier(len(stores))

        def start(store: ServerStore) -> None:
            together.wait()
            migrate(store, Dialect())

        list(replicas.map(start, stores))
        steps = read(stores[0], "SELECT DISTINCT step FROM schema_steps ORDER BY step")
        assert [row["step"] for row in steps] == [step.number for step in known_steps(Dialect())]
        assert [migrate(store, Dialect()) for store in stores] == [[]] * len(stores)
        stores[1].insert("lines", lines_of([(1, 1, 1)]))
        assert read(stores[2], "SELECT count() AS n FROM lines") == [{"n": 1}]
        for store in stores:
            store.close()


def test_a_line_comes_back_as_it_was_stored(store: Store) -> None:
    lines = lines_of([(2**63 + 5, 17, 1_772_615_727)])
    ts = pa.array([1_772_615_727_123_456_789], pa.int64()).cast(LINE_SCHEMA.field("ts").type)
    text = pa.array(["tab\t quote ' ünï 🙂 \0 \\n"])
    lines = lines.set_column(0, LINE_SCHEMA.field("ts"), ts)
    lines = lines.set_column(LINE_SCHEMA.names.index("message"), "message", text)
    store.insert("lines", lines)
    names = ", ".join(LINE_SCHEMA.names)
    back = store.select(f"SELECT {names} FROM lines ORDER BY ts LIMIT 10")  # noqa: S608 (names of ours)
    assert back["ts"].cast(pa.int64()).to_pylist() == [1_772_615_727_123_456_789]
    assert pa.types.is_dictionary(back["pod"].type)
    assert back.drop_columns(["ts"]).to_pylist() == lines.drop_columns(["ts"]).to_pylist()


def test_an_empty_result_has_no_rows(store: Store) -> None:
    assert read(store, "SELECT ts, pod FROM lines") == []


@pytest.mark.parametrize(
    "value",
    ["", "plain", "tab\tnewline\nreturn\r", "back\\slash \\n", "quote ' \"", "nul \0", "ünï 🙂", "{x:String}", "%s"],
)
def test_a_parameter_arrives_as_it_was_given(store: Store, value: str) -> None:
    assert read(store, "SELECT {v:String} AS v", {"v": value}) == [{"v": value}]
    assert read(store, "SELECT {v:Array(String)} AS v", {"v": [value, value]}) == [{"v": [value, value]}]


def test_numbers_and_arrays_of_numbers_arrive(store: Store) -> None:
    (row,) = read(store, "SELECT {n:UInt64} AS n, {a:Array(Int64)} AS a", {"n": 2**64 - 1, "a": [1, -2]})
    assert row == {"n": 2**64 - 1, "a": [1, -2]}


def test_the_same_token_with_the_same_rows_stores_them_once(store: Store) -> None:
    rows = pa.table({"file_id": [1, 2], "mark": [5, 6], "seen_at": [NOW, NOW]}).cast(MARK_SCHEMA)
    for _ in range(3):
        store.insert("files", rows, token="one")
    assert read(store, "SELECT count() AS n FROM files") == [{"n": 2}]


def test_a_repeated_insert_over_two_days_stores_each_line_once(store: Store) -> None:
    lines = lines_of([(1, offset, 5) for offset in range(4)])
    days = pa.array([datetime.date(2026, 3, 4 + row % 2) for row in range(4)])
    lines = lines.set_column(LINE_SCHEMA.names.index("day"), LINE_SCHEMA.field("day"), days)
    for _ in range(2):
        store.insert("lines", lines, token="midnight")
    assert read(store, "SELECT count() AS n, uniqExact(day) AS days FROM lines") == [{"n": 4, "days": 2}]


def test_a_query_past_its_time_limit_says_so(store: Store) -> None:
    with pytest.raises(QueryTimeout):
        store.select("SELECT sum(sipHash64(number)) AS s FROM numbers(1000000000000)", limits=Limits(time_s=0.2))


def test_a_result_past_its_row_limit_says_so(store: Store) -> None:
    with pytest.raises(QueryTooLarge):
        store.select("SELECT number FROM numbers(1000000)", limits=Limits(rows=10))


def test_a_small_query_is_kept_to_one_thread(store: Store) -> None:
    sql = "SELECT toUInt64(getSetting('max_threads')) AS threads"
    assert read(store, sql, limits=Limits(small=True)) == [{"threads": 1}]


def test_wrong_sql_is_the_callers_fault(store: Store) -> None:
    with pytest.raises(Rejected, match="no_such_table"):
        store.select("SELECT 1 FROM no_such_table")


def test_a_running_query_can_be_cancelled(store: Store) -> None:
    cancel = Cancel()
    threading.Timer(0.3, cancel.cancel).start()
    began = time.monotonic()
    with pytest.raises(QueryCancelled):
        store.select("SELECT sum(sipHash64(number)) AS s FROM numbers(1000000000000)", cancel=cancel)
    assert time.monotonic() - began < 20
    assert read(store, "SELECT 1 AS one") == [{"one": 1}]


def test_a_query_that_was_cancelled_before_it_began_does_not_begin(store: Store) -> None:
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(QueryCancelled):
        store.select("SELECT sum(sipHash64(number)) AS s FROM numbers(1000000000000)", cancel=cancel)
    assert read(store, "SELECT 1 AS one") == [{"one": 1}]


def test_a_query_that_fails_half_way_leaves_nothing_for_the_next_one(store: Store) -> None:
    for _ in range(3):
        with pytest.raises(Rejected, match="enough"):
            store.select("SELECT number, throwIf(number = 400000, 'enough') AS x FROM numbers(1000000)")
        assert read(store, "SELECT 1 AS one") == [{"one": 1}]


def test_a_column_of_names_has_one_dictionary_however_long_it_is(store: Store) -> None:
    rows = store.select("SELECT toLowCardinality(toString(number % 3)) AS name FROM numbers(200000)")
    assert rows.num_rows == 200_000
    assert len({str(chunk.dictionary.to_pylist()) for chunk in rows["name"].chunks}) == 1


def test_repeats_are_told_from_new_lines_by_what_is_stored(store: Store) -> None:
    lines = lines_of([(1, 1, 5), (1, 2, 6), (2, 1, 5)])
    dedup = Dedup(store, files_max=10, recent_lines_max=10)
    first = dedup.fresh(lines)
    assert (first.lines.num_rows, first.duplicates) == (3, 0)
    store.insert("files", first.marks)
    store.insert("lines", first.lines.slice(1))
    dedup.forget()
    again = dedup.fresh(lines)
    assert again.lines["file_offset"].to_pylist() == [1]
    assert (again.lines["file_id"].to_pylist(), again.duplicates) == ([1], 2)


def test_positions_follow_the_newest_owner(store: Store) -> None:
    partition = TopicPartition("logs", 3)
    ledgers = [Ledger(store, shared=True, cluster="", now=lambda: NOW) for _ in range(2)]
    assert ledgers[0].register([partition]) == {}
    ledgers[0].advance({partition: Span(0, 100)}, token="a")
    assert ledgers[1].register([partition]) == {partition: 100}
    ledgers[0].advance({partition: Span(100, 900)}, token="b")  # a zombie's write after the new owner registered
    ledgers[1].advance({partition: Span(100, 150)}, token="c")
    assert ledgers[0].register([partition]) == {partition: 150}


def test_a_new_owner_ends_what_the_owners_before_it_still_run_and_nothing_else(tmp_path: Path) -> None:
    partition = TopicPartition("logs", 3)
    with ExitStack() as stack:
        port, _ = stack.enter_context(native_front(tmp_path))
        store = stack.enter_context(closing(ServerStore(StoreSettings(url=f"clickhouse://127.0.0.1:{port}"))))
        migrate(store, Dialect())
        older, newer, heir = (Ledger(store, shared=True, cluster="", now=lambda: NOW) for _ in range(3))
        threads = stack.enter_context(ThreadPoolExecutor(3))

        def run(query_id: str, rows: int) -> None:
            with store._client() as client:
                slowly = f"SELECT sleepEachRow(0.1) FROM numbers({rows}) SETTINGS max_block_size = 1"  # noqa: S608
                client.execute(slowly, query_id=query_id)

        for owner in (older, newer):
            owner.register([partition])
        running = [threads.submit(run, owner.query_id("lines"), 600) for owner in (older, newer)]
        other = threads.submit(run, "reader:1", 50)
        asked = "SELECT count() AS n FROM system.processes WHERE startsWith(query_id, {id:String})"
        for prefix, count in (("milepost:", 2), ("reader:", 1)):
            while read(store, asked, {"id": prefix}) != [{"n": count}]:
                time.sleep(0.05)
        heir.register([partition])
        for ended in running:
            with pytest.raises(driver.ServerException, match="cancelled"):
                ended.result(timeout=30)
        other.result(timeout=60)


def test_with_replicated_tables_an_owner_first_catches_up_with_the_other_replicas() -> None:
    said: list[str] = []

    class Listener:
        def execute(self, sql: str, params: Params = NO_PARAMS) -> None:
            said.append(sql.split(" (", maxsplit=1)[0])

        def select(self, sql: str, params: Params = NO_PARAMS, **_: object) -> pa.Table:
            said.append("SELECT … FROM positions" if "FROM positions" in sql else "SELECT … FROM owners")
            return pa.table({})

    ledger = Ledger(cast(Store, Listener()), shared=True, cluster="", now=lambda: NOW, replicated=True)
    ledger.register([TopicPartition("logs", 0)])
    assert said == [
        "SYSTEM SYNC REPLICA owners",
        "SELECT … FROM owners",
        "INSERT INTO owners",
        "SYSTEM SYNC REPLICA positions",
        "SYSTEM SYNC REPLICA files",
        "SYSTEM SYNC REPLICA lines",
        "SELECT … FROM positions",
    ]


def test_a_server_that_is_not_there_is_worth_another_try() -> None:
    store = ServerStore(StoreSettings(url="clickhouse://127.0.0.1:1", connections=1))
    with pytest.raises(Transient):
        read(store, "SELECT 1")


@pytest.mark.parametrize("url", ["http://x:8123", "clickhouse://", "x"])
def test_a_url_that_is_none_of_ours_is_named(url: str) -> None:
    with pytest.raises(ValueError, match=r"store\.url"):
        ServerStore(StoreSettings(url=url))
