"""Blocks of the native protocol: between the client's revision and the engine's `Native` format.

The driver's own codec does the work on both sides; revision 0 is the engine's `Native` format (no block info, no
serialization byte). Protocol: ClickHouse `src/Formats/NativeReader.cpp`, `src/Core/ProtocolDefines.h`.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from clickhouse_driver.block import BlockInfo
from clickhouse_driver.bufferedreader import BufferedSocketReader
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.columns.datetimecolumn import DateTime64Column
from clickhouse_driver.streams.native import BlockInputStream, BlockOutputStream
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str, write_binary_uint8

REVISION = 54459  # the first with query parameters; nothing later is needed
BUFFER_BYTES = 1 << 20


def codec(revision: int) -> Any:
    """Return the context that makes the driver's streams speak this revision."""
    settings = {
        "use_numpy": False,
        "strings_as_bytes": True,
        "strings_encoding": "utf-8",
        "input_format_null_as_default": False,
        "namedtuple_as_json": False,
        "server_side_params": False,
    }
    info = SimpleNamespace(used_revision=revision, get_timezone=lambda: "UTC", session_timezone=None)
    return SimpleNamespace(server_info=info, client_settings=settings, settings={})


WIRE, ENGINE = codec(REVISION), codec(0)


def keep_times_whole() -> None:
    """Let this process's codec pass times on as the integers they are: datetimes would end at microseconds."""

    def as_they_are(_self: Any, items: Any, nulls_map: Any = None) -> Any:
        if nulls_map is None:
            return tuple(items)
        return tuple(None if is_null else items[row] for row, is_null in enumerate(nulls_map))

    DateTime64Column.after_read_items = as_they_are


class Memory:
    """Bytes in memory with the two socket methods that the driver's buffers call."""

    def __init__(self, content: bytes = b"") -> None:
        self._left = memoryview(content)
        self.written = bytearray()

    def recv_into(self, target: Any) -> int:
        """Copy what fits into the target; 0 at the end."""
        taken = min(len(target), len(self._left))
        target[:taken] = self._left[:taken]
        self._left = self._left[taken:]
        return taken

    def sendall(self, content: bytes) -> None:
        """Keep the content."""
        self.written += content


def decode_native(content: bytes) -> Iterator[Any]:
    """Yield the blocks of the engine's output."""
    reader = BlockInputStream(BufferedSocketReader(Memory(content), BUFFER_BYTES), ENGINE)
    while True:
        try:
            block = reader.read()
        except EOFError:
            return
        block.data = [list(column) for column in block.data]  # the codec writes in place
        yield block


def write_header(stream: Any, columns: list[tuple[str, str]]) -> None:
    """Write a block without rows: the codec would write the state of nested columns, which readers do not expect."""
    BlockInfo().write(stream.fout)
    write_varint(len(columns), stream.fout)
    write_varint(0, stream.fout)
    for name, kind in columns:
        write_binary_str(name, stream.fout)
        write_binary_str(kind, stream.fout)
        write_binary_uint8(0, stream.fout)
    stream.finalize()


class NativeBuffer:
    """Collects the client's blocks as the engine's `Native` format."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._stream = BlockOutputStream(BufferedSocketWriter(self._memory, BUFFER_BYTES), ENGINE)
        self.rows = 0

    def add(self, block: Any) -> None:
        """Append one block that has rows."""
        block.data = [list(column) for column in block.data]  # the codec writes in place
        self._stream.write(block)
        self.rows += block.num_rows

    def content(self) -> bytes:
        """Return all blocks as bytes."""
        return bytes(self._memory.written)
