"""The proxy breaks a connection in each of the ways its methods name, and heals."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from tests.parts.proxy import BreakingProxy


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):
        while chunk := await reader.read(4096):
            writer.write(chunk)
            await writer.drain()


@pytest.fixture
async def proxy() -> AsyncIterator[BreakingProxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    with BreakingProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    writer.write(text)
    async with asyncio.timeout(2):
        return await reader.readexactly(len(text))


async def test_it_forwards_both_ways_and_the_end_too(proxy: BreakingProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await _say(reader, writer, b"hello") == b"hello"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert (proxy.connections, proxy.forwarded_bytes) == (1, 10)


async def test_a_cut_is_a_reset_and_the_next_connection_works(proxy: BreakingProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await _say(reader, writer, b"hello")
    await asyncio.to_thread(proxy.cut)
    with pytest.raises(ConnectionResetError):
        async with asyncio.timeout(2):
            await reader.read()
    writer.transport.abort()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await _say(reader, writer, b"again") == b"again"
    writer.close()


async def test_refused_until_accepted_again_on_the_same_port(proxy: BreakingProxy) -> None:
    await asyncio.to_thread(proxy.refuse)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", proxy.port)
    await asyncio.to_thread(proxy.accept)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await _say(reader, writer, b"hello") == b"hello"
    writer.close()


async def test_a_stalled_connection_is_silent_and_loses_nothing(proxy: BreakingProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await _say(reader, writer, b"hello")
    proxy.stall()
    writer.write(b"later")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await reader.readexactly(5)
    proxy.flow()
    async with asyncio.timeout(2):
        assert await reader.readexactly(5) == b"later"
    writer.close()


async def test_a_delay_is_felt_in_both_directions(proxy: BreakingProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.delay(0.1)
    started = time.monotonic()
    await _say(reader, writer, b"hello")
    assert time.monotonic() - started >= 0.2
    writer.close()
