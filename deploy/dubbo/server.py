"""The port that callers connect to: accepts, keeps connections alive, and stops without losing a call.

A stop has three parts. Callers are told (the event `readonly`, which makes Dubbo choose another provider) and are
served as before for a while, because some have not heard yet. Then no connection is accepted any more, and what is
under way is waited for until nothing arrived for a moment. At last the connections are closed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from deploy.dubbo.connection import Admission, Connection
from deploy.dubbo.handler import Handler
from deploy.dubbo.metrics import Metrics
from deploy.dubbo.settings import DubboSettings
from milepost.settings import SettingsError

log = logging.getLogger(__name__)

_TICKS_PER_HEARTBEAT = 4
_QUIET_S = 0.5
_POLL_S = 0.05
_CLOSE_S = 5.0


class Server:
    """Serves Dubbo on one address, from `start` to `stop`."""

    def __init__(self, handler: Handler, metrics: Metrics, settings: DubboSettings) -> None:
        self._handler = handler
        self._metrics = metrics
        self._settings = settings
        self._admission = Admission(settings.in_flight_max, settings.in_flight_bytes_max)
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._one_way: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._arrived_at = 0.0
        self.stopping = False
        metrics.gauge("requests_in_flight_limit").set(settings.in_flight_max)
        metrics.gauge("in_flight_limit_bytes").set(settings.in_flight_bytes_max)
        metrics.gauge("connections_limit").set(settings.connections_max)

    async def start(self) -> tuple[str, int]:
        """Listen; returns the address. Raises SettingsError."""
        host, port = self._settings.host, self._settings.port
        try:
            self._server = await asyncio.start_server(self._accept, host, port)
        except OSError as error:
            raise SettingsError(f"cannot listen on dubbo.host {host!r}, dubbo.port {port}: {error}") from error
        bound, port = self._server.sockets[0].getsockname()[:2]
        return bound, port

    async def keep_alive(self) -> None:
        """Ask silent callers for a sign of life, and close those that give none; never returns."""
        while True:
            await asyncio.sleep(self._settings.heartbeat / _TICKS_PER_HEARTBEAT)
            for connection in list(self._connections):
                connection.tick()

    async def stop(self) -> None:
        """Stop as the module says; takes at most `stop_notice` and `stop_timeout`."""
        loop = asyncio.get_running_loop()
        self.stopping = True
        for connection in list(self._connections):
            connection.say_goodbye()
        await asyncio.sleep(self._settings.stop_notice)
        if self._server is not None:
            self._server.close()
        deadline = loop.time() + self._settings.stop_timeout
        # A moment without requests is not an event that somebody could set.
        while not self._quiet(loop.time()) and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        if self._admission.requests:
            log.warning("%d requests did not end within dubbo.stop_timeout", self._admission.requests)
        await self._close_all()

    def _quiet(self, now: float) -> bool:
        return self._admission.requests == 0 and now - self._arrived_at >= _QUIET_S

    async def _close_all(self) -> None:
        tasks = list(self._connections.values())
        for connection in list(self._connections):
            connection.close("stopped")
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_S)
            for connection in list(self._connections):
                # It does not read its last answers.
                connection.close("stopped", abort=True)
            await asyncio.wait(tasks)
        for call in self._one_way:
            call.cancel()
        await asyncio.gather(*self._one_way, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= self._settings.connections_max:
            self._metrics.counter("connections_closed_total", "connections_max").inc()
            writer.close()
            return
        connection = Connection(
            reader,
            writer,
            handler=self._handler,
            admission=self._admission,
            metrics=self._metrics,
            settings=self._settings,
            arrived=self._note_arrival,
        )
        self._connections[connection] = task
        self._metrics.gauge("connections").set(len(self._connections))
        try:
            if self.stopping:
                connection.say_goodbye()
            await connection.run()
        finally:
            self._part(connection)
            with suppress(OSError):
                await writer.wait_closed()

    def _part(self, connection: Connection) -> None:
        del self._connections[connection]
        # One-way requests go on without their connection; somebody must hold them until they end.
        for call, answered in connection.calls.items():
            if not answered:
                self._one_way.add(call)
                call.add_done_callback(self._one_way.discard)
        self._metrics.gauge("connections").set(len(self._connections))
        self._metrics.counter("connections_closed_total", connection.reason).inc()

    def _note_arrival(self) -> None:
        self._arrived_at = asyncio.get_running_loop().time()
