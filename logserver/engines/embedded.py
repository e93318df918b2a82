"""The embedded engine: chDB, a ClickHouse inside this process, on one directory. The only importer of chdb.

Facts this file rests on (chdb 4.4, measured): several sessions of one path share one engine, each runs one query at a
time and releases the GIL, so a small pool of sessions serves all threads; `Python(name)` in SQL reads the Arrow table
that the local variable `name` of the calling Python frame holds, without a copy; query parameters are read as
TabSeparated text, so their values are escaped like a TSV field; a query is ended by KILL QUERY from a session of its
own, found by its `log_comment` (a query id cannot be chosen).

One directory belongs to one process, kept by a file lock: this is what keeps a zombie from writing.
"""

from __future__ import annotations

import contextlib
import fcntl
import queue
import re
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from chdb.session import Session

from logserver.engines import CANCELLED_CODES, TIMEOUT_CODES, TOO_LARGE_CODES, TRANSIENT_CODES, limit_settings
from logserver.engines.literal import parameter_text, quoted
from logserver.errors import Fatal, LogServerError, QueryCancelled, QueryTimeout, QueryTooLarge, Rejected, Transient
from logserver.store import NO_PARAMS, UNLIMITED, Cancel, Limits, Params

ARROW_SETTINGS = (
    "output_format_arrow_low_cardinality_as_dictionary = 1, output_format_arrow_use_signed_indexes_for_dictionary = 1, "
    "output_format_arrow_compression_method = 'none', output_format_arrow_date_as_uint16 = 0"
)
# Batches hold no repeats: looking for them in every block again costs a third of an insert. And no nulls: to put a
# column's default in their place, the engine works it out for every row.
INSERT_SETTINGS = "max_insert_threads = 1, max_threads = 1, optimize_on_insert = 0, insert_null_as_default = 0"
_ERROR_CODE = re.compile(r"Code: (\d+)")


class EmbeddedStore:
    """A Store on a directory of this machine; see the module's text."""

    def __init__(self, directory: Path, *, sessions: int = 8, memory_bytes_max: int = 0) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock(directory)
        arguments = f"?max_server_memory_usage={memory_bytes_max}" if memory_bytes_max else ""
        self._address = f"{directory}/engine{arguments}"
        self._idle: queue.LifoQueue[Session] = queue.LifoQueue()
        self._sessions = [Session(self._address) for _ in range(sessions)]
        self._killer = Session(self._address)
        self._killing = threading.Lock()
        for session in self._sessions:
            self._idle.put(session)

    def select(
        self, sql: str, params: Params = NO_PARAMS, *, limits: Limits = UNLIMITED, cancel: Cancel | None = None
    ) -> pa.Table:
        """See Store.select."""
        tag = uuid.uuid4().hex
        settings = limit_settings(limits) | {"log_comment": tag}
        statement = f"{sql} SETTINGS {ARROW_SETTINGS}, {', '.join(map(_setting, settings.items()))}"
        with self._session() as session, _translated(), (cancel or Cancel()).over(lambda: self._kill(tag)):
            return _table(session.query(statement, "ArrowStream", params=_texts(params))).unify_dictionaries()

    def insert(self, table: str, rows: pa.Table, *, token: str = "", query_id: str = "") -> None:
        """See Store.insert; `query_id` is of no use in one process."""
        del query_id
        rows = rows.combine_chunks()  # the token is remembered block by block, and a chunk is a block
        columns = ", ".join(f"`{name}`" for name in rows.column_names)
        settings = INSERT_SETTINGS + (f", insert_deduplication_token = {quoted(token)}" if token else "")
        with self._session() as session, _translated():
            statement = f"INSERT INTO {table} ({columns}) SELECT {columns} FROM Python(rows)"  # noqa: S608 (names of ours)
            session.query(f"{statement} SETTINGS {settings}", "Null")

    def transform(self, sql: str, rows: pa.Table) -> pa.Table:
        """Return the result of a SELECT over `Python(rows)`, in the order of the rows."""
        with self._session() as session, _translated():
            return _transformed(session, sql, rows)

    def execute(self, sql: str, params: Params = NO_PARAMS) -> None:
        """See Store.execute."""
        with self._session() as session, _translated():
            session.query(sql, "Null", params=_texts(params))

    def close(self) -> None:
        """End the sessions and give the directory back."""
        for session in (*self._sessions, self._killer):
            session.close()
        self._lock_file.close()

    def _kill(self, tag: str) -> bool:
        """End the query with this comment; on a session of its own, since the pool may be all in use."""
        with self._killing:
            found = self._killer.query(f"KILL QUERY WHERE Settings['log_comment'] = '{tag}' ASYNC", "TSV")
            return bool(found.bytes())

    def _renewed(self, session: Session) -> Session:
        """Replace a session whose query failed: what it had written stands in front of its next result (measured)."""
        session.close()
        fresh = Session(self._address)
        self._sessions[self._sessions.index(session)] = fresh
        return fresh

    @contextlib.contextmanager
    def _session(self) -> Iterator[Session]:
        session, ended = self._idle.get(), False
        try:
            yield session
            ended = True
        finally:
            self._idle.put(session if ended else self._renewed(session))


class Scratch:
    """An engine without tables, for decoding beside a server; one per process, in memory."""

    def __init__(self) -> None:
        self._session = Session(":memory:")
        self._busy = threading.Lock()

    def transform(self, sql: str, rows: pa.Table) -> pa.Table:
        """As EmbeddedStore.transform; one at a time."""
        with self._busy, _translated():
            return _transformed(self._session, sql, rows)

    def close(self) -> None:
        """End the engine."""
        self._session.close()


def _transformed(session: Session, sql: str, rows: pa.Table) -> pa.Table:
    # `rows` is what the statement's `Python(rows)` reads: the engine looks for the name in this frame.
    statement = f"{sql} SETTINGS max_threads = 1, compile_expressions = 0, {ARROW_SETTINGS}"
    return _table(session.query(statement, "ArrowStream"))


def _table(result: Any) -> pa.Table:
    """Return the rows of a result in the format ArrowStream."""
    return pa.ipc.open_stream(pa.py_buffer(result.bytes())).read_all()


def _lock(directory: Path) -> IO[str]:
    """Return the locked file of the directory; raises Fatal when another process holds it."""
    file = (directory / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise Fatal(
            f"{directory} is in use by another log-server; give each its own --store-path or use a server"
        ) from error
    return file


def _texts(params: Params) -> dict[str, str]:
    return {name: parameter_text(value) for name, value in params.items()}


def _setting(item: tuple[str, int | float | str]) -> str:
    name, value = item
    return f"{name} = {quoted(value) if isinstance(value, str) else value}"


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Translate the engine's errors; chdb has two classes named ChdbError, both are RuntimeErrors."""
    try:
        yield
    except RuntimeError as error:
        raise _translate(str(error)) from error


def _translate(message: str) -> LogServerError:
    found = _ERROR_CODE.search(message)
    code = int(found[1]) if found else 0
    for codes, cls in _ERRORS:
        if code in codes:
            return cls(message)
    return Rejected(message)


_ERRORS: tuple[tuple[frozenset[int], type[LogServerError]], ...] = (
    (TIMEOUT_CODES, QueryTimeout),
    (TOO_LARGE_CODES, QueryTooLarge),
    (CANCELLED_CODES, QueryCancelled),
    (TRANSIENT_CODES, Transient),
)
