"""A gateway before the real HDFS, as HttpFS is one: it fetches from the datanodes itself. And it can lie and break.

What it serves comes from the real cluster; a fault of `faults[operation]` is used up by one request each.
"""

from __future__ import annotations

import ssl
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

STANDBY = b'{"RemoteException":{"exception":"StandbyException","message":"Operation category READ is not supported"}}'
PIECE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do to one answer: another status and body, a cut, a changed byte, or a wait between pieces."""

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    flip_at: int | None = None
    pause_s: float = 0
    before: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: operation, path and the rest of it."""

    operation: str
    path: str
    offset: int
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]


class Gateway:
    """A context manager; `tls` is (certificate, key)."""

    def __init__(self, namenode: str, *, tls: tuple[Path, Path] | None = None) -> None:
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, namenode))
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self._server.server_port}"

    def fault(self, operation: str, *faults: Fault) -> None:
        """Break the next answers to this operation."""
        self.faults[operation].extend(faults)

    def offsets(self, path: str) -> list[int]:
        """Return where each read of a file began."""
        return [asked.offset for asked in self.asked if (asked.operation, asked.path) == ("OPEN", path)]

    def __enter__(self) -> Gateway:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(gateway: Gateway, namenode: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the client was killed
                _serve(self, gateway, namenode)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


def _serve(to: BaseHTTPRequestHandler, gateway: Gateway, namenode: str) -> None:
    url = urlsplit(to.path)
    query = parse_qs(url.query)
    operation = query["op"][0]
    path = unquote(url.path.partition("/webhdfs/v1")[2])
    gateway.asked.append(Asked(operation, path, int(query.get("offset", ["0"])[0]), query, dict(to.headers)))
    waiting = gateway.faults[operation]
    fault = waiting.popleft() if waiting else Fault()
    fault.before()
    if fault.body is not None or fault.status != 200:
        _answer(to, fault.status, fault.body or b"", fault.headers)
        return
    try:
        with urllib.request.urlopen(f"http://{namenode}{to.path}") as real:
            _pass_on(to, real, fault)
    except urllib.error.HTTPError as error:
        _answer(to, error.code, error.read(), {})


def _answer(to: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    to.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        to.send_header(name, value)
    to.end_headers()
    to.wfile.write(body)


def _pass_on(to: BaseHTTPRequestHandler, real: Any, fault: Fault) -> None:
    to.send_response(200)
    if real.headers["Content-Length"]:
        to.send_header("Content-Length", real.headers["Content-Length"])
    to.end_headers()
    sent = 0
    while piece := bytearray(real.read(PIECE_BYTES)):
        if fault.flip_at is not None and sent <= fault.flip_at < sent + len(piece):
            piece[fault.flip_at - sent] ^= 1
        if fault.cut_after is not None and sent + len(piece) > fault.cut_after:
            to.wfile.write(piece[: fault.cut_after - sent])
            time.sleep(fault.pause_s)
            return
        to.wfile.write(piece)
        sent += len(piece)
        time.sleep(fault.pause_s)
