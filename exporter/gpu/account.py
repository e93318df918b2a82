"""Card-seconds by container: a counter that NVML does not have, summed up from its shares of time.

The driver samples which process runs on a card several times a second. Asked for everything since a moment, it answers
with each process's average share since then; share x time is the card-seconds of that stretch, and the stretches
follow each other without gap or overlap. So however rarely the card is read, the sum is right, and `rate()` of it is
the number of cards in use. What is lost is the last stretch of a process that ended before it was read.

The counter belongs to the container and not to the process: it stays when the process ends and goes on with the next.
It is forgotten when the container has not been seen for `KEEP_S`.

`ratio` is the share over the last `WINDOW_S` (or since the reading before, when that is longer ago), so that it does
not depend on how many scrapers ask: of two that come a few milliseconds apart, the second would find nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

WINDOW_S = 10.0
KEEP_S = 600.0
OWNERS_MAX = 4096
"""Containers counted on one card; the ones idle for longest make room."""


@dataclass(slots=True)
class _Card:
    seconds: dict[str, float] = field(default_factory=dict)
    seen_us: dict[str, int] = field(default_factory=dict)
    history: deque[tuple[int, dict[str, float]]] = field(default_factory=deque)


class CardSeconds:
    """Sums up the card-seconds of containers on the cards of a node."""

    def __init__(self) -> None:
        self._cards: dict[str, _Card] = {}

    def add(self, gpu: str, shares: Mapping[str, float], since_us: int, until_us: int, *, now: Iterable[str]) -> None:
        """Add one stretch of a card's time: each container's share (0 to 1) of it; `now` are those with processes."""
        card = self._cards.setdefault(gpu, _Card())
        if not card.history:
            card.history.append((since_us, {}))
        stretch_s = max(0, until_us - since_us) / 1e6
        for owner, share in shares.items():
            card.seconds[owner] = card.seconds.get(owner, 0.0) + share * stretch_s
        for owner in {*shares, *now}:
            card.seconds.setdefault(owner, 0.0)
            card.seen_us[owner] = until_us
        self._forget(card, until_us)
        if until_us > card.history[-1][0]:
            card.history.append((until_us, dict(card.seconds)))
        while len(card.history) > 2 and card.history[1][0] <= until_us - WINDOW_S * 1e6:
            card.history.popleft()

    def owners(self, gpu: str) -> list[str]:
        """Return the containers that have used the card, in the order in which they came."""
        return list(self._cards[gpu].seconds) if gpu in self._cards else []

    def seconds(self, gpu: str, owner: str) -> float:
        """Return the card-seconds of a container since the exporter's start."""
        return self._cards[gpu].seconds.get(owner, 0.0) if gpu in self._cards else 0.0

    def ratio(self, gpu: str, owner: str) -> float:
        """Return the container's share of the card over the last window, 0 to 1."""
        if gpu not in self._cards:
            return 0.0
        history = self._cards[gpu].history
        (start_us, before), (end_us, after) = history[0], history[-1]
        if end_us <= start_us:
            return 0.0
        used_s = after.get(owner, 0.0) - before.get(owner, 0.0)
        return min(1.0, max(0.0, used_s * 1e6 / (end_us - start_us)))

    def _forget(self, card: _Card, until_us: int) -> None:
        gone = [owner for owner, seen in card.seen_us.items() if until_us - seen > KEEP_S * 1e6]
        if len(card.seen_us) - len(gone) > OWNERS_MAX:
            by_age = sorted(card.seen_us, key=card.seen_us.__getitem__)
            gone = by_age[: len(by_age) - OWNERS_MAX]
        for owner in gone:
            del card.seen_us[owner]
            del card.seconds[owner]
