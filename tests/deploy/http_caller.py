"""The platform's API over HTTP, as one caller."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import msgspec


class Http:
    """The API as one caller."""

    def __init__(self, session: aiohttp.ClientSession, base: str, token: str = "") -> None:
        self._session, self._base = session, base
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def nobody(self) -> Http:
        """The API without a token."""
        return Http(self._session, self._base)

    async def follow(self, path: str, last: str = "") -> AsyncGenerator[tuple[str, str, Any], None]:
        """Yield (event, id, data) of a stream of server-sent events."""
        headers = self._headers | ({"Last-Event-ID": last} if last else {})
        async with self._session.get(self._base + path, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            fields: dict[str, str] = {}
            async for raw in answer.content:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    yield "heartbeat", "", None
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields:
                    yield fields["event"], fields.get("id", ""), msgspec.json.decode(fields["data"])
                    fields = {}

    async def ask(self, method: str, path: str, document: Any = None, *, status: int = 200) -> Any:
        """Return the decoded answer, or its text for an event stream."""
        async with self._session.request(method, self._base + path, json=document, headers=self._headers) as answer:
            raw = await answer.read()
            assert answer.status == status, f"{method} {path}: {answer.status} {raw.decode()}"
            return msgspec.json.decode(raw) if "json" in answer.content_type else raw.decode()


async def done(http: Http, method: str, path: str, document: Any = None) -> str:
    """Send a change, follow its job to the end and return the events."""
    job = await http.ask(method, path, document, status=202)
    text: str = await http.ask("GET", f"/api/v1/jobs/{job['id']}/events")
    assert "event: end" in text, text
    return text
