"""Following models: the list once, then every change of a row, as server-sent events.

    event: model     a row that was added or has changed
    event: removed   {"namespace", "name"} of a row that went, or that is not selected any more
    event: listed    the rows before it are the whole list; its id is where to resume
    event: reset     what came before is void: the whole list follows
    : …              a heartbeat

Every change carries an id. A client that comes back with it (`Last-Event-ID`, or `?after=`) gets exactly what it
missed; when that is not known any more it gets `reset` and the whole list. The caller's right to list is asked for
again at each heartbeat, and a stream ends after `platform.watch_max`, so a right that was taken away ends it.
"""

# FastAPI reads the annotations of a route, and `who` is known only inside the function: they must not become text.
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query
from fastapi.responses import StreamingResponse

from deploy.api.answers import Sight, sent
from deploy.api.openapi import streamed
from deploy.api.streams import Streams
from deploy.cluster.cache import ModelCache
from deploy.errors import Denied, Unavailable
from deploy.status.feed import Change
from deploy.status.selection import Selection, selection
from milepost.auth import AuthUnavailable, Caller


@dataclass(frozen=True, slots=True)
class Watches:
    """What every watch needs, and its longest time in seconds."""

    sight: Sight
    cache: ModelCache
    streams: Streams
    max_s: float

    async def follow(self, caller: Caller, wanted: Selection, after: str) -> StreamingResponse:
        """Return the stream of what a caller asks for. Raises Denied or Unavailable."""
        await self.sight.check(caller, wanted.namespace)
        if not self.cache.ready:
            raise Unavailable("the models are not listed yet")
        return self.streams.answer(self._events(caller, wanted, after))

    async def _events(self, caller: Caller, wanted: Selection, mark: str) -> AsyncIterator[str]:
        begun = checked = time.monotonic()
        while not self.streams.closing and time.monotonic() - begun < self.max_s:
            changed, missed = self.cache.feed.changed, self.cache.feed.since(mark)
            # The rows and the mark are of one moment: nothing is awaited in between.
            told = self._whole(wanted, anew=bool(mark)) if missed is None else _told(missed, wanted)
            mark = self.cache.feed.mark
            for event in told:
                yield event
            if missed is not None and not missed and not await self.streams.woken(changed):
                yield ": nothing new\n\n"
            if time.monotonic() - checked >= self.streams.heartbeat_s:
                checked = time.monotonic()
                if not await self._may_go_on(caller, wanted.namespace):
                    yield sent("end", {"reason": f"{caller.name} may not list these models any more"})
                    return

    def _whole(self, wanted: Selection, *, anew: bool) -> list[str]:
        begun = [sent("reset", {})] if anew else []
        rows = [sent("model", row) for row in self.cache.rows(wanted.namespace) if wanted.has(row)]
        listed = sent("listed", {"stale_since": self.cache.stale_since}, id_=self.cache.feed.mark)
        return [*begun, *rows, listed]

    async def _may_go_on(self, caller: Caller, namespace: str) -> bool:
        try:
            await self.sight.check(caller, namespace)
        except (Denied, AuthUnavailable):
            return False
        return True


def add_watches(app: FastAPI, who: Any, watches: Watches) -> None:
    """Add the routes that follow all models, or one."""

    told = streamed("The models, then every change of one.")

    @app.get("/api/v1/watch", response_class=StreamingResponse, responses=told)
    async def watch_all(
        caller: who,
        *,
        namespace: str = "",
        state: Annotated[list[str] | None, Query()] = None,
        selector: str = "",
        after: str = "",
        last_event_id: Annotated[str, Header()] = "",
    ) -> StreamingResponse:
        """Follow the models of a namespace, or of all, with the filters of the list."""
        wanted = selection(namespace=namespace, states=state or (), selector=selector)
        return await watches.follow(caller, wanted, last_event_id or after)

    @app.get("/api/v1/models/{namespace}/{name}/watch", response_class=StreamingResponse, responses=told)
    async def watch_one(
        caller: who, namespace: str, name: str, *, after: str = "", last_event_id: Annotated[str, Header()] = ""
    ) -> StreamingResponse:
        """Follow one model, also one that does not exist yet."""
        return await watches.follow(caller, selection(namespace=namespace, name=name), last_event_id or after)


def _told(changes: Sequence[Change], wanted: Selection) -> list[str]:
    """Return the events of these changes for a follower; one that does not concern it is left out."""
    told = []
    for change in changes:
        if change.after is not None and wanted.has(change.after):
            told.append(sent("model", change.after, id_=change.mark))
        elif change.before is not None and wanted.has(change.before):
            gone = {"namespace": change.before.namespace, "name": change.before.name}
            told.append(sent("removed", gone, id_=change.mark))
    return told
