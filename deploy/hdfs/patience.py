"""How long to try again: pure, but for the clock it is given."""

from __future__ import annotations

from collections.abc import Callable

from deploy.hdfs.errors import Unreachable

FIRST_DELAY_S = 0.25
DELAY_MAX_S = 10.0


class Patience:
    """Counts from the last progress; each failure since then makes the next pause longer."""

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._since = clock()
        self._failures = 0

    def progressed(self) -> None:
        """Something arrived: start anew."""
        self._since = self._clock()
        self._failures = 0

    def pause_after(self, error: Unreachable) -> float:
        """Return the seconds to wait before the next try; raises Unreachable when there is to be none."""
        waited_s = self._clock() - self._since
        if waited_s >= self._limit_s:
            raise Unreachable(f"{error}; nothing arrived for {waited_s:.0f} s (--hdfs-patience)") from error
        self._failures += 1
        return float(min(FIRST_DELAY_S * 2 ** (self._failures - 1), DELAY_MAX_S, self._limit_s - waited_s))
