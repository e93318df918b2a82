"""A native-protocol front over the embedded engine: what `clickhouse-driver` talks to where no server can be had.

The SQL engine behind it is ClickHouse's own; only the wire is ours. One process serves one data directory to many
connections, so several log-servers can share a store as they would share a server. Blocks are converted between the
client's revision and the engine's `Native` format (revision 0: no block info, no serialization byte) by the driver's
own codec, so every column is parsed by the engine on one side and by the driver on the other.

Left out on purpose: external tables, totals, progress packets, distributed queries. Query ids do not exist in the
embedded engine, so each statement carries its id in a comment and `query_id` in a statement on `system.processes`
or in a `KILL QUERY` reads it from there.

Protocol: ClickHouse `src/Server/TCPHandler.cpp`, `src/Core/Protocol.h`.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chdb._exceptions import ChdbError  # the one raised; `chdb.ChdbError` is another class
from chdb.session import Session
from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.bufferedreader import BufferedSocketReader
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.compression.lz4 import Compressor
from clickhouse_driver.reader import read_binary_str, read_binary_uint8, read_binary_uint64, read_binary_uint128
from clickhouse_driver.streams.compressed import CompressedBlockInputStream, CompressedBlockOutputStream
from clickhouse_driver.streams.native import BlockInputStream, BlockOutputStream
from clickhouse_driver.varint import read_varint, write_varint
from clickhouse_driver.writer import write_binary_int32, write_binary_str, write_binary_uint8

from tests.parts.native_wire import (
    BUFFER_BYTES,
    REVISION,
    WIRE,
    NativeBuffer,
    decode_native,
    keep_times_whole,
    write_header,
)

CLIENT_HELLO, CLIENT_QUERY, CLIENT_DATA, CLIENT_CANCEL, CLIENT_PING = range(5)
SERVER_HELLO, SERVER_DATA, SERVER_EXCEPTION, SERVER_PONG, SERVER_END, SERVER_PROFILE_EVENTS = 0, 1, 2, 4, 5, 14
AUTHENTICATION_FAILED = 516

_INSERT = re.compile(r"^\s*INSERT\s+INTO\s+(?P<into>.+?)(?:\s+(VALUES|FORMAT\s+\w+))?\s*;?\s*$", re.I | re.S)  # noqa: FURB167
_READS_ROWS = re.compile(r"^\s*(SELECT|WITH|SHOW|DESCRIBE|DESC|EXISTS|EXPLAIN)\b", re.IGNORECASE)
_PROCESSES = re.compile(r"system\.processes|KILL\s+QUERY", re.IGNORECASE)
_QUERY_ID_OF_COMMENT = "extract(query, 'query-id=([^ ]*) ')"
_ERROR_CODE = re.compile(r"Code: (\d+)")


@dataclass(slots=True)
class Query:
    """One statement as the client sent it."""

    text: str
    query_id: str
    settings: dict[str, str]
    params: dict[str, str]
    compressed: bool


@dataclass(slots=True)
class Engine:
    """The data directory that all connections share, and who may use it."""

    path: Path
    user: str = "default"
    password: str = ""


class Connection:
    """One client connection: hello, then statements until it leaves."""

    def __init__(self, sock: socket.socket, engine: Engine) -> None:
        self._in = BufferedSocketReader(sock, BUFFER_BYTES)
        self._out = BufferedSocketWriter(sock, BUFFER_BYTES)
        self._sock = sock
        self._engine = engine
        self._session = Session(str(engine.path))  # one session runs one statement at a time

    def serve(self) -> None:
        """Answer packets until the client hangs up."""
        if not self._hello():
            return
        while True:
            packet = read_varint(self._in)
            if packet == CLIENT_PING:
                write_varint(SERVER_PONG, self._out)
                self._out.flush()
            elif packet == CLIENT_QUERY:
                self._answer(self._read_query())
            elif packet != CLIENT_CANCEL:
                raise ValueError(f"unexpected packet {packet}")

    def close(self) -> None:
        """Give the engine's session back."""
        self._session.close()

    def _hello(self) -> bool:
        if read_varint(self._in) != CLIENT_HELLO:
            raise ValueError("the first packet must be Hello")
        read_binary_str(self._in)
        for _ in range(3):
            read_varint(self._in)
        read_binary_str(self._in)
        user, password = read_binary_str(self._in), read_binary_str(self._in)
        if (user, password) != (self._engine.user, self._engine.password):
            self._exception(AUTHENTICATION_FAILED, f"{user}: Authentication failed")
            return False
        write_varint(SERVER_HELLO, self._out)
        write_binary_str("ClickHouse", self._out)
        for number in (26, 9, REVISION):
            write_varint(number, self._out)
        write_binary_str("UTC", self._out)
        write_binary_str("native-front", self._out)
        write_varint(1, self._out)
        self._out.flush()
        read_binary_str(self._in)  # the addendum: the quota key
        return True

    def _read_query(self) -> Query:
        query_id = read_binary_str(self._in)
        self._skip_client_info()
        settings = self._read_settings()
        read_binary_str(self._in)  # interserver secret
        read_varint(self._in)  # stage
        compressed = bool(read_varint(self._in))
        text = read_binary_str(self._in)
        params = {name: _unquote(value) for name, value in self._read_settings().items()}
        query = Query(text, query_id, settings, params, compressed)
        self._read_block(query)  # the end of the external tables
        return query

    def _skip_client_info(self) -> None:
        if read_binary_uint8(self._in) == 0:
            return
        for _ in range(3):
            read_binary_str(self._in)
        read_binary_uint64(self._in)
        read_binary_uint8(self._in)
        for _ in range(3):
            read_binary_str(self._in)
        for _ in range(3):
            read_varint(self._in)
        read_binary_str(self._in)
        read_varint(self._in)
        read_varint(self._in)
        if read_binary_uint8(self._in):
            read_binary_uint128(self._in)
            read_binary_uint64(self._in)
            read_binary_str(self._in)
            read_binary_uint8(self._in)
        for _ in range(3):
            read_varint(self._in)

    def _read_settings(self) -> dict[str, str]:
        settings: dict[str, str] = {}
        while name := read_binary_str(self._in):
            read_binary_uint8(self._in)
            settings[name] = read_binary_str(self._in)
        return settings

    def _answer(self, query: Query) -> None:
        try:
            insert = _INSERT.match(query.text)
            if insert and not re.search(r"\bSELECT\b", query.text, re.IGNORECASE):
                self._insert(query, insert["into"])
            else:
                self._run(query)
        except ChdbError as error:
            code = _ERROR_CODE.search(str(error))
            self._exception(int(code[1]) if code else 1000, str(error))
            return
        write_varint(SERVER_END, self._out)
        self._out.flush()

    def _insert(self, query: Query, into: str) -> None:
        structure = self._session.query(f"DESCRIBE TABLE {into.split('(', maxsplit=1)[0]}", "Native").bytes()
        described = next(decode_native(structure))
        names, types = (list(map(_text, column)) for column in described.get_columns()[:2])
        wanted = [c.strip(' `"') for c in into.split("(", 1)[1].rsplit(")", 1)[0].split(",")] if "(" in into else names
        kinds = dict(zip(names, types, strict=True))
        self._write_block(ColumnOrientedBlock([(name, kinds[name]) for name in wanted]), query)
        buffer = NativeBuffer()
        while (block := self._read_block(query)).num_rows:
            buffer.add(block)
            self._profile_events()
        if buffer.rows:
            statement = f"INSERT INTO {into} {_settings_clause(query.settings)}{_comment(query)}"
            with self._session.send_insert(statement, "Native") as target:
                target.append(buffer.content())
                target.finish()
        self._profile_events()

    def _run(self, query: Query) -> None:
        text = query.text.rstrip().rstrip(";")
        if _PROCESSES.search(text):
            text = re.sub(r"\bquery_id\b", _QUERY_ID_OF_COMMENT, text)
        if not _READS_ROWS.match(text):
            self._session.query(text + _comment(query), "Native", params=query.params or None)
            self._write_block(ColumnOrientedBlock([]), query)
            return
        text += f" {_settings_clause(query.settings)}{_comment(query)}"
        with self._session.send_query(text, "Native", params=query.params or None) as chunks:
            for chunk in chunks:
                for block in decode_native(chunk.bytes()):
                    self._write_block(block, query)
        self._write_block(ColumnOrientedBlock([]), query)

    def _read_block(self, query: Query) -> Any:
        if read_varint(self._in) != CLIENT_DATA:
            raise ValueError("expected a block of data")
        read_binary_str(self._in)
        reader = CompressedBlockInputStream if query.compressed else BlockInputStream
        return reader(self._in, WIRE).read()

    def _write_block(self, block: Any, query: Query) -> None:
        write_varint(SERVER_DATA, self._out)
        write_binary_str("", self._out)
        stream = (
            CompressedBlockOutputStream(Compressor, BUFFER_BYTES, self._out, WIRE)
            if query.compressed
            else BlockOutputStream(self._out, WIRE)
        )
        if block.num_rows:
            stream.write(block)
        else:
            write_header(stream, block.columns_with_types)
        self._out.flush()

    def _profile_events(self) -> None:
        """Answer a block of an INSERT: from revision 54456 on the client waits for these counters after each."""
        write_varint(SERVER_PROFILE_EVENTS, self._out)
        write_binary_str("", self._out)
        write_header(BlockOutputStream(self._out, WIRE), [])

    def _exception(self, code: int, message: str) -> None:
        write_varint(SERVER_EXCEPTION, self._out)
        write_binary_int32(code, self._out)
        for text in ("DB::Exception", message, ""):
            write_binary_str(text, self._out)
        write_binary_uint8(0, self._out)
        self._out.flush()


def _comment(query: Query) -> str:
    return f" /* query-id={re.sub(r'[^0-9A-Za-z_.:-]', '_', query.query_id)} */"


def _settings_clause(settings: dict[str, str]) -> str:
    pairs = ", ".join(f"{name} = '{value.replace(chr(39), chr(92) + chr(39))}'" for name, value in settings.items())
    return f"SETTINGS {pairs}" if pairs else ""


def _unquote(dumped: str) -> str:
    """Undo the quoting of a dumped string field; what is left is the engine's escaped parameter text."""
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), dumped[1:-1])


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class Handler(socketserver.BaseRequestHandler):
    """Serves one connection in its own thread."""

    server: Front

    def handle(self) -> None:
        sock = self.request
        if self.server.tls is not None:
            sock = self.server.tls.wrap_socket(sock, server_side=True)
        connection = Connection(sock, self.server.engine)
        try:
            connection.serve()
        except (EOFError, ConnectionError):
            return
        finally:
            connection.close()


class Front(socketserver.ThreadingTCPServer):
    """The listening front on loopback."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, engine: Engine, tls: ssl.SSLContext | None = None) -> None:
        self.engine = engine
        self.tls = tls
        super().__init__(("127.0.0.1", port), Handler)


@contextlib.contextmanager
def native_front(path: Path, *arguments: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run a front over this data directory in its own process; yields (port, process). Killed on leaving."""
    command = [sys.executable, "-m", "tests.parts.native_front", "--path", str(path), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1])
        yield port, process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def main() -> None:
    """Serve until terminated; prints `listening PORT` when ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    parser.add_argument("--certificate", type=Path, help="PEM with key and certificate: speak TLS")
    arguments = parser.parse_args()
    tls = None
    if arguments.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(arguments.certificate)
    keep_times_whole()
    engine = Engine(arguments.path, arguments.user, arguments.password)
    with Front(arguments.port, engine, tls) as front:
        print(f"listening {front.server_address[1]}", flush=True)  # noqa: T201 - the parent waits for it
        threading.Thread(target=front.serve_forever, name="front", daemon=True).start()
        threading.Event().wait()


if __name__ == "__main__":
    main()
