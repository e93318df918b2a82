"""Which interrupted jobs are gone on with, when and how many at a time: without waiting, on a clock of its own."""

from __future__ import annotations

import asyncio

from deploy.cluster.worklist import Entry
from deploy.operate.resume import Pace, Schedule
from milepost.auth import Caller


def entry(number: int) -> Entry:
    return Entry(str(number), "models", f"m{number}", "apply", Caller("ada"))


class Process:
    """What goes on with entries, as told by the test."""

    def __init__(self) -> None:
        self.now = 100.0
        self.begun: list[str] = []
        self.mine: set[str] = set()
        self.ends: dict[str, asyncio.Future[bool]] = {}

    def go_on(self, found: Entry) -> asyncio.Task[bool] | None:
        if found.id in self.mine:
            return None
        self.begun.append(found.id)
        end: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.ends[found.id] = end

        async def work() -> bool:
            return await end

        return asyncio.create_task(work())

    async def end(self, entry_id: str, *, ended: bool) -> None:
        self.ends[entry_id].set_result(ended)
        for _ in range(3):
            await asyncio.sleep(0)


def schedule(process: Process, at_once: int = 8) -> Schedule:
    return Schedule(process.go_on, Pace(every_s=5.0, at_once=at_once, backoff_max_s=15.0), lambda: process.now)


async def test_a_job_is_gone_on_with_once_it_was_left_alone_for_a_round() -> None:
    process = Process()
    leader = schedule(process)
    leader.take([entry(1)])
    assert process.begun == []
    process.now += 5
    leader.take([entry(1), entry(2)])
    leader.take([entry(1), entry(2)])
    assert process.begun == ["1"]


async def test_what_this_process_is_at_itself_is_left_to_it() -> None:
    process = Process()
    process.mine = {"1"}
    leader = schedule(process)
    for _ in range(3):
        leader.take([entry(1)])
        process.now += 5
    assert process.begun == []


async def test_only_so_many_go_on_at_a_time_and_the_next_begins_when_one_has_ended() -> None:
    process = Process()
    leader = schedule(process, at_once=2)
    entries = [entry(number) for number in range(4)]
    leader.take(entries)
    process.now += 5
    leader.take(entries)
    assert process.begun == ["0", "1"]
    await process.end("0", ended=True)
    leader.take(entries[1:])
    assert process.begun == ["0", "1", "2"]


async def test_a_job_that_could_not_be_done_is_tried_ever_later_up_to_a_bound() -> None:
    process = Process()
    leader = schedule(process)
    leader.take([entry(1)])
    process.now += 5
    waits = []
    for _ in range(4):
        leader.take([entry(1)])
        began = process.now
        await process.end("1", ended=False)
        tries = len(process.begun)
        while len(process.begun) == tries:
            process.now += 1
            leader.take([entry(1)])
        waits.append(process.now - began)
    # The end itself is noticed a second after it, by the next round.
    assert waits == [11, 16, 16, 16]
