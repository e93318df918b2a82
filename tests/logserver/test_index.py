"""The indexes only skip data: every query finds the same lines with them and without."""

from __future__ import annotations

import random
from typing import Any

import pytest

from logserver.engines.embedded import EmbeddedStore
from logserver.query import LINE_COLUMNS, page
from logserver.query.cursor import PageCursor
from logserver.query.filters import Selection, select
from logserver.store import read
from logserver.times import TimeRange
from tests.logserver.rows import BASE_NS, line_rows

PARTS = 40
LINES = 25
WORDS = ("predict", "timed", "out", "GiB", "batch-17", "GET", "get", "error=5", "OOMKilled", "straße", "x", "id")

SELECTIONS: dict[str, Selection] = {
    "everything": Selection(),
    "a pod": select([("namespace", ["risk"]), ("pod", ["pod-3"])]),
    "a model": select([("model", ["model-1"])]),
    "pods by pattern, but one": select([("pod", ["pod-?", "!pod-2"])]),
    "a level": select([("level", ["error"])]),
    "a trace": select(trace_id="trace-77"),
    "a word": select(words=["OOMKilled"]),
    "two words": select(words=["timed out"]),
    "a word beyond ASCII": select(words=["straße"]),
    "a substring with a whole word inside": select(contains=["d out G"]),
    "a substring within words": select(contains=["MKil"]),
    "what is left out": select(excludes=["predict"]),
    "a regex with certain words": select(regexes=[r"(timed|GET) out \w+"]),
    "a regex with alternatives": select(regexes=[r"(timed|OOMKilled) (out|GiB)"]),
    "a regex without literals": select(regexes=[r"\d{2}"]),
    "folded case": select(contains=["gib GET"], ignore_case=True),
    "a folded regex": select(regexes=["(?i)oomkilled get"]),
    "nothing": select(words=["nowhere"]),
}


@pytest.fixture
def store(lines_store: EmbeddedStore) -> EmbeddedStore:
    """Many parts, each of which an index can skip: words, models, traces, times and offsets differ by part."""
    rng = random.Random(5)
    lines_store.execute("SYSTEM STOP MERGES lines")
    for part in range(PARTS):
        words = rng.sample(WORDS, 4)
        rows: list[dict[str, Any]] = [
            {
                "ts": BASE_NS + part * 10**9 + number,
                "namespace": "risk" if part % 2 else "sales",
                "pod": f"pod-{part % 5}",
                "model": f"model-{part % 3}",
                "level": rng.choice(("info", "error")),
                "trace_id": f"trace-{part * 2 + number % 2}" if part % 4 == 2 else "",
                "message": " ".join(rng.choices(words, k=5)),
                "offset": part * LINES + number,
                "file_offset": part * LINES + number,
            }
            for number in range(LINES)
        ]
        lines_store.insert("lines", line_rows(rows))
    return lines_store


def test_every_query_finds_the_same_with_the_indexes_and_without(store: EmbeddedStore) -> None:
    some = TimeRange(BASE_NS + 11 * 10**9, BASE_NS + 23 * 10**9 + 7)
    after = PageCursor(BASE_NS + 20 * 10**9 + 3, 7, 20 * LINES + 3)
    for name, selection in SELECTIONS.items():
        for time, cursor in ((TimeRange(), None), (some, None), (some, after)):
            sql, params = page(selection, time, cursor=cursor, direction="backward", limit=PARTS * LINES)
            found = offsets(store, sql, params, "use_skip_indexes = 1")
            assert found == offsets(store, sql, params, "use_skip_indexes = 0, use_primary_key = 0"), name
            if time == TimeRange():
                assert bool(found) == (name != "nothing"), name


def test_the_indexes_skip_what_they_are_for(store: EmbeddedStore) -> None:
    for name in ("a pod", "a model", "a trace", "a word", "a regex with certain words"):
        sql, params = page(SELECTIONS[name], TimeRange(), cursor=None, direction="backward", limit=10)
        assert granules(store, sql, params) < PARTS, name
    sql, params = page(Selection(), TimeRange(BASE_NS, BASE_NS + 10**9), cursor=None, direction="backward", limit=10)
    assert granules(store, sql, params) == 1


def offsets(store: EmbeddedStore, sql: str, params: dict[str, object], settings: str) -> list[object]:
    """Return the offsets of the lines that a statement finds; nothing is remembered from the statement before."""
    places = sql.replace(LINE_COLUMNS, "offset")
    rows = read(store, f"SELECT offset FROM ({places} SETTINGS {settings}, use_query_condition_cache = 0)", params)  # noqa: S608
    return [row["offset"] for row in rows]


def granules(store: EmbeddedStore, sql: str, params: dict[str, object]) -> int:
    """Return the granules that are left to read."""
    [row] = read(store, f"SELECT sum(marks) AS marks FROM (EXPLAIN ESTIMATE {sql})", params)  # noqa: S608
    return int(str(row["marks"]))
