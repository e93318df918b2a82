"""A caller made of a socket: says exactly what a test wants, also what no Dubbo would say."""

from __future__ import annotations

import itertools
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from deploy.dubbo.frame import HEADER_BYTES, Header, parse_header
from deploy.dubbo.hessian import Bounds, Reader, Value, encode

PREDICT = "Ljava/lang/String;Ljava/util/List;"


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame that came, with its body's values."""

    header: Header
    values: list[Value]


def body(
    method: str,
    descriptor: str,
    *arguments: Value,
    interface: str = "com.example.Models",
    version: str = "1.0.0",
    **attachments: str,
) -> bytes:
    """Return the body of a request; attachments beside the group."""
    return encode("2.0.2", interface, version, method, descriptor, *arguments, {"group": "risk", **attachments})


def predict(model: str, rows: Value, **attachments: str) -> bytes:
    """Return the body of a call of `predict`."""
    return body("predict", PREDICT, model, rows, **attachments)


class Wire:
    """One connection; a context manager."""

    def __init__(self, host: str, port: int, timeout_s: float = 10) -> None:
        self._socket = socket.create_connection((host, port), timeout_s)
        self._ids = itertools.count(1)

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(data)

    def request(self, content: bytes, **flags: Any) -> int:
        """Send a request; returns its id."""
        id_ = next(self._ids)
        header = Header(id_, len(content), **{"request": True, "two_way": True, **flags})
        self.write(header.pack() + content)
        return id_

    def answer(self) -> Answer:
        """Return the next frame. Raises EOFError when the connection ends, TimeoutError."""
        header = parse_header(self._exactly(HEADER_BYTES))
        reader, values = Reader(self._exactly(header.body_bytes), Bounds()), []
        while not reader.at_end:
            values.append(reader.value())
        return Answer(header, values)

    def call(self, content: bytes, **flags: Any) -> Answer:
        """Send a request and return the next frame, which answers it."""
        id_ = self.request(content, **flags)
        answer = self.answer()
        assert answer.header.id == id_
        return answer

    def ends(self) -> bool:
        """Whether the gateway ends the connection, after whatever it still sends."""
        try:
            while self._socket.recv(65536):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self._socket.recv(count - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found
