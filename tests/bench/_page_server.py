"""Model servers' pages at the addresses of thousands of pods, from one cheap process of its own.

It answers any request on its first port with the page that Seldon's orchestrator has for REST requests to one unit, its
counters growing all the time, and on its second port with an empty page, as a unit without metrics of its own has. No
web framework: the measured program and this one share two cores.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
REQUESTS_PER_S = 20.0
_LABELS = (
    'deployment_name="model",method="post",model_image="registry.example.test/team/classifier",'
    'model_name="classifier",model_version="1.4.2",predictor_name="default",predictor_version=""'
)
_FRONT = 'deployment_name="model",method="post",predictor_name="default",predictor_version=""'
_OTHERS = "".join(
    f"# HELP go_other_{n} Something of the Go runtime.\n# TYPE go_other_{n} gauge\ngo_other_{n} {n}\n"
    for n in range(40)
)


def orchestrator_page(elapsed_s: float) -> bytes:
    """Return the page of an orchestrator that has answered requests for so long, one in 50 with an error."""
    text = [_OTHERS]
    for family, labels, service in (("client", _LABELS, "/predict"), ("server", _FRONT, "predictions")):
        name = f"seldon_api_executor_{family}_requests_seconds"
        text.append(f"# HELP {name} A histogram of latencies.\n# TYPE {name} histogram\n")
        for code, share in (("200", 0.98), ("500", 0.02)):
            count = int(elapsed_s * REQUESTS_PER_S * share)
            full = f'code="{code}",{labels},service="{service}"'
            for number, bound in enumerate(BOUNDS):
                text.append(f'{name}_bucket{{{full},le="{bound}"}} {count * (number + 1) // len(BOUNDS)}\n')
            text.append(f'{name}_bucket{{{full},le="+Inf"}} {count}\n')
            text.append(f"{name}_sum{{{full}}} {count * 0.0421!r}\n{name}_count{{{full}}} {count}\n")
        summary = f'{name}_summary{{code="200",{labels},service="{service}",quantile='
        text += [f'{summary}"{quantile}"}} 0.042\n' for quantile in ("0.5", "0.9", "0.99")]
    return "".join(text).encode()


@contextmanager
def page_server(ports: tuple[int, int]) -> Iterator[None]:
    """Serve on all addresses of this machine for as long as the context is open."""
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(ports,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


class _Answer(asyncio.Protocol):
    def __init__(self, bodies: list[bytes], number: int) -> None:
        self._bodies = bodies
        self._number = number
        self._asked = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._asked += data
        if self._asked.endswith(b"\r\n\r\n"):
            self._transport.write(self._bodies[self._number])
            self._transport.close()


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def _serve(ports: tuple[int, int]) -> None:
    async def run() -> None:
        started = time.monotonic()
        bodies = [_answer(orchestrator_page(0.0)), _answer(b"")]
        loop = asyncio.get_running_loop()
        for number, port in enumerate(ports):
            await loop.create_server(partial(_Answer, bodies, number), "0.0.0.0", port, backlog=1024)
        while True:
            bodies[0] = _answer(orchestrator_page(time.monotonic() - started))
            await asyncio.sleep(1)

    asyncio.run(run())
