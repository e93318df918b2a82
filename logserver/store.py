"""The store as the rest of the program sees it: SQL in, Arrow out; one Protocol for both engines.

Every method blocks: callers run it in a bounded thread pool, never on the event loop. SQL is the same for both
engines; values reach it only as `{name:Type}` parameters. Tables and columns are in `logserver/record.py` and
`logserver/schema/`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

Params = Mapping[str, object]
NO_PARAMS: Params = {}


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one query; zero means no bound.

    `rows` and `result_bytes` bound the result, `read_rows` the rows read from disk for it. `prompt` is for expressions
    that may be slow: the engine then looks at its clock, and for a cancel, after every few rows. `small` is for a query
    that is expected to read little: what would make a large one faster costs it more than it gains.
    """

    time_s: float = 30.0
    rows: int = 0
    result_bytes: int = 0
    memory_bytes: int = 0
    read_rows: int = 0
    prompt: bool = False
    small: bool = False


UNLIMITED = Limits(time_s=0)


class Cancel:
    """Cancels one running select from another thread; cancelling early, late or twice is harmless."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._action: Callable[[], None] | None = None

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def attach(self, action: Callable[[], None] | None) -> None:
        """Set what stops the running query (None when it has ended); runs it at once if already cancelled.

        When this returns, an action set before has finished or will never run: it cannot hit a later query.
        """
        with self._lock:
            self._action = action
            if self._cancelled and action is not None:
                action()

    def cancel(self) -> None:
        """Stop the query: its iterator raises QueryCancelled."""
        with self._lock:
            self._cancelled = True
            if self._action is not None:
                self._action()


class Store(Protocol):
    """SQL in, Arrow out."""

    def select(
        self, sql: str, params: Params = NO_PARAMS, *, limits: Limits = UNLIMITED, cancel: Cancel | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the result in batches as the engine makes them; LowCardinality columns arrive as dictionaries.

        Closing the iterator early ends the query. Raises QueryTimeout, QueryTooLarge, QueryCancelled, Rejected,
        Transient.
        """
        ...

    def insert(self, table: str, rows: pa.Table, *, token: str = "", query_id: str = "") -> None:
        """Insert the rows; again with the same token and the same rows is a no-op. Raises Transient, Rejected."""
        ...

    def execute(self, sql: str, params: Params = NO_PARAMS) -> None:
        """Run a statement without a result. Raises Transient, Rejected."""
        ...

    def close(self) -> None:
        """Release connections and, for the embedded engine, the directory."""
        ...


def read(store: Store, sql: str, params: Params = NO_PARAMS, *, limits: Limits = UNLIMITED) -> list[dict[str, object]]:
    """Return the rows of a small result as dicts (column name -> Python value)."""
    return [row for batch in store.select(sql, params, limits=limits) for row in batch.to_pylist()]
