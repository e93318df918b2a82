"""A server of pages on loopback, for tests of those who read them."""

from __future__ import annotations

import asyncio

from aiohttp import web


class Pages:
    """A server of pages on loopback; the tokens it was asked with are in `asked`, the paths in `paths`."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.paths: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.append(request.headers.get("Authorization", ""))
        try:
            return await self._answer(request)
        finally:
            self.at_once -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        if request.path == "/slow":
            await asyncio.sleep(60)
        if request.path == "/brief":
            await asyncio.sleep(0.02)
        if request.path == "/elsewhere":
            raise web.HTTPFound("/page")
        if request.path == "/cut":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"only this")
            assert request.transport is not None
            request.transport.close()
            return response
        if request.path in self.answers:
            return web.Response(body=self.answers[request.path])
        raise web.HTTPNotFound

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"
