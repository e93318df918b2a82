"""Each line is stored once, whatever comes again and in whatever order."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from logserver.engines.embedded import EmbeddedStore
from logserver.ingest.dedup import Dedup
from logserver.record import LINE_SCHEMA
from logserver.schema import Dialect, migrate
from logserver.store import read

Identity = tuple[int, int, int]  # file, offset, second


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    opened = EmbeddedStore(tmp_path, sessions=1)
    migrate(opened, Dialect())
    yield opened
    opened.close()


def lines_of(identities: list[Identity], *, model: str = "iris") -> pa.Table:
    count = len(identities)
    day = datetime.date(2026, 3, 4)
    columns: dict[str, pa.Array] = {}
    for field in LINE_SCHEMA:
        if pa.types.is_dictionary(field.type):
            columns[field.name] = pa.array([model if field.name == "model" else "x"] * count).dictionary_encode()
        elif pa.types.is_string(field.type):
            columns[field.name] = pa.array(["m"] * count)
        elif field.name == "day":
            columns[field.name] = pa.array([day] * count, pa.date32())
        else:
            columns[field.name] = pa.array([1] * count, pa.int64()).cast(field.type)
    columns["file_id"] = pa.array([file for file, _, _ in identities], pa.uint64())
    columns["file_offset"] = pa.array([offset for _, offset, _ in identities], pa.uint64())
    columns["ts"] = pa.array([second * 10**9 for _, _, second in identities], pa.int64()).cast(
        pa.timestamp("ns", "UTC")
    )
    return pa.table([columns[name] for name in LINE_SCHEMA.names], schema=LINE_SCHEMA)


def put(store: EmbeddedStore, dedup: Dedup, identities: list[Identity], *, model: str = "iris") -> int:
    fresh = dedup.fresh(lines_of(identities, model=model))
    store.insert("files", fresh.marks)
    store.insert("lines", fresh.lines)
    return int(fresh.lines.num_rows)


def stored(store: EmbeddedStore) -> list[Identity]:
    rows = read(store, "SELECT file_id, file_offset, toUnixTimestamp(ts) AS second FROM lines ORDER BY ALL")
    return [(int(str(r["file_id"])), int(str(r["file_offset"])), int(str(r["second"]))) for r in rows]


def new_dedup(store: EmbeddedStore, *, recent: int = 1000, files: int = 1000) -> Dedup:
    return Dedup(store, files_max=files, recent_lines_max=recent)


def test_a_repeat_inside_one_batch_is_dropped(store: EmbeddedStore) -> None:
    assert put(store, new_dedup(store), [(1, 0, 5), (1, 10, 5), (1, 0, 5)]) == 2


def test_lines_of_equal_text_and_time_at_other_offsets_are_kept(store: EmbeddedStore) -> None:
    assert put(store, new_dedup(store), [(1, 0, 5), (1, 10, 5), (2, 0, 5)]) == 3


def test_ordinary_traffic_asks_the_store_for_no_line(store: EmbeddedStore) -> None:
    dedup = new_dedup(store)
    for start in range(0, 1000, 100):
        fresh = dedup.fresh(lines_of([(1, offset, 5) for offset in range(start, start + 100)]))
        assert (fresh.lines.num_rows, fresh.suspects) == (100, 0)


def test_a_restart_knows_what_was_stored(store: EmbeddedStore) -> None:
    put(store, new_dedup(store), [(1, 0, 5), (1, 10, 6)])
    assert put(store, new_dedup(store), [(1, 0, 5), (1, 10, 6), (1, 20, 7)]) == 1


def test_marks_without_their_lines_do_not_lose_the_lines(store: EmbeddedStore) -> None:
    """As after a crash between the two inserts."""
    store.insert("files", new_dedup(store).fresh(lines_of([(1, 0, 5), (1, 10, 6)])).marks)
    assert put(store, new_dedup(store), [(1, 0, 5), (1, 10, 6)]) == 2


def test_a_line_sent_again_after_its_metadata_arrived_is_the_same_line(store: EmbeddedStore) -> None:
    put(store, new_dedup(store), [(1, 0, 5)], model="")
    assert put(store, new_dedup(store), [(1, 0, 5)], model="iris") == 0


def test_an_inode_used_again_stores_the_new_lines(store: EmbeddedStore) -> None:
    put(store, new_dedup(store), [(1, 0, 5), (1, 10, 6)])
    assert put(store, new_dedup(store), [(1, 0, 500), (1, 10, 600)]) == 2


@pytest.mark.parametrize("recent", [0, 7, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_any_order_repeats_and_restarts_leave_each_line_once(store: EmbeddedStore, recent: int, seed: int) -> None:
    choose = random.Random(seed)
    everything = [(file, offset, 5 + offset // 30) for file in range(3) for offset in range(0, 60, 10)]
    sent = everything * 2
    choose.shuffle(sent)
    dedup = new_dedup(store, recent=recent, files=2)
    while sent:
        size = choose.randint(1, 8)
        put(store, dedup, sent[:size])
        del sent[:size]
        if choose.random() < 0.2:
            dedup = new_dedup(store, recent=recent, files=2)
    assert stored(store) == sorted(everything)


def test_batches_given_up_are_taken_again_after_forgetting(store: EmbeddedStore) -> None:
    dedup = new_dedup(store)
    dedup.fresh(lines_of([(1, 0, 5)]))
    dedup.forget()
    assert put(store, dedup, [(1, 0, 5)]) == 1


def at_offset(lines: pa.Table, offset: int) -> pa.Table:
    """Return the lines as delivered from this Kafka offset on."""
    offsets = pa.array(range(offset, offset + lines.num_rows), pa.uint64())
    return lines.set_column(LINE_SCHEMA.names.index("offset"), LINE_SCHEMA.field("offset"), offsets)


def test_lines_left_behind_by_a_crash_are_not_stored_again_but_arrive(store: EmbeddedStore) -> None:
    lines = at_offset(lines_of([(1, 0, 5), (1, 10, 6)]), 70)
    store.insert("lines", lines)
    store.insert("files", new_dedup(store).fresh(lines).marks)
    more = at_offset(lines_of([(1, 0, 5), (1, 10, 6), (1, 20, 7), (1, 10, 6)]), 70)
    fresh = new_dedup(store).fresh(more)
    assert fresh.lines["file_offset"].to_pylist() == [20]
    assert fresh.arrived["file_offset"].to_pylist() == [0, 10, 20]
    assert fresh.duplicates == 3


def test_lines_sent_again_do_not_arrive_again(store: EmbeddedStore) -> None:
    lines = at_offset(lines_of([(1, 0, 5), (1, 10, 6)]), 70)
    store.insert("lines", lines)
    store.insert("files", new_dedup(store).fresh(lines).marks)
    fresh = new_dedup(store).fresh(at_offset(lines, 700))
    assert (fresh.lines.num_rows, fresh.arrived.num_rows) == (0, 0)


def test_a_line_left_behind_arrives_though_its_repeat_comes_first(store: EmbeddedStore) -> None:
    left = at_offset(lines_of([(1, 0, 5)]), 70)
    store.insert("lines", left)
    store.insert("files", new_dedup(store).fresh(left).marks)
    fresh = new_dedup(store).fresh(pa.concat_tables([at_offset(left, 60), left]).unify_dictionaries().combine_chunks())
    assert fresh.lines.num_rows == 0
    assert fresh.arrived["offset"].to_pylist() == [70]
