"""A stop loses no call: callers are told first, and what is under way is finished."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from deploy.dubbo.frame import Status
from tests.conftest import need
from tests.dubbo.models import SLOW_S, ModelServer
from tests.dubbo.program import HOST, DubboProgram
from tests.dubbo.test_java import text
from tests.dubbo.test_registry import answered, referred, registered
from tests.dubbo.test_wire import eventually
from tests.dubbo.wire import Wire, predict
from tests.parts.addresses import make_local
from tests.parts.dubbo import DubboCaller
from tests.parts.zookeeper import ZooKeeper


@pytest.fixture
def stoppable(services: str, tmp_path: Path) -> DubboProgram:
    need(make_local)
    return DubboProgram(tmp_path, services, "--dubbo-stop-notice=1s", "--dubbo-stop-timeout=5s")


def test_callers_are_told_and_served_on_and_what_is_under_way_is_finished(stoppable: DubboProgram) -> None:
    stoppable.start()
    with Wire(HOST, stoppable.port) as wire:
        slow = wire.request(predict("slow", [[1]]))
        eventually(lambda: stoppable.metric("requests_in_flight") == 1)
        stoppable.process.send(signal.SIGTERM)
        told = wire.answer()
        assert (told.header.event, told.header.request, told.header.two_way) == (True, True, False)
        assert told.values == ["R"]
        assert stoppable.ready() == "stopping"
        assert wire.call(predict("sum", [[2]])).values[1] == [2]
        with Wire(HOST, stoppable.port) as late:
            assert late.answer().values == ["R"]
            assert late.call(predict("sum", [[3]])).values[1] == [3]
        finished = wire.answer()
        assert (finished.header.id, finished.values[1]) == (slow, [1])
        assert wire.ends()
    eventually(lambda: not stoppable.process.running)
    assert stoppable.process.returncode == 0


def test_a_stop_waits_for_one_way_requests(stoppable: DubboProgram, models: ModelServer) -> None:
    stoppable.start()
    finished = models.finished
    with Wire(HOST, stoppable.port) as wire:
        wire.request(predict("slow", [[1]]), two_way=False)
        eventually(lambda: stoppable.metric("requests_in_flight") == 1)
    stoppable.stop()
    assert (models.finished, stoppable.process.returncode) == (finished + 1, 0)


def test_a_stop_does_not_wait_for_ever(services: str, tmp_path: Path) -> None:
    need(make_local)
    program = DubboProgram(tmp_path, services, "--dubbo-stop-notice=0s", "--dubbo-stop-timeout=300ms").start()
    with Wire(HOST, program.port) as wire:
        wire.request(predict("slow", [[1]]))
        eventually(lambda: program.metric("requests_in_flight") == 1)
        started = time.monotonic()
        program.stop()
        assert time.monotonic() - started < SLOW_S
        assert wire.ends()
    assert "1 requests did not end within dubbo.stop_timeout" in program.process.output()


def test_a_stop_under_load_loses_no_call(
    caller: DubboCaller, zookeeper: ZooKeeper, services: str, tmp_path: Path
) -> None:
    root = f"load{caller.version.replace('.', '')}"
    flags = ("--dubbo-stop-notice=2s",)
    with (
        registered(tmp_path / "one", services, root, zookeeper.address, *flags) as one,
        registered(tmp_path / "two", services, root, zookeeper.address, *flags) as two,
    ):
        reference = referred(caller, zookeeper, root)
        eventually(lambda: answered(reference))
        rows = {"t": "double[][]", "v": [[1, 2]]}
        load = reference.load("predict", text("unhurried"), rows, threads=20, seconds=5)
        counted = {"interface": "com.example.Models", "method": "predict", "outcome": "ok"}
        eventually(lambda: min(it.metric("requests_total", **counted) for it in (one, two)) > 5)
        one.stop()
        found = load.result(30)
        assert found["failures"] == {}
        assert found["done"] > 300
        reference.drop()


def test_many_connections_that_end_at_once_leave_nothing(gateway: DubboProgram) -> None:
    def visit() -> None:
        with Wire(HOST, gateway.port) as wire:
            assert wire.call(predict("sum", [[1]])).header.status == Status.OK
            wire.request(predict("slow", [[1]]))

    eventually(lambda: gateway.metric("requests_in_flight") == 0)
    visitors = [threading.Thread(target=visit) for _ in range(50)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    eventually(lambda: gateway.metric("requests_in_flight") == 0, SLOW_S / 2)
    assert gateway.metric("in_flight_bytes") == 0
