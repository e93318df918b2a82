"""The native-protocol front answers clickhouse-driver as a server would."""

import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ServerException

from tests.parts.native_front import native_front


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path: Path = tmp_path_factory.mktemp("front")
    with native_front(path, "--password", "secret") as (number, _):
        yield number


@contextlib.contextmanager
def client(port: int, **settings: Any) -> Iterator[Client]:
    one = Client("127.0.0.1", port=port, password="secret", settings={"server_side_params": True}, **settings)
    try:
        yield one
    finally:
        one.disconnect()


@pytest.mark.parametrize("compression", [False, "lz4"])
def test_columns_survive_the_way_in_and_out(port: int, compression: bool | str) -> None:
    with client(port, compression=compression) as one:
        one.execute("DROP TABLE IF EXISTS t")
        one.execute(
            "CREATE TABLE t (a UInt64, s LowCardinality(String), m Map(LowCardinality(String), String),"
            " ts DateTime64(9, 'UTC'), f Array(LowCardinality(String))) ENGINE = MergeTree ORDER BY a"
        )
        stamp = datetime(2026, 1, 1, tzinfo=UTC)
        columns = [[1, 2], ["x", "it's"], [{"k": "v"}, {}], [stamp, stamp], [["z"], []]]
        assert one.execute("INSERT INTO t (a, s, m, ts, f) VALUES", columns, columnar=True) == 2
        got = one.execute("SELECT * FROM t WHERE s = {s:String}", {"s": "it's"})
        assert got == [(2, "it's", {}, stamp, [])]


def test_a_token_drops_the_second_of_two_equal_inserts(port: int) -> None:
    with client(port) as one:
        one.execute(
            "CREATE TABLE d (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
        )
        for _ in range(2):
            one.execute("INSERT INTO d VALUES", [[1]], columnar=True, settings={"insert_deduplication_token": "t1"})
        assert one.execute("SELECT count() FROM d") == [(1,)]


def test_errors_carry_the_engines_code_and_leave_the_connection_usable(port: int) -> None:
    with client(port) as one:
        with pytest.raises(ServerException) as failure:
            one.execute("SELECT nope")
        assert failure.value.code == 47
        assert one.execute("SELECT 1") == [(1,)]


def test_a_wrong_password_is_refused(port: int) -> None:
    with pytest.raises(ServerException) as failure:
        Client("127.0.0.1", port=port, password="wrong").execute("SELECT 1")
    assert failure.value.code == 516


def test_a_query_is_killed_by_the_prefix_of_its_id(port: int) -> None:
    failures: list[Error] = []

    def sleep() -> None:
        with client(port) as one:
            try:
                one.execute(
                    "SELECT sum(sleepEachRow(0.05)) FROM numbers(1000) SETTINGS max_block_size = 10,"
                    " function_sleep_max_microseconds_per_block = 100000000",
                    query_id="ingest:logs:1",
                )
            except ServerException as error:
                failures.append(error)

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    deadline = time.monotonic() + 10
    with client(port) as killer:
        while sleeper.is_alive() and time.monotonic() < deadline:
            killer.execute("KILL QUERY WHERE query_id LIKE 'ingest:logs:%' SYNC")
            time.sleep(0.1)
    sleeper.join(10)
    assert [failure.code for failure in failures] == [394]
