"""The store as the rest of the program sees it: SQL in, Arrow out; one Protocol for both engines.

Every method blocks: callers run it in a bounded thread pool, never on the event loop. SQL is the same for both
engines; values reach it only as `{name:Type}` parameters. Tables and columns are in `logserver/record.py` and
`logserver/schema/`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from logserver.errors import QueryCancelled

Params = Mapping[str, object]
NO_PARAMS: Params = {}
LOOK_AGAIN_S = 0.05


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
    """Cancels one select from another thread; cancelling early, late or twice is harmless."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._cancelled = False
        self._kill: Callable[[], bool] | None = None

    @contextlib.contextmanager
    def over(self, kill: Callable[[], bool]) -> Iterator[None]:
        """Run the select inside; `kill` ends it and says whether it was found. Raises QueryCancelled.

        When this is left, `kill` has returned or will never be called: it cannot hit a later query.
        """
        with self._lock:
            self._raise_if_cancelled()
            self._kill = kill
        try:
            yield
            self._raise_if_cancelled()
        finally:
            self._ended.set()
            with self._lock:
                self._kill = None

    def cancel(self) -> None:
        """Stop the select; one that the store does not know yet is looked for until it does, or has ended."""
        with self._lock:
            self._cancelled = True
            while self._kill is not None and not self._ended.is_set() and not self._kill():
                self._ended.wait(LOOK_AGAIN_S)

    def _raise_if_cancelled(self) -> None:
        if self._cancelled:
            raise QueryCancelled("the caller cancelled the query")


class Store(Protocol):
    """SQL in, Arrow out."""

    def select(
        self, sql: str, params: Params = NO_PARAMS, *, limits: Limits = UNLIMITED, cancel: Cancel | None = None
    ) -> pa.Table:
        """Return the whole result; LowCardinality columns are dictionaries, one for the whole column.

        A result without rows may have no columns either.
        Raises QueryTimeout, QueryTooLarge, QueryCancelled, Rejected, Transient.
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
    rows: list[dict[str, object]] = store.select(sql, params, limits=limits).to_pylist()
    return rows
