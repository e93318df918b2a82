"""A model server of the tests: TF Serving's, Seldon's and the V2 protocol on one port, and every way to fail.

What it computes is simple enough to be known beforehand: the sum of a row, the number of bytes of a picture.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web

SLOW_S = 1.5


@dataclass
class Seen:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: Any = field(default=None)


class ModelServer:
    """Serves in a thread of its own; a context manager. `seen` are all requests so far."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.finished = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ModelServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.add_routes(
            [
                web.post("/v1/models/{model}:predict", self._tensorflow),
                web.post("/api/v1.0/predictions", self._seldon),
                web.post("/v2/models/{model}/infer", self._v2),
                web.post("/any/{model}", self._any),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def _body(self, request: web.Request) -> Any:
        # As TF Serving does, and unlike the standard: NaN is a word of JSON.
        body = json.loads(await request.read())
        self.seen.append(Seen(request.path_qs, dict(request.headers), body))
        return body

    async def _tensorflow(self, request: web.Request) -> web.StreamResponse:
        body, model = await self._body(request), request.match_info["model"]
        odd = await _odd(model)
        if odd is not None:
            return odd
        if "inputs" in body:
            return web.json_response({"outputs": body["inputs"]})
        self.finished += 1
        return web.json_response({"predictions": [_figure(instance) for instance in body["instances"]]})

    async def _seldon(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        rows = [[_figure(row)] for row in body["data"]["ndarray"]]
        return web.json_response({"data": {"names": ["sum"], "ndarray": rows}, "meta": {}})

    async def _v2(self, request: web.Request) -> web.StreamResponse:
        (tensor,) = (await self._body(request))["inputs"]
        size = 1
        for dimension in tensor["shape"]:
            size *= dimension
        if size != len(tensor["data"]):
            return web.json_response({"error": "the shape does not fit the data"}, status=400)
        output = {"name": "sum", "shape": [1], "datatype": "FP64", "data": [float(sum(tensor["data"]))]}
        return web.json_response({"model_name": request.match_info["model"], "outputs": [output]})

    async def _any(self, request: web.Request) -> web.StreamResponse:
        """Return what was sent."""
        return web.json_response(await self._body(request))


def _figure(instance: Any) -> Any:
    if isinstance(instance, dict) and "b64" in instance:
        return len(base64.b64decode(instance["b64"]))
    if isinstance(instance, dict):
        return {"user": instance.get("user"), "risk": sum(instance.get("features") or [0.0]), "rows": 3_000_000_000}
    if isinstance(instance, str):
        return instance.upper()
    return sum(instance) if isinstance(instance, list) else instance


async def _odd(model: str) -> web.StreamResponse | None:
    if model == "slow":
        await asyncio.sleep(SLOW_S)
    elif model == "unhurried":
        await asyncio.sleep(0.2)
    elif model == "broken":
        return web.json_response({"error": "Matrix size-incompatible: In[0]: [1,3], In[1]: [4,1]"}, status=400)
    elif model == "no-json":
        return web.Response(text="<html>it works</html>")
    elif model == "huge":
        return web.json_response({"predictions": ["x" * 1000] * 40_000})
    elif model == "big-number":
        return web.json_response({"predictions": [2**70]})
    elif model == "moved":
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})
    return None
