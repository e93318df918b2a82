"""A small request must not hold up the others: what it unfolds to is made in a thread."""

from __future__ import annotations

import asyncio

import pytest

from deploy.dubbo.backend import Backend
from deploy.dubbo.frame import Header, Status
from deploy.dubbo.handler import Handler
from deploy.dubbo.hessian import Value, encode
from deploy.dubbo.metrics import Metrics
from deploy.dubbo.servicesfile import read_services
from deploy.dubbo.settings import DubboSettings, ModelSettings
from milepost.units import Bytes
from tests.dubbo.test_servicesfile import file

FIELDS = {"url": "http://127.0.0.1:1", "path": "/x", "arguments": ["x"], "body": "$x"}


def shared(doublings: int) -> Value:
    """Return a value of ten characters that unfolds to two to the power of `doublings` of them."""
    value: Value = ["x" * 10]
    for _ in range(doublings):
        value = [value, value]
    return value


async def answered(handler: Handler, value: Value) -> tuple[Status, int]:
    """Return the status of the answer, and how often another task came to run meanwhile."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    request = encode("2.0.2", "a.B", "", "m", "Ljava/lang/Object;", value, {})
    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    begun = turns
    frame = await handler.answer(Header(1, len(request), request=True, two_way=True), request)
    ended = turns
    task.cancel()
    return Status(frame[3]), ended - begun


@pytest.mark.parametrize(("doublings", "body_max"), [(17, 1 << 20), (13, 100_000)])
async def test_what_unfolds_to_much_does_not_hold_up_others(doublings: int, body_max: int) -> None:
    model = ModelSettings(body_max=Bytes(body_max))
    async with Backend(model) as backend:
        handler = Handler(read_services(file(FIELDS)), backend, Metrics(), dubbo=DubboSettings(), model=model)
        status, turns = await answered(handler, shared(doublings))
    assert status == Status.BAD_REQUEST
    assert turns > 0
