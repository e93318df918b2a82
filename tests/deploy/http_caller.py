"""The platform's API over HTTP, as one caller; every answer is held to what the server's OpenAPI document says."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import jsonschema_rs
import msgspec


class Contract:
    """What an OpenAPI document says about answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        # A fixed word of a path wins over a parameter in its place.
        self._paths = sorted(document["paths"], key=lambda path: path.count("{"))

    def hold(self, method: str, path: str, status: int, media_type: str, raw: bytes) -> None:
        """Fail when an answer is none of those documented for this request."""
        asked = path.partition("?")[0]
        template = next(one for one in self._paths if re.fullmatch(re.sub(r"{\w+}", "[^/]+", one), asked))
        documented = self._document["paths"][template][method.lower()]["responses"]
        assert str(status) in documented, f"{method} {template} does not document {status}"
        content = documented[str(status)]["content"]
        assert media_type in content, f"{method} {template} answers {status} with {media_type}, not {list(content)}"
        if media_type != "text/event-stream":
            schema = {**content[media_type]["schema"], "components": self._document["components"]}
            jsonschema_rs.validate(schema, msgspec.json.decode(raw))


class Http:
    """The API as one caller."""

    def __init__(self, session: aiohttp.ClientSession, base: str, token: str = "") -> None:
        self._session, self._base = session, base
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._contract: Contract | None = None

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
            (await self._promised()).hold(method, path, status, answer.content_type, raw)
            return msgspec.json.decode(raw) if "json" in answer.content_type else raw.decode()

    async def _promised(self) -> Contract:
        if self._contract is None:
            async with self._session.get(f"{self._base}/openapi.json") as answer:
                self._contract = Contract(await answer.json())
        return self._contract


async def done(http: Http, method: str, path: str, document: Any = None) -> str:
    """Send a change, follow its job to the end and return the events."""
    job = await http.ask(method, path, document, status=202)
    text: str = await http.ask("GET", f"/api/v1/jobs/{job['id']}/events")
    assert "event: end" in text, text
    return text
