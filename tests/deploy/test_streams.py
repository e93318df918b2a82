from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import cast

import pytest

from deploy.api.jobs import LINES_KEPT, Job, Jobs, job_events
from deploy.api.streams import Streams
from deploy.errors import Unavailable
from deploy.operate import Platform
from deploy.record import Record


async def beats() -> AsyncGenerator[str, None]:
    while True:
        yield "beat"


async def test_one_stream_too_many_is_refused_until_another_ends() -> None:
    streams = Streams(most=1, heartbeat_s=10)
    first = streams.counted(beats())
    assert await anext(first) == "beat"
    with pytest.raises(Unavailable, match=r"platform\.watches_max"):
        streams.counted(beats())
    await first.aclose()
    assert await anext(streams.counted(beats())) == "beat"


async def test_a_quiet_stream_beats_and_a_stopping_server_wakes_it() -> None:
    streams = Streams(most=1, heartbeat_s=0.01)
    assert not await streams.woken(asyncio.Event())
    patient = Streams(most=1, heartbeat_s=600)
    waiting = asyncio.create_task(patient.woken(asyncio.Event()))
    await asyncio.sleep(0)
    patient.close()
    async with asyncio.timeout(10):
        assert await waiting
    assert patient.closing


def test_a_job_keeps_its_last_lines_and_counts_those_it_dropped() -> None:
    job = Job("1", "models", "m", "apply")
    for number in range(LINES_KEPT + 5):
        job.tell(str(number))
    assert (job.lines[0], job.lines[-1], job.dropped) == ("5", str(LINES_KEPT + 4), 5)


def told(events: list[str]) -> list[tuple[str, str, str]]:
    """(event, id, data) of each."""
    found = []
    for event in events:
        fields = dict(line.split(": ", 1) for line in event.strip().splitlines())
        found.append((fields["event"], fields.get("id", ""), fields["data"]))
    return found


async def following(job: Job, mark: str = "") -> list[tuple[str, str, str]]:
    """What a follower of an ended job with this mark is told."""
    streams = Streams(most=1, heartbeat_s=600)
    async with asyncio.timeout(10):
        return told([event async for event in job_events(job, streams, job.told(mark))])


async def test_a_follower_who_comes_back_gets_what_it_has_missed_and_is_told_of_lines_not_kept() -> None:
    job = Job("1", "models", "m", "apply")
    for number in range(4):
        job.tell(f"line {number}")
    job.state = "done"
    whole = await following(job)
    assert [event for event, _, _ in whole] == ["progress"] * 4 + ["end"]
    second = whole[1][1]
    assert await following(job, second) == whole[2:]
    # Another run of the same job, after the platform was started anew, has lines of its own.
    assert await following(job, "elsewhere-3") == whole
    assert await following(job, f"{job.epoch}-99") == whole[4:]

    for number in range(4, LINES_KEPT + 5):
        job.tell(f"line {number}")
    missed, first, *_, end = await following(job, second)
    assert (missed[0], missed[2]) == ("missed", '{"lines":3}')
    assert first[2] == '"line 5"'
    assert end[0] == "end"


async def test_lines_that_come_while_a_follower_reads_come_before_the_end() -> None:
    job = Job("1", "models", "m", "apply")
    job.tell("first")
    events = job_events(job, Streams(most=1, heartbeat_s=600), 0)
    seen = [await anext(events)]
    job.state = "done"
    job.tell("done")
    seen += [event async for event in events]
    assert [(event, data) for event, _, data in told(seen)][:2] == [("progress", '"first"'), ("progress", '"done"')]
    assert len(seen) == 3


class Broken:
    """A platform that meets something nobody expected."""

    async def converge(self, namespace: str, name: str) -> Record:
        raise ZeroDivisionError(f"{namespace}/{name}")


async def test_a_job_that_meets_something_unexpected_ends_and_says_where_that_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs, job = Jobs(), Job("0f", "models", "m", "apply")
    async with asyncio.timeout(10):
        assert await jobs.start(job, cast("Platform", Broken()))
    assert (job.state, job.error) == (
        "failed",
        "something unexpected happened; the platform's log tells it under job 0f",
    )
    assert "ZeroDivisionError: models/m" in caplog.text
