"""The frames of the protocol dubbo2: a header of 16 bytes, big-endian, and a body. Pure.

    0  magic 0xdabb
    2  flags: 0x80 request, 0x40 wants an answer, 0x20 event, the low five bits name the serialization
    3  status, of answers
    4  id of the request, 8 bytes: an answer repeats it, answers come in any order
   12  length of the body

Format: dubbo-remoting-api, `ExchangeCodec`; statuses: `Response`; serializations: `Constants` of dubbo-serialization.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

MAGIC = 0xDABB
MAGIC_BYTES = 2
HEADER_BYTES = 16
HESSIAN2 = 2
EVENT_BODY_BYTES_MAX = 15
"""Java refuses events with more."""
HEARTBEAT_BODY = b"N"
READONLY_BODY = b"\x01R"
"""The Hessian string that tells a caller to choose another provider: this one is about to go."""

_HEADER = struct.Struct(">HBBqi")
_REQUEST, _TWO_WAY, _EVENT, _SERIALIZATION = 0x80, 0x40, 0x20, 0x1F
_SERIALIZATIONS = {
    2: "hessian2", 3: "java", 4: "compactedjava", 6: "fastjson", 7: "nativejava", 8: "kryo", 9: "fst",
    16: "gson", 21: "protobuf-json", 22: "protobuf", 23: "fastjson2", 27: "msgpack", 28: "fury",
}  # fmt: skip


class FrameError(ValueError):
    """The bytes are not a frame of Dubbo; where the next one begins is unknown, so that the connection must end."""


class Status(enum.IntEnum):
    """How a request ended, as the header says it. All but OK carry a string, which Java shows in its exception."""

    OK = 20
    SERIALIZATION_ERROR = 25
    SERVER_TIMEOUT = 31
    BAD_REQUEST = 40
    SERVICE_NOT_FOUND = 60
    SERVER_ERROR = 80
    EXHAUSTED = 100


@dataclass(frozen=True, slots=True)
class Header:
    """What a frame says before its body."""

    id: int
    body_bytes: int
    request: bool = False
    two_way: bool = False
    event: bool = False
    serialization: int = HESSIAN2
    status: int = 0

    def pack(self) -> bytes:
        """Return its 16 bytes."""
        flags = self.serialization
        flags |= (_REQUEST if self.request else 0) | (_TWO_WAY if self.two_way else 0) | (_EVENT if self.event else 0)
        return _HEADER.pack(MAGIC, flags, self.status, self.id, self.body_bytes)


def check_magic(raw: bytes) -> bytes:
    """Return these bytes when a frame may begin with them. Raises FrameError."""
    found = int.from_bytes(raw[:MAGIC_BYTES], "big")
    if found != MAGIC:
        raise FrameError(f"a frame begins with 0x{MAGIC:x}, not with 0x{found:04x}")
    return raw


def parse_header(raw: bytes) -> Header:
    """Return the header of these 16 bytes. Raises FrameError."""
    check_magic(raw)
    _, flags, status, id_, body_bytes = _HEADER.unpack(raw)
    if body_bytes < 0:
        raise FrameError(f"a body of {body_bytes} bytes")
    return Header(
        id_,
        body_bytes,
        request=bool(flags & _REQUEST),
        two_way=bool(flags & _TWO_WAY),
        event=bool(flags & _EVENT),
        serialization=flags & _SERIALIZATION,
        status=status,
    )


def answer(request: Header, status: Status, body: bytes) -> bytes:
    """Return the frame that answers a request or a heartbeat."""
    return Header(request.id, len(body), event=request.event, status=status).pack() + body


def heartbeat(id_: int) -> bytes:
    """Return the frame of a heartbeat that wants an answer."""
    return Header(id_, len(HEARTBEAT_BODY), request=True, two_way=True, event=True).pack() + HEARTBEAT_BODY


def readonly(id_: int) -> bytes:
    """Return the frame of the event that this provider is about to go."""
    return Header(id_, len(READONLY_BODY), request=True, event=True).pack() + READONLY_BODY


def serialization_name(id_: int) -> str:
    """Return the name of a serialization and its number, for messages."""
    return f"{_SERIALIZATIONS.get(id_, 'unknown')} ({id_})"
