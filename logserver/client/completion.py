"""Completion of names in the shell: the values the log-server has, asked for quickly or not at all."""

from __future__ import annotations

import asyncio

import click
from click.shell_completion import CompletionItem

from logserver.client.http import ClientError, LogClient

ANSWER_SECONDS_MAX = 1.5
VALUES_MAX = 50
_NARROWING = ("namespace", "model", "pod")


class FieldValues:
    """Completes an option with the values of one field that start with what is typed.

    The filters typed so far narrow the values. A server that cannot be reached completes nothing: a shell must not
    hang or print errors.
    """

    def __init__(self, field: str) -> None:
        self._field = field

    def __call__(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the candidates for click."""
        params = [("prefix", incomplete), ("limit", str(VALUES_MAX))]
        for name in _NARROWING:
            if name != self._field:
                params += [(name, value) for value in ctx.params.get(name) or ()]
        server, token = str(ctx.params.get("server") or ""), ctx.params.get("token")
        try:
            return [CompletionItem(value) for value in asyncio.run(self._values(server, token, params))]
        except (ClientError, TimeoutError):
            return []

    async def _values(self, server: str, token: str | None, params: list[tuple[str, str]]) -> list[str]:
        async with asyncio.timeout(ANSWER_SECONDS_MAX), LogClient(server, token) as client:
            answer = await client.json(f"/api/v1/fields/{self._field}/values", params)
        values = answer.get("values", []) if isinstance(answer, dict) else []
        return [str(value["value"] if isinstance(value, dict) else value) for value in values]
