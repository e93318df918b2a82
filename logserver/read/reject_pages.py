"""Rejected documents, page by page, the newest first.

The order is (received, topic, partition, offset), total because a document has one position; the cursor is the place of
a page's last document, so pages neither repeat nor miss one while others arrive. A document that was delivered twice is
shown once (FINAL), with the later time: it moves to the front.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from logserver.query import Statement
from logserver.query.cursor import RejectCursor
from logserver.read.reader import Reader
from logserver.times import EARLIEST_NS, LATEST_NS, TimeRange

_PLACE = "received_at, topic, partition, offset"
_NEWEST_FIRST = "ORDER BY received_at DESC, topic DESC, partition DESC, offset DESC"


@dataclass(frozen=True, slots=True)
class RejectedDocument:
    """A document that could not become a line, and why."""

    place: RejectCursor
    reason: str
    detail: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class RejectPage:
    """Documents, the newest first; `next` continues after them, None when there are no more.

    `by_reason` counts the whole range, whatever the page.
    """

    documents: list[RejectedDocument]
    next: RejectCursor | None
    by_reason: dict[str, int]


async def read_rejects(
    reader: Reader,
    time: TimeRange,
    *,
    reasons: Sequence[str],
    topics: Sequence[str],
    cursor: RejectCursor | None,
    limit: int,
) -> RejectPage:
    """Return a page; no reasons or topics means all of them; huge documents make it shorter than `limit`.

    Raises what `Reader.rows` raises.
    """
    statement = _wanted(time, reasons, topics)
    counted = await reader.rows(
        f"SELECT reason, count() AS documents FROM rejects FINAL {statement.where_final} GROUP BY reason",  # noqa: S608 (bound)
        statement.params,
    )
    by_reason = {row["reason"]: row["documents"] for row in counted.to_pylist()}
    if cursor is not None:
        _add_cursor(statement, cursor)

    def query(rows_max: int) -> tuple[str, dict[str, object]]:
        return _documents(statement, rows_max)

    rows, more = await reader.rows_up_to(limit + 1, query)
    documents = [
        RejectedDocument(
            RejectCursor(row["received_ms"], row["topic"], row["partition"], row["offset"]),
            row["reason"],
            row["detail"],
            base64.b64decode(row["raw"]),
        )
        for row in rows.to_pylist()[:limit]
    ]
    return RejectPage(documents, documents[-1].place if more else None, by_reason)


def _documents(statement: Statement, rows_max: int) -> tuple[str, dict[str, object]]:
    # The documents themselves are read for one page alone.
    sql = (
        "SELECT toUnixTimestamp64Milli(received_at) AS received_ms, topic, partition, offset, reason, detail, "  # noqa: S608
        f"base64Encode(raw) AS raw FROM rejects WHERE ({_PLACE}) IN "
        f"(SELECT {_PLACE} FROM rejects FINAL {statement.where_final} {_NEWEST_FIRST} LIMIT {{rows_max:UInt64}}) "
        f"{_NEWEST_FIRST} LIMIT 1 BY {_PLACE}"
    )
    return sql, {**statement.params, "rows_max": rows_max}


def _wanted(time: TimeRange, reasons: Sequence[str], topics: Sequence[str]) -> Statement:
    statement = Statement()
    for sign, bound, open_end in ((">=", time.start_ns, EARLIEST_NS), ("<", time.end_ns, LATEST_NS)):
        if bound != open_end:
            statement.add(f"received_at {sign} {_instant(statement, -(-bound // 10**6))}")
    for column, wanted in (("reason", reasons), ("topic", topics)):
        if wanted:
            statement.add(f"{column} IN ({statement.bind('Array(String)', list(wanted))})")
    return statement


def _add_cursor(statement: Statement, cursor: RejectCursor) -> None:
    place = (
        f"{_instant(statement, cursor.received_ms)}, {statement.bind('String', cursor.topic)}, "
        f"{statement.bind('UInt32', cursor.partition)}, {statement.bind('UInt64', cursor.offset)}"
    )
    statement.add(f"({_PLACE}) < ({place})")


def _instant(statement: Statement, value_ms: int) -> str:
    return f"fromUnixTimestamp64Milli({statement.bind('Int64', value_ms)}, 'UTC')"
