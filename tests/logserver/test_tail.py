"""Following is exact: no line missed and none repeated, whoever stored it and however often the follower comes back."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from logserver.engines.embedded import EmbeddedStore
from logserver.follow.follower import Chunk, Dropped, Ending, Reset
from logserver.follow.hub import Hub, HubEnded, TooManyFollowers
from logserver.follow.tail import Event, Heartbeat, Tail, Unknown, follow
from logserver.metrics import Metrics
from logserver.query.cursor import decode_tail
from logserver.query.filters import Selection, select
from logserver.query_settings import TailSettings
from logserver.read.reader import Reader
from logserver.record import TopicPartition
from milepost.units import Bytes, Seconds
from tests.logserver.rows import BASE_NS, line_rows, stored_batch, write_positions

SETTINGS = TailSettings(poll_interval=Seconds(0.02), heartbeat=Seconds(0.1), chunk_lines=7)


class Writer:
    """Stores lines as the write side does; a local one hands them to the hub, another replica does not."""

    def __init__(self, store: EmbeddedStore, hub: Hub) -> None:
        self.store, self.hub = store, hub
        self.next: dict[TopicPartition, int] = {}
        self.written: list[str] = []
        self.turn = 0

    async def write(self, rows: list[dict[str, Any]], *, local: bool = True) -> None:
        self.turn += 1
        full = []
        for row in rows:
            place = TopicPartition("logs", row.get("partition", 0))
            offset = self.next.get(place, 0)
            self.next[place] = offset + 1
            name = f"{place.partition}:{offset}"
            full.append({"message": name, "file_id": place.partition, "file_offset": offset, **row, "offset": offset})
            self.written.append(name)
        full.sort(key=lambda row: (row.get("partition", 0), row["offset"]))
        batch = stored_batch(line_rows(full))
        await asyncio.to_thread(self.store.insert, "lines", batch.lines)
        moved = {place: span.next_offset for place, span in batch.spans.items()}
        await asyncio.to_thread(write_positions, self.store, moved, self.turn)
        if local:
            self.hub.on_stored(batch)


@contextlib.asynccontextmanager
async def running(reader: Reader, settings: TailSettings = SETTINGS) -> AsyncIterator[Hub]:
    hub = Hub(reader, settings, Metrics())
    task = asyncio.create_task(hub.run())
    await hub.ready({}, 0)
    yield hub
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest_asyncio.fixture
async def hub(reader: Reader) -> AsyncIterator[Hub]:
    async with running(reader) as started:
        yield started


@pytest_asyncio.fixture
async def writer(lines_store: EmbeddedStore, hub: Hub) -> Writer:
    return Writer(lines_store, hub)


async def take(events: AsyncIterator[Event], count: int) -> tuple[list[str], str]:
    """Return the messages of the next chunks until there are `count`, and the last cursor."""
    messages: list[str] = []
    cursor = ""
    async with asyncio.timeout(20):
        async for event in events:
            assert isinstance(event, Chunk | Heartbeat)
            if isinstance(event, Chunk):
                messages += [followed.line.message for followed in event.lines]
            cursor = event.cursor or cursor
            if len(messages) >= count and cursor:
                return messages, cursor
    return messages, cursor


async def test_the_last_lines_come_first_and_then_every_new_one(hub: Hub, reader: Reader, writer: Writer) -> None:
    await writer.write([{"ts": BASE_NS + number} for number in range(10)])
    await hub.ready({TopicPartition("logs", 0): 10}, 5)
    events = follow(hub, reader, Tail(Selection(), lines=3))
    assert (await take(events, 3))[0] == ["0:7", "0:8", "0:9"]
    await writer.write([{"ts": BASE_NS - 10**12}])  # late by its timestamp, new by its arrival
    assert (await take(events, 1))[0] == ["0:10"]


async def test_lines_stored_by_another_replica_come_too(hub: Hub, reader: Reader, writer: Writer) -> None:
    events = follow(hub, reader, Tail(Selection(), lines=0))
    await take(events, 0)
    await writer.write([{}, {"partition": 5}], local=False)
    assert sorted((await take(events, 2))[0]) == ["0:0", "5:0"]


async def test_only_selected_lines_come(hub: Hub, reader: Reader, writer: Writer) -> None:
    events = follow(hub, reader, Tail(select([("pod", ["a-*"])], contains=["x"]), lines=10))
    await take(events, 0)
    await writer.write([{"pod": "a-1", "message": "x1"}, {"pod": "b-1", "message": "x2"}, {"pod": "a-1"}])
    await writer.write([{"pod": "a-2", "message": "x3"}], local=False)
    assert (await take(events, 2))[0] == ["x1", "x3"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_a_follower_that_comes_back_again_and_again_sees_every_line_once(
    hub: Hub, reader: Reader, writer: Writer, seed: int
) -> None:
    chance = random.Random(seed)
    stop = asyncio.Event()

    async def produce() -> None:
        for _ in range(40):
            count = chance.choice([1, 3, 30])
            rows = [{"partition": chance.randrange(3), "ts": BASE_NS + chance.randrange(10**12)} for _ in range(count)]
            await writer.write(rows, local=chance.random() < 0.6)
        stop.set()

    async def consume() -> list[str]:
        seen: list[str] = []
        cursor = None
        while not (stop.is_set() and len(seen) >= len(writer.written)):
            patience = chance.random() * 0.1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience if not stop.is_set() else 5):
                    async for event in follow(hub, reader, Tail(Selection(), lines=1000, cursor=cursor)):
                        assert isinstance(event, Chunk | Heartbeat)
                        if isinstance(event, Chunk):
                            seen += [followed.line.message for followed in event.lines]
                        if event.cursor:
                            cursor = decode_tail(event.cursor)
                        if stop.is_set() and len(seen) >= len(writer.written):
                            break
        return seen

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        followers = [group.create_task(consume()) for _ in range(4)]
    for follower in followers:
        assert sorted(follower.result()) == sorted(writer.written)


async def test_a_large_batch_is_cut_and_every_cut_can_be_resumed(hub: Hub, reader: Reader, writer: Writer) -> None:
    events = follow(hub, reader, Tail(Selection(), lines=0))
    await take(events, 0)
    await writer.write([{"partition": number % 3} for number in range(40)])
    seen, cursor = await take(events, 7)
    assert len(seen) == 7
    resumed = follow(hub, reader, Tail(Selection(), cursor=decode_tail(cursor)))
    rest, _ = await take(resumed, 33)
    assert sorted(seen + rest) == sorted(writer.written)


async def test_a_slow_reader_is_told_what_it_lost_and_can_fetch_it(reader: Reader, lines_store: EmbeddedStore) -> None:
    settings = TailSettings(poll_interval=Seconds(0.02), heartbeat=Seconds(0.1), lines_max=20, chunk_lines=5)
    async with running(reader, settings) as hub:
        writer = Writer(lines_store, hub)
        events = follow(hub, reader, Tail(Selection(), lines=0))
        await take(events, 0)
        for _ in range(30):
            await writer.write([{} for _ in range(4)])
        await hub.ready({TopicPartition("logs", 0): 120}, 5)
        await writer.write([{}])
        seen: list[str] = []
        notices: list[Dropped] = []
        async with asyncio.timeout(10):
            async for event in events:
                if isinstance(event, Chunk):
                    seen += [followed.line.message for followed in event.lines]
                elif isinstance(event, Dropped):
                    notices.append(event)
                elif notices:
                    break
        assert sum(notice.lines for notice in notices) == 121 - len(seen) > 0
        for notice in notices:
            tail = Tail(Selection(), cursor=decode_tail(notice.from_cursor), until=decode_tail(notice.to_cursor))
            seen += (await take(follow(hub, reader, tail), notice.lines))[0]
        assert sorted(seen) == sorted(writer.written)


async def test_a_slow_readers_bytes_are_bounded_too(reader: Reader, lines_store: EmbeddedStore) -> None:
    async with running(reader, TailSettings(bytes_max=Bytes(100_000))) as hub:
        writer = Writer(lines_store, hub)
        with hub.follow(Selection()) as follower:
            for _ in range(5):
                await writer.write([{"message": "x" * 60_000}])
            await hub.ready({TopicPartition("logs", 0): 5}, 5)
            first, second = await follower.take(1), await follower.take(1)
        assert isinstance(first, Chunk)
        assert isinstance(second, Dropped)
        assert second.lines == 4


async def test_followers_are_bounded(reader: Reader, lines_store: EmbeddedStore) -> None:
    async with running(reader, TailSettings(followers_max=1)) as hub:
        with (
            hub.follow(Selection()),
            pytest.raises(TooManyFollowers, match=r"tail\.followers_max"),
            hub.follow(Selection()),
        ):
            pass
        with hub.follow(Selection()):
            pass


async def test_a_batch_the_inbox_had_no_room_for_is_read_from_the_store(
    reader: Reader, lines_store: EmbeddedStore
) -> None:
    async with running(reader, TailSettings(inbox_batches=0, poll_interval=Seconds(0.02))) as hub:
        writer = Writer(lines_store, hub)
        events = follow(hub, reader, Tail(Selection(), lines=0))
        await take(events, 0)
        await writer.write([{}, {}])
        assert (await take(events, 2))[0] == ["0:0", "0:1"]


async def test_the_beginning_of_a_new_partition_comes_though_another_replica_stored_it(
    reader: Reader, lines_store: EmbeddedStore
) -> None:
    async with running(reader, TailSettings(poll_interval=Seconds(60))) as hub:
        writer = Writer(lines_store, hub)
        with hub.follow(Selection()) as follower:
            await writer.write([{}, {}], local=False)
            await writer.write([{}])
            chunks = [await follower.take(10), await follower.take(10)]
    assert [chunk.lines[0].line.message for chunk in chunks if isinstance(chunk, Chunk)] == ["0:0", "0:2"]


async def test_a_topic_made_again_is_told(hub: Hub, reader: Reader, writer: Writer) -> None:
    await writer.write([{} for _ in range(9)])
    await hub.ready({TopicPartition("logs", 0): 9}, 5)
    with hub.follow(Selection()) as follower:
        hub._local.clear()
        await asyncio.to_thread(write_positions, writer.store, {TopicPartition("logs", 0): 2}, 99)
        notice = await follower.take(5)
    assert isinstance(notice, Reset)
    assert hub.vector == {TopicPartition("logs", 0): 2}


async def test_a_cursor_from_the_future_is_said_to_be_unknown(
    hub: Hub, reader: Reader, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logserver.follow.tail.PATIENCE_S", 0.05)
    await writer.write([{}])
    await hub.ready({TopicPartition("logs", 0): 1}, 5)
    events = follow(hub, reader, Tail(Selection(), cursor={TopicPartition("logs", 0): 100}))
    event = await anext(events)
    assert isinstance(event, Unknown)
    assert decode_tail(event.cursor) == {TopicPartition("logs", 0): 1}


async def test_when_the_hub_ends_a_tail_gets_what_waits_for_it_and_then_its_end(
    reader: Reader, lines_store: EmbeddedStore
) -> None:
    async with running(reader) as hub:
        writer = Writer(lines_store, hub)
        events = follow(hub, reader, Tail(Selection(), lines=0))
        await take(events, 0)
        await writer.write([{}, {}])
        assert await hub.ready({TopicPartition("logs", 0): 2}, 20)
    rest = [event async for event in events]
    assert isinstance(rest[0], Chunk)
    assert [followed.line.message for followed in rest[0].lines] == ["0:0", "0:1"]
    assert rest[1:] == [Ending(rest[0].cursor)]
    with pytest.raises(HubEnded):
        await anext(follow(hub, reader, Tail(Selection())))


async def test_a_tail_that_lost_lines_ends_with_the_cursor_before_them(
    reader: Reader, lines_store: EmbeddedStore
) -> None:
    small = TailSettings(poll_interval=Seconds(0.02), heartbeat=Seconds(0.1), lines_max=2, chunk_lines=7)
    async with running(reader, small) as hub:
        writer = Writer(lines_store, hub)
        events = follow(hub, reader, Tail(Selection(), lines=0))
        await take(events, 0)
        for number in range(4):
            await writer.write([{}, {}])
            assert await hub.ready({TopicPartition("logs", 0): 2 * number + 2}, 20)
    rest = [event async for event in events]
    end = rest[-1]
    assert isinstance(end, Ending)
    got = [followed.line.message for event in rest if isinstance(event, Chunk) for followed in event.lines]
    async with running(reader) as hub:
        assert got + (await take(follow(hub, reader, Tail(Selection(), cursor=decode_tail(end.cursor))), 4))[0] == [
            f"0:{number}" for number in range(8)
        ]


async def test_a_replica_that_is_behind_is_waited_for_and_a_cursor_nobody_knows_is_not(
    reader: Reader, lines_store: EmbeddedStore
) -> None:
    seldom = TailSettings(poll_interval=Seconds(1), heartbeat=Seconds(0.1))
    place = TopicPartition("logs", 0)
    async with running(reader, seldom) as hub:
        await Writer(lines_store, hub).write([{}, {}], local=False)
        assert await hub.ready({place: 2}, patience_s=0.01)
        assert hub.vector[place] == 2
        assert not await hub.ready({place: 3}, patience_s=0.01)


@pytest.mark.parametrize("turns", range(4))
async def test_a_stop_that_comes_together_with_a_batch_is_not_forgotten(reader: Reader, turns: int) -> None:
    hub = Hub(reader, TailSettings(poll_interval=Seconds(60)), Metrics())
    running = asyncio.create_task(hub.run())
    await hub.ready({}, 0)
    hub._wake.clear()
    await asyncio.sleep(0.05)  # now it waits
    hub._wake.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    ended, _ = await asyncio.wait([running], timeout=5)
    running.cancel()
    assert ended, "the hub goes on"
