"""The server engine: ClickHouse servers over their native protocol. The only importer of clickhouse_driver.

Connections are a bounded pool; one whose statement did not end by itself is closed. Results stream as Arrow. Two things
are put right on the way: the driver cuts DateTime64 to microseconds, so such columns travel as integers (a statement
seen for the first time is begun twice, to learn its columns), and LowCardinality, which it sends as plain strings,
becomes dictionaries again. Inserts send columns: text as bytes, times as integers, in one block.

A statement that fails on the way has an unknown outcome and is Transient: callers repeat inserts with the same token.
"""

from __future__ import annotations

import contextlib
import queue
import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from clickhouse_driver import Client
from clickhouse_driver import errors as driver

from logserver.engines import CANCELLED_CODES, TIMEOUT_CODES, TOO_LARGE_CODES, TRANSIENT_CODES, limit_settings
from logserver.errors import LogServerError, QueryCancelled, QueryTimeout, QueryTooLarge, Rejected, Transient
from logserver.record import NAME
from logserver.settings import StoreSettings
from logserver.store import NO_PARAMS, UNLIMITED, Cancel, Limits, Params

STATEMENTS_MAX = 1000
INSERT_BLOCK_ROWS = 1_000_000
_PORTS = {"clickhouse": 9000, "clickhouses": 9440}
_DATETIME64 = re.compile(r"DateTime64\((\d)")
_TO_INTEGER = {"3": "toUnixTimestamp64Milli", "6": "toUnixTimestamp64Micro", "9": "toUnixTimestamp64Nano"}
_UNITS = {"3": "ms", "6": "us", "9": "ns"}

Columns = tuple[tuple[str, str], ...]  # (name, ClickHouse type)


class ServerStore:
    """A Store on a ClickHouse server; see the module's text. Raises ValueError for a URL that is none."""

    def __init__(self, settings: StoreSettings) -> None:
        self._options = connection_options(settings)
        self._idle: queue.LifoQueue[Client | None] = queue.LifoQueue()
        for _ in range(settings.connections):
            self._idle.put(None)
        self._columns: dict[str, Columns] = {}

    def select(
        self, sql: str, params: Params = NO_PARAMS, *, limits: Limits = UNLIMITED, cancel: Cancel | None = None
    ) -> pa.Table:
        """See Store.select."""
        query_id = f"milepost-read:{uuid.uuid4().hex}"
        with self._client() as client, _translated(), (cancel or Cancel()).over(lambda: self._kill(query_id)):
            reader, columns = self._open(client, sql, params, query_id, limits)
            return _restored(reader.read_all(), columns).unify_dictionaries()

    def insert(self, table: str, rows: pa.Table, *, token: str = "", query_id: str = "") -> None:
        """See Store.insert."""
        columns = ", ".join(f"`{name}`" for name in rows.column_names)
        settings = {"insert_deduplication_token": token} if token else {}
        data = [_driver_column(rows[name]) for name in rows.column_names]
        with self._client() as client, _translated():
            client.execute(
                f"INSERT INTO {table} ({columns}) VALUES",
                data,
                columnar=True,
                query_id=query_id or None,
                settings=settings,
            )

    def execute(self, sql: str, params: Params = NO_PARAMS) -> None:
        """See Store.execute."""
        with self._client() as client, _translated():
            client.execute(sql, dict(params) or None)

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        with contextlib.suppress(queue.Empty):
            while True:
                client = self._idle.get_nowait()
                if client is not None:
                    client.disconnect()

    def _open(
        self, client: Client, sql: str, params: Params, query_id: str, limits: Limits
    ) -> tuple[pa.RecordBatchReader, Columns]:
        """Return the running result; a statement seen for the first time starts anew when it has times."""
        options = {"params": dict(params) or None, "query_id": query_id, "settings": limit_settings(limits)}
        known = self._columns.get(sql, ())
        reader = client.query_arrow_stream(_as_integers(sql, known), **options)
        if known:
            return reader, known
        columns = tuple((field.name, _kind(field)) for field in reader.schema)
        if _has_times(columns):
            if len(self._columns) >= STATEMENTS_MAX:
                self._columns.clear()
            self._columns[sql] = columns
            reader = client.query_arrow_stream(_as_integers(sql, columns), **options)
        return reader, columns

    def _kill(self, query_id: str) -> bool:
        """End a read; on a connection of its own, since the pool may be all in use."""
        client = Client(**self._options)
        try:
            return bool(client.execute("KILL QUERY WHERE query_id = {id:String} ASYNC", {"id": query_id}))
        finally:
            client.disconnect()

    @contextlib.contextmanager
    def _client(self) -> Iterator[Client]:
        client, ended = self._idle.get(), False
        try:
            if client is None:
                client = Client(**self._options)
            yield client
            ended = True
        finally:
            if client is not None and not ended:
                client.disconnect()
                client = None
            self._idle.put(client)


def connection_options(settings: StoreSettings) -> dict[str, Any]:
    """Return the driver's options for the settings; raises ValueError, naming the URL, when it is not one of ours."""
    url = urlsplit(settings.url)
    if url.scheme not in _PORTS or not url.hostname:
        raise ValueError(
            f"store.url is {url.scheme}://{url.hostname or ''}…; write clickhouse://user@host:9000/database, or "
            "clickhouses:// for TLS"
        )
    options: dict[str, Any] = {
        "host": url.hostname,
        "port": url.port or _PORTS[url.scheme],
        "database": url.path.strip("/") or "default",
        "user": unquote(url.username or "default"),
        "password": settings.password or unquote(url.password or ""),
        "secure": url.scheme == "clickhouses",
        "connect_timeout": min(10, settings.timeout),
        "send_receive_timeout": settings.timeout,
        "compression": "lz4",
        "client_name": "milepost",
        "settings": {
            "server_side_params": True,
            "strings_as_bytes": True,
            "insert_block_size": INSERT_BLOCK_ROWS,
            "optimize_on_insert": 0,  # batches hold no repeats
        },
    }
    if settings.ca_file:
        options["ca_certs"] = settings.ca_file
    return options


def _as_integers(sql: str, columns: Columns) -> str:
    """Return the statement with its DateTime64 columns as integers; as it is when there are none."""
    if not _has_times(columns):
        return sql
    shown = ", ".join(_wire(name, kind) for name, kind in columns)
    return f"SELECT {shown} FROM ({sql})"  # noqa: S608 (names the server gave)


def _wire(name: str, kind: str) -> str:
    quoted = "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
    found = _DATETIME64.match(kind)
    return f"{_TO_INTEGER[found[1]]}({quoted}) AS {quoted}" if found else quoted


def _restored(rows: pa.Table, columns: Columns) -> pa.Table:
    arrays = []
    for array, (_, kind) in zip(rows.columns, columns, strict=True):
        if found := _DATETIME64.match(kind):
            arrays.append(array.cast(pa.timestamp(_UNITS[found[1]], "UTC")))
        elif kind == "LowCardinality(String)":
            arrays.append(array.cast(pa.string()).dictionary_encode().cast(NAME))
        else:
            arrays.append(_as_text(array))
    return pa.Table.from_arrays(arrays, names=[name for name, _ in columns])


def _as_text(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text as Arrow strings, also inside lists; bytes that are no text stay bytes."""
    if pa.types.is_binary(array.type):
        target = pa.string()
    elif pa.types.is_list(array.type) and pa.types.is_binary(array.type.value_type):
        target = pa.list_(pa.string())
    else:
        return array
    try:
        return array.cast(target)
    except pa.ArrowInvalid:
        return array


def _driver_column(column: pa.ChunkedArray) -> list[Any]:
    """Return a column as the driver writes it: text as bytes, times as integers."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type):
        column = column.cast(pa.binary())
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values


def _kind(field: pa.Field) -> str:
    kind: bytes = (field.metadata or {}).get(b"clickhouse_type", b"")
    return kind.decode()


def _has_times(columns: Columns) -> bool:
    return any(_DATETIME64.match(kind) for _, kind in columns)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except driver.ServerException as error:
        raise _translate(error) from error
    except (
        driver.NetworkError,
        driver.SocketTimeoutError,
        driver.UnexpectedPacketFromServerError,
        EOFError,
        OSError,
    ) as error:
        raise Transient(f"the store's server does not answer: {error}") from error
    except driver.Error as error:
        raise Rejected(f"the driver: {error}") from error


def _translate(error: driver.ServerException) -> LogServerError:
    for codes, cls in (
        (TIMEOUT_CODES, QueryTimeout),
        (TOO_LARGE_CODES, QueryTooLarge),
        (CANCELLED_CODES, QueryCancelled),
        (TRANSIENT_CODES, Transient),
    ):
        if error.code in codes:
            return cls(error.message)
    return Rejected(error.message)
