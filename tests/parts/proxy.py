"""A TCP proxy that breaks on command, so that failure tests break the wire and not a function.

It runs in a thread of its own and its port stays the same, so a client under test only ever sees its server become
slow, silent, unreachable, and well again.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

_CHUNK_BYTES = 1 << 16
_CALL_S = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_Result = TypeVar("_Result")


class BreakingProxy:
    """Forwards connections on `port` to the target. A context manager; methods may be called from any thread."""

    def __init__(self, target_port: int, target_host: str = "127.0.0.1") -> None:
        self._target = (target_host, target_port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._delay_s = 0.0
        self.port = 0
        self.connections = 0
        """How many connections were accepted so far."""
        self.forwarded_bytes = 0
        """How many bytes went through, both ways together."""

    def __enter__(self) -> BreakingProxy:
        self._thread.start()
        self._flowing.set()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_S)
        self._loop.close()

    def cut(self) -> None:
        """Reset every open connection; new ones are accepted."""
        self._call(self._cut())

    def refuse(self) -> None:
        """Refuse new connections and reset the open ones, as a machine does whose server is down."""
        self._call(self._refuse())

    def accept(self) -> None:
        """Accept connections again, on the same port."""
        self._call(self._listen())

    def stall(self) -> None:
        """Forward nothing more, but keep connections open and accept new ones: the silence of a lost network."""
        self._call(self._set_flowing(flowing=False))

    def flow(self) -> None:
        """Go on after `stall`; what was held back arrives."""
        self._call(self._set_flowing(flowing=True))

    def delay(self, seconds: float) -> None:
        """Hold each piece of data back for so long, 0 for no longer."""
        self._delay_s = seconds

    def _call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_S)

    async def _set_flowing(self, *, flowing: bool) -> None:
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _close(self) -> None:
        await self._refuse()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(2):  # The transports say goodbye in the loop's next rounds.
            await asyncio.sleep(0)

    async def _cut(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
            self._writers.add(there_writer)
            try:
                await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
            finally:
                self._end(there_writer)
        except OSError:
            _reset(writer)
        finally:
            self._end(writer)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK_BYTES):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
                self.forwarded_bytes += len(chunk)
            if writer.can_write_eof():
                writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer sees a reset, not an orderly end."""
    connection: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
