"""One caller's connection: its frames in their order, its requests side by side, its answers as they come.

Memory is bounded from both ends. A body is read only when it fits what all requests may hold together; one that does
not is skipped and answered, because other calls share the connection. Nothing more is read from a caller that does not
read its answers, and one that lets too many of them wait is cut off.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass

from deploy.dubbo import frame
from deploy.dubbo.frame import FrameError, Header, Status
from deploy.dubbo.handler import Handler
from deploy.dubbo.invocation import text_body
from deploy.dubbo.metrics import OTHER, Metrics, Outcome
from deploy.dubbo.settings import DubboSettings

log = logging.getLogger(__name__)

_SKIP_BYTES = 1 << 16
_IDLE_HEARTBEATS = 3


class Tick(enum.Enum):
    """What silence asks for."""

    NOTHING = enum.auto()
    HEARTBEAT = enum.auto()
    CLOSE = enum.auto()


def tick(now: float, read_at: float, wrote_at: float, heartbeat_s: float) -> Tick:
    """Return what to do about a connection that was last read from and written to then."""
    if now - read_at >= _IDLE_HEARTBEATS * heartbeat_s:
        return Tick.CLOSE
    return Tick.HEARTBEAT if now - max(read_at, wrote_at) >= heartbeat_s else Tick.NOTHING


@dataclass(slots=True)
class Admission:
    """The requests under way on all connections: how many, and how many bytes of bodies they hold."""

    requests_max: int
    bytes_max: int
    requests: int = 0
    bytes: int = 0

    def enter(self, size: int) -> str:
        """Take a request of this size in, or return why not."""
        if self.requests >= self.requests_max:
            return f"{self.requests} requests are under way (dubbo.in_flight_max)"
        if self.bytes + size > self.bytes_max:
            return f"requests of {self.bytes} bytes are under way (dubbo.in_flight_bytes_max)"
        self.requests += 1
        self.bytes += size
        return ""

    def leave(self, size: int) -> None:
        """Let a request of this size go."""
        self.requests -= 1
        self.bytes -= size


class Connection:
    """Serves one connection until it ends."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        handler: Handler,
        admission: Admission,
        metrics: Metrics,
        settings: DubboSettings,
        arrived: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._admission = admission
        self._metrics = metrics
        self._settings = settings
        self._arrived = arrived
        self._clock = asyncio.get_running_loop().time
        self._read_at = self._wrote_at = self._clock()
        self._next_id = 0
        self._reason = ""
        self.calls: dict[asyncio.Task[None], bool] = {}
        """The requests under way, and whether each wants an answer."""

    @property
    def reason(self) -> str:
        """Why it ended."""
        return self._reason

    async def run(self) -> None:
        """Serve until either side ends it."""
        try:
            while True:
                # Not reading is the one thing that slows a caller down that does not read.
                await self._writer.drain()
                await self._take(await self._header())
        except FrameError as error:
            # QoS commands of telnet end here too.
            log.info("%s sent what is not Dubbo: %s", self._writer.get_extra_info("peername"), error)
            self.close("not_dubbo")
        except TimeoutError:
            self.close("slow_writer", abort=True)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.close("caller")
        finally:
            for task, answered in self.calls.items():
                # Nobody waits for these any more; one-way requests were never waited for.
                if answered:
                    task.cancel()
            self.close("stopped")

    def send(self, data: bytes) -> None:
        """Write a frame; cuts a caller off that lets more wait than it may."""
        if self._writer.is_closing():
            return
        self._writer.write(data)
        self._wrote_at = self._clock()
        self._metrics.counter("sent_bytes_total").inc(len(data))
        if self._writer.transport.get_write_buffer_size() > self._settings.write_buffer_max:
            self.close("slow_reader", abort=True)

    def tick(self) -> None:
        """Look at how long it has been silent."""
        match tick(self._clock(), self._read_at, self._wrote_at, self._settings.heartbeat):
            case Tick.CLOSE:
                self.close("idle", abort=True)
            case Tick.HEARTBEAT:
                self.send(frame.heartbeat(self._new_id()))
            case Tick.NOTHING:
                pass

    def say_goodbye(self) -> None:
        """Tell the caller to choose another provider."""
        self.send(frame.readonly(self._new_id()))

    def close(self, reason: str, *, abort: bool = False) -> None:
        """Close it; the first reason counts. What waits to be written is still written, unless aborted."""
        self._reason = self._reason or reason
        if abort:
            self._writer.transport.abort()
        else:
            self._writer.close()

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    async def _read(self, count: int) -> bytes:
        data = await self._reader.readexactly(count)
        self._read_at = self._clock()
        self._metrics.counter("received_bytes_total").inc(count)
        return data

    async def _header(self) -> Header:
        # Text commands are shorter than a header: their sender would wait for the bytes that never come.
        first = frame.check_magic(await self._read(frame.MAGIC_BYTES))
        return frame.parse_header(first + await self._read(frame.HEADER_BYTES - frame.MAGIC_BYTES))

    async def _skip(self, count: int) -> None:
        while count > 0:
            data = await self._reader.readexactly(min(count, _SKIP_BYTES))
            self._metrics.counter("received_bytes_total").inc(len(data))
            count -= len(data)

    async def _take(self, header: Header) -> None:
        if header.event:
            await self._take_event(header)
        elif header.request:
            await self._take_request(header)
        else:
            # The answer to a heartbeat of a peer that does not mark it, or to nothing: we never call.
            await self._skip(header.body_bytes)

    async def _take_event(self, header: Header) -> None:
        if header.body_bytes > frame.EVENT_BODY_BYTES_MAX:
            raise FrameError(f"an event of {header.body_bytes} bytes; it may have {frame.EVENT_BODY_BYTES_MAX}")
        await self._read(header.body_bytes)
        if header.request and header.two_way:
            self.send(frame.answer(header, Status.OK, frame.HEARTBEAT_BODY))

    async def _take_request(self, header: Header) -> None:
        self._arrived()
        size, limit = header.body_bytes, self._settings.payload_max
        if size > limit:
            await self._skip(size)
            text = f"the request is {size} bytes, more than the {limit} that it may have (dubbo.payload_max)"
            self._refuse(header, Status.BAD_REQUEST, text, Outcome.TOO_LARGE)
            return
        reason = self._admit(size)
        if reason:
            await self._skip(size)
            self._refuse(header, Status.EXHAUSTED, f"the gateway is busy: {reason}", Outcome.EXHAUSTED)
            return
        try:
            # What is admitted counts against everybody's bytes, also while it only trickles in.
            async with asyncio.timeout(self._settings.receive_timeout):
                body = await self._read(size)
        except BaseException:
            self._left(size)
            raise
        task = asyncio.get_running_loop().create_task(self._serve(header, body))
        self.calls[task] = header.two_way
        task.add_done_callback(lambda done: self._ended(done, size))

    def _admit(self, size: int) -> str:
        if len(self.calls) >= self._settings.in_flight_connection_max:
            return f"{len(self.calls)} requests of this connection are under way (dubbo.in_flight_connection_max)"
        reason = self._admission.enter(size)
        if not reason:
            self._show()
        return reason

    def _refuse(self, header: Header, status: Status, text: str, outcome: Outcome) -> None:
        self._metrics.ended(OTHER, OTHER, outcome, 0.0)
        if header.two_way:
            self.send(frame.answer(header, status, text_body(text)))

    async def _serve(self, header: Header, body: bytes) -> None:
        answer = await self._handler.answer(header, body)
        if header.two_way:
            self.send(answer)

    def _ended(self, task: asyncio.Task[None], size: int) -> None:
        del self.calls[task]
        self._left(size)

    def _left(self, size: int) -> None:
        self._admission.leave(size)
        self._show()

    def _show(self) -> None:
        self._metrics.gauge("requests_in_flight").set(self._admission.requests)
        self._metrics.gauge("in_flight_bytes").set(self._admission.bytes)
