"""The protocol on the wire: events, one-way requests, order, every refusal, and every bound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from deploy.dubbo.frame import Header, Status
from tests.conftest import need
from tests.dubbo.models import SLOW_S, ModelServer
from tests.dubbo.program import HOST, DubboProgram
from tests.dubbo.wire import Wire, body, predict
from tests.parts.addresses import make_local

PAYLOAD_MAX = 64 << 10


@pytest.fixture(scope="module")
def small(services: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DubboProgram]:
    """A gateway with bounds that a test reaches."""
    need(make_local)
    program = DubboProgram(
        tmp_path_factory.mktemp("small"), services, f"--dubbo-payload-max={PAYLOAD_MAX}", "--dubbo-heartbeat=1s",
        "--dubbo-in-flight-connection-max=4", "--dubbo-in-flight-max=6", "--dubbo-in-flight-bytes-max=150KiB",
        "--dubbo-connections-max=8", "--dubbo-values-max=1000", "--dubbo-stop-notice=0s",
        "--dubbo-write-buffer-max=128KiB", "--dubbo-receive-timeout=500ms",
    ).start()  # fmt: skip
    yield program
    program.stop()


@pytest.fixture
def wire(gateway: DubboProgram) -> Iterator[Wire]:
    with Wire(HOST, gateway.port) as connection:
        yield connection


@pytest.fixture
def narrow(small: DubboProgram) -> Iterator[Wire]:
    eventually(lambda: small.metric("connections") == 0)
    with Wire(HOST, small.port) as connection:
        yield connection


def eventually(holds: Callable[[], bool], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def test_a_call_is_answered_with_value_and_attachments(wire: Wire) -> None:
    answer = wire.call(predict("sum", [[1.5, 2.0]]))
    assert (answer.header.status, answer.header.request, answer.header.event) == (Status.OK, False, False)
    assert answer.values[:2] == [4, [3.5]]
    assert len(answer.values[2]["milepost-request-id"]) == 32


def test_a_heartbeat_is_answered(wire: Wire) -> None:
    answer = wire.call(b"N", event=True)
    assert (answer.header.event, answer.header.status, answer.values) == (True, Status.OK, [None])


def test_answers_come_as_they_are_ready(wire: Wire) -> None:
    slow = wire.request(predict("unhurried", [[1]]))
    quick = wire.request(predict("sum", [[1]]))
    assert [wire.answer().header.id, wire.answer().header.id] == [quick, slow]


def test_a_request_in_pieces_is_one_request(wire: Wire) -> None:
    content = predict("sum", [[1]])
    for byte in Header(9, len(content), request=True, two_way=True).pack() + content:
        wire.write(bytes((byte,)))
    assert wire.answer().values[1] == [1]


def test_a_one_way_request_is_done_and_not_answered(wire: Wire, models: ModelServer, gateway: DubboProgram) -> None:
    finished = models.finished
    counted = {"interface": "com.example.Models", "method": "predict", "outcome": "ok"}
    before = gateway.metric("requests_total", **counted)
    wire.request(predict("unhurried", [[7]]), two_way=False)
    assert wire.call(b"N", event=True).header.event
    eventually(lambda: models.finished > finished)
    eventually(lambda: gateway.metric("requests_total", **counted) > before)


def test_a_one_way_request_is_done_when_its_caller_is_gone(models: ModelServer, gateway: DubboProgram) -> None:
    finished = models.finished
    with Wire(HOST, gateway.port) as connection:
        connection.request(predict("unhurried", [[7]]), two_way=False)
        assert connection.call(b"N", event=True).header.event
    eventually(lambda: models.finished > finished)


def test_nobody_works_for_a_caller_that_is_gone(models: ModelServer, gateway: DubboProgram) -> None:
    counted = {"interface": "com.example.Models", "method": "predict", "outcome": "caller_gone"}
    before = gateway.metric("requests_total", **counted)
    with Wire(HOST, gateway.port) as connection:
        connection.request(predict("slow", [[1]]))
        eventually(lambda: models.seen[-1].path.startswith("/v1/models/slow"))
    eventually(lambda: gateway.metric("requests_total", **counted) > before, SLOW_S / 2)


def test_echo_returns_what_it_was_given(wire: Wire) -> None:
    assert wire.call(body("$echo", "Ljava/lang/Object;", {"a": [1, None]})).values[1] == {"a": [1, None]}


@pytest.mark.parametrize(
    ("content", "flags", "status", "text"),
    [
        (b"{}", {"serialization": 6}, Status.SERIALIZATION_ERROR, "not fastjson (6); set serialization=hessian2"),
        (b"\x00" * 9, {"serialization": 23}, Status.SERIALIZATION_ERROR, "not fastjson2 (23)"),
        (b"", {}, Status.BAD_REQUEST, "the request cannot be read: the message ends within a value"),
        (body("m", "", interface="a.B"), {}, Status.SERVICE_NOT_FOUND, "no service risk/a.B:1.0.0 is served here; "
         "there is milepost.test.Scorer, risk/com.example.Models:1.0.0"),
        (body("m", "", version="2"), {}, Status.SERVICE_NOT_FOUND, "no service risk/com.example.Models:2 "),
        (body("m", ""), {}, Status.SERVICE_NOT_FOUND, "com.example.Models:1.0.0 has no method m here; there is any"),
        (body("predict", "I", 1), {}, Status.BAD_REQUEST, "predict takes 2 (model, rows) arguments, not 1"),
        (predict("other", []), {}, Status.BAD_REQUEST, "model 'other' is none of those that predict serves"),
        (body("nowhere", "Ljava/util/List;", []), {}, Status.SERVER_ERROR, "cannot be reached at http://127.0.0.1:1/"),
        (body("brief", "Ljava/util/List;", []), {}, Status.SERVER_TIMEOUT, "took longer than 300 ms"),
        (predict("slow", [], timeout="100"), {}, Status.SERVER_TIMEOUT, "took longer than 100 ms"),
    ],
)  # fmt: skip
def test_a_refusal_has_its_status_and_says_why(
    wire: Wire, content: bytes, flags: dict[str, int], status: Status, text: str
) -> None:
    answer = wire.call(content, **flags)
    assert answer.header.status == status
    assert text in answer.values[0]
    assert wire.call(predict("sum", [[1]])).values[1] == [1], "the connection serves on"


def test_a_models_failure_is_an_exception_with_what_it_said(wire: Wire) -> None:
    answer = wire.call(predict("broken", [[1]]))
    assert (answer.header.status, answer.values[0]) == (Status.OK, 3)
    text = answer.values[1].fields["detailMessage"]
    assert text.startswith('model broken of com.example.Models.predict answered 400: {"error": "Matrix size')
    assert answer.values[2]["milepost-request-id"] in text


def test_the_model_is_told_who_calls_and_in_which_trace(wire: Wire, models: ModelServer) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    attached = {"remote.application": "shop\r\nX-Evil: 1", "traceparent": trace}
    answer = wire.call(predict("sum", [[1]], **attached))
    headers = models.seen[-1].headers
    assert headers["X-Dubbo-Application"] == "shopX-Evil:1"
    assert headers["traceparent"] == trace
    assert headers["X-Request-ID"] == answer.values[2]["milepost-request-id"]
    assert "X-Evil" not in headers


@pytest.mark.parametrize("sent", [b"ls\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\xda\xbc" + b"\0" * 14,
                                  Header(1, 16, request=True, two_way=True, event=True).pack(),
                                  bytes.fromhex("dabbc2000000000000000001ffffffff")])  # fmt: skip
def test_what_is_not_dubbo_is_closed_and_counted(gateway: DubboProgram, sent: bytes) -> None:
    before = gateway.metric("connections_closed_total", reason="not_dubbo")
    with Wire(HOST, gateway.port) as connection:
        connection.write(sent)
        assert connection.ends()
    eventually(lambda: gateway.metric("connections_closed_total", reason="not_dubbo") == before + 1)


def test_a_body_beyond_the_bound_is_skipped_and_answered(narrow: Wire) -> None:
    answer = narrow.call(bytes(PAYLOAD_MAX + 1))
    assert answer.header.status == Status.BAD_REQUEST
    assert answer.values == [f"the request is {PAYLOAD_MAX + 1} bytes, more than the {PAYLOAD_MAX} that it may have "
                             "(dubbo.payload_max)"]  # fmt: skip
    assert narrow.call(predict("sum", [[1]])).values[1] == [1]


def test_a_result_beyond_the_bound_is_told(narrow: Wire) -> None:
    answer = narrow.call(predict("sum", ["x" * (PAYLOAD_MAX - 200)] * 1))
    assert answer.header.status == Status.OK
    answer = narrow.call(body("any", "Ljava/util/List;", [[0.5] * 900, ["\N{PILE OF POO}" * 1000] * 1]))
    assert answer.header.status == Status.OK
    shared = ["x" * 30_000]
    answer = narrow.call(body("any", "Ljava/util/List;", [shared, shared, shared]))
    assert (answer.header.status, answer.values[0]) == (Status.OK, 3)
    assert "bytes, more than the 65536 that it may have" in answer.values[1].fields["detailMessage"]


def test_too_many_values_are_refused(narrow: Wire) -> None:
    answer = narrow.call(predict("sum", [[1] * 1000]))
    assert (answer.header.status, "more than 1000 values" in answer.values[0]) == (Status.BAD_REQUEST, True)


def test_too_many_requests_of_one_connection_are_answered_exhausted(narrow: Wire) -> None:
    for _ in range(5):
        narrow.request(predict("unhurried", [[1]]))
    answers = [narrow.answer() for _ in range(5)]
    assert [answer.header.status for answer in answers] == [Status.EXHAUSTED] + [Status.OK] * 4
    assert answers[0].header.id == 5
    assert "dubbo.in_flight_connection_max" in answers[0].values[0]


def test_too_many_requests_together_are_answered_exhausted(narrow: Wire, small: DubboProgram) -> None:
    with Wire(HOST, small.port) as other:
        for connection in (narrow, other):
            for _ in range(3):
                connection.request(predict("unhurried", [[1]]))
        eventually(lambda: small.metric("requests_in_flight") == 6)
        narrow.request(predict("sum", [[1]]))
        answer = narrow.answer()
        assert (answer.header.status, "dubbo.in_flight_max" in answer.values[0]) == (Status.EXHAUSTED, True)
    eventually(lambda: small.metric("requests_in_flight") == 0)
    assert small.metric("in_flight_bytes") == 0


def test_too_many_bytes_together_are_answered_exhausted(narrow: Wire) -> None:
    for _ in range(3):
        narrow.request(predict("unhurried", ["x" * 60_000]))
    answer = narrow.answer()
    assert (answer.header.id, answer.header.status) == (3, Status.EXHAUSTED)
    assert "dubbo.in_flight_bytes_max" in answer.values[0]
    assert [narrow.answer().header.status for _ in range(2)] == [Status.OK] * 2


def test_too_many_connections_are_closed(small: DubboProgram) -> None:
    eventually(lambda: small.metric("connections") == 0)
    open_ = [Wire(HOST, small.port) for _ in range(8)]
    try:
        eventually(lambda: small.metric("connections") == 8)
        with Wire(HOST, small.port) as one_more:
            assert one_more.ends()
        assert open_[0].call(predict("sum", [[1]])).values[1] == [1]
    finally:
        for connection in open_:
            connection.__exit__(None, None, None)
    assert small.metric("connections_closed_total", reason="connections_max") >= 1


def test_a_silent_caller_is_asked_for_a_sign_of_life_and_then_closed(narrow: Wire, small: DubboProgram) -> None:
    before = small.metric("connections_closed_total", reason="idle")
    asked = narrow.answer().header
    assert (asked.request, asked.two_way, asked.event) == (True, True, True)
    started = time.monotonic()
    assert narrow.ends()
    assert 1 < time.monotonic() - started < 4
    eventually(lambda: small.metric("connections_closed_total", reason="idle") == before + 1)


def test_a_caller_that_answers_signs_of_life_stays(narrow: Wire) -> None:
    until = time.monotonic() + 4.5
    while time.monotonic() < until:
        asked = narrow.answer().header
        narrow.write(Header(asked.id, 1, event=True, status=20).pack() + b"N")
    assert narrow.call(predict("sum", [[1]])).header.status == Status.OK


def test_a_request_that_only_trickles_in_does_not_hold_its_place(narrow: Wire, small: DubboProgram) -> None:
    before = small.metric("connections_closed_total", reason="slow_writer")
    narrow.write(Header(1, 50_000, request=True, two_way=True).pack() + b"\x00")
    eventually(lambda: small.metric("in_flight_bytes") == 50_000)
    assert narrow.ends()
    eventually(lambda: small.metric("connections_closed_total", reason="slow_writer") == before + 1)
    assert (small.metric("in_flight_bytes"), small.metric("requests_in_flight")) == (0, 0)


def test_a_caller_that_does_not_read_is_cut_off(small: DubboProgram) -> None:
    shared = ["x" * 30_000]
    content = body("any", "Ljava/util/List;", [shared, shared])
    frame = Header(1, len(content), request=True, two_way=True).pack() + content

    def cut_off() -> float:
        # By the answers that wait, when several come at once; else because nothing more is read of a silent caller.
        return sum(small.metric("connections_closed_total", reason=reason) for reason in ("slow_reader", "idle"))

    before = cut_off()
    with Wire(HOST, small.port, timeout_s=20) as connection:
        # Far more than the kernel holds for both sides.
        with pytest.raises(ConnectionError):
            connection.write(frame * (100 << 20 >> 15))
        eventually(lambda: cut_off() == before + 1)
