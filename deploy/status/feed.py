"""The last changes of models, numbered, so that a follower who comes back gets exactly what it missed.

A change has a mark, `<epoch>-<number>`; the epoch is this process. A follower gives the mark of the last change it has
seen. When that is of another process, or older than the `kept` last changes, nobody can say what it missed: it is told
so (`since` gives None) and begins anew with the whole list. Followers have no queue each: they read the same ring at
their own pace, so a slow one costs no memory.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence

import msgspec

from deploy.status.row import Row


class Change(msgspec.Struct, frozen=True):
    """A row as it was and as it is now; None before it was there and after it has gone."""

    mark: str
    before: Row | None
    after: Row | None


class Feed:
    """The ring. Caller: `deploy.cluster.cache`, which publishes. Affects: nothing but itself; followers only read."""

    def __init__(self, kept: int, *, epoch: str = "") -> None:
        self._ring: deque[Change] = deque(maxlen=kept)
        self._epoch = epoch or secrets.token_hex(4)
        self._last = 0
        self.changed = asyncio.Event()

    @property
    def mark(self) -> str:
        """The mark of the last change."""
        return f"{self._epoch}-{self._last}"

    def publish(self, before: Row | None, after: Row | None) -> None:
        """Add a change, the oldest out, and wake every follower."""
        self._last += 1
        self._ring.append(Change(self.mark, before, after))
        self.changed.set()
        self.changed = asyncio.Event()

    def since(self, mark: str) -> Sequence[Change] | None:
        """Return the changes after this mark, or None when they are not known any more."""
        epoch, _, number = mark.rpartition("-")
        if epoch != self._epoch or not number.isdigit() or int(number) > self._last:
            return None
        missed = self._last - int(number)
        if missed > len(self._ring):
            return None
        return [self._ring[index] for index in range(len(self._ring) - missed, len(self._ring))]
