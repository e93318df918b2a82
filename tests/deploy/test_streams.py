from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from deploy.api.jobs import LINES_KEPT, Job
from deploy.api.streams import Streams
from deploy.errors import Unavailable


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
