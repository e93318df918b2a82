"""Who may read which namespaces: the right to get `pods/log` there, as `kubectl logs` needs it.

A query for named namespaces returns the allowed ones and names the refused; if all are refused it is a 403. A query
that names none needs the right in all namespaces, else it is narrowed to those of the store that the caller may read.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from fastapi import Request

from logserver.query.filters import STREAM_FIELDS, Selection
from logserver.query.match import Matcher
from logserver.read.lines import values_of
from logserver.read.reader import Reader
from milepost.auth import Authorizer, Caller, bearer_token
from milepost.problem import Problem


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is left of a selection for a caller, and the namespaces it was refused."""

    selection: Selection
    refused: tuple[str, ...] = ()


class Gate:
    """Asks the authorizer about namespaces."""

    def __init__(self, authorizer: Authorizer, reader: Reader) -> None:
        self._authorizer = authorizer
        self._reader = reader

    async def caller(self, request: Request) -> Caller:
        """Return who asks; raises Unauthenticated or AuthUnavailable."""
        return await self._authorizer.authenticate(bearer_token(request.headers.get("authorization")))

    async def narrow(self, caller: Caller, selection: Selection) -> Allowed:
        """Return what the caller may read of a selection; raises Problem (403) when that is nothing."""
        named = selection.exact_values("namespace")
        if not named:
            if await self._may_read(caller, ""):
                return Allowed(selection)
            named = await self._stored_namespaces(selection)
        if len(named) > self._reader.settings.namespaces_max:
            raise Problem(
                403,
                f"the query spans {len(named)} namespaces, more than query.namespaces_max="
                f"{self._reader.settings.namespaces_max}: name the ones you need",
            )
        answers = await asyncio.gather(*(self._may_read(caller, namespace) for namespace in named))
        allowed = tuple(namespace for namespace, answer in zip(named, answers, strict=True) if answer)
        refused = tuple(namespace for namespace, answer in zip(named, answers, strict=True) if not answer)
        if not allowed:
            where = f"namespace {', '.join(refused)}" if refused else "any namespace"
            raise Problem(403, f"{caller.name} may not get pods/log in {where}", refused_namespaces=refused)
        return Allowed(replace(selection, namespaces=allowed) if refused else selection, refused)

    async def namespace(self, caller: Caller, namespace: str) -> None:
        """Raise Problem (403) unless the caller may read this namespace."""
        if not await self._may_read(caller, namespace):
            raise Problem(403, f"{caller.name} may not get pods/log in namespace {namespace}")

    async def everything(self, caller: Caller) -> None:
        """Raise Problem (403) unless the caller may read all namespaces."""
        if not await self._may_read(caller, ""):
            raise Problem(403, f"{caller.name} may not get pods/log in all namespaces, which this answer needs")

    async def _may_read(self, caller: Caller, namespace: str) -> bool:
        return await self._authorizer.allowed(
            caller, verb="get", group="", resource="pods", subresource="log", namespace=namespace
        )

    async def _stored_namespaces(self, selection: Selection) -> tuple[str, ...]:
        rows = await self._reader.rows("SELECT namespace FROM lines GROUP BY namespace ORDER BY namespace")
        names = [str(name) for name in values_of(rows.column("namespace"))] if rows.num_rows else []
        matcher = Matcher(Selection(tuple(item for item in selection.fields if item.field == "namespace")))
        blank = ("",) * (len(STREAM_FIELDS) - 1)
        return tuple(name for name in names if matcher.wants_stream((name, *blank)))
