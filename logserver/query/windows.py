"""Where to look first: a range cut into windows, the wanted end first.

The last lines of something are nearly always recent, so a page looks at a short window and then at longer ones: every
stored part that a window touches costs a millisecond, a further window four, and what prints seldom needs one more. How
much longer depends on how long the last one took: cheap and empty windows grow fast (a pod gone for days costs a
handful of queries), costly ones slowly (a text search stops close to its last hit).
"""

from __future__ import annotations

from dataclasses import dataclass

from logserver.query import Direction
from logserver.query.filters import Selection
from logserver.times import NS, TimeRange

_FIRST_NS = {"pod": 60 * NS, "model": 30 * NS, "namespace": 30 * NS}
_FIRST_OPEN_NS = 10 * NS
_GROWTH = ((0.02, 64), (0.2, 16), (float("inf"), 4))
"""(seconds the last window took at most, factor for the next one)."""


@dataclass(slots=True)
class Windows:
    """Cuts `whole` into windows without gap or overlap, in the order of `direction`.

    `oldest_ns` and `newest_ns` are where stored lines are dense: what lies beyond them is one window, whatever its
    length, so that a timestamp of 1970 or 2100 costs one query and no more.
    """

    whole: TimeRange
    direction: Direction
    length_ns: int
    oldest_ns: int
    newest_ns: int
    growth: int = 1

    @property
    def done(self) -> bool:
        """Whether the whole range was handed out."""
        return self.whole.start_ns >= self.whole.end_ns

    def next(self) -> TimeRange:
        """Return the next window and take it from the rest."""
        self.length_ns *= self.growth
        start, end = self.whole.start_ns, self.whole.end_ns
        if self.direction == "backward":
            cut = min(end, max(self.newest_ns, start)) - self.length_ns
            cut = max(start, cut) if cut > self.oldest_ns else start
            self.whole = TimeRange(start, cut)
            return TimeRange(cut, end)
        cut = max(start, min(self.oldest_ns, end)) + self.length_ns
        cut = min(end, cut) if cut < self.newest_ns else end
        self.whole = TimeRange(cut, end)
        return TimeRange(start, cut)

    def took(self, seconds: float) -> None:
        """Tell how long the last window took."""
        self.growth = next(factor for bound, factor in _GROWTH if seconds <= bound)


def first_length_ns(selection: Selection) -> int:
    """Return how long the first window is: the fewer lines a selection can have, the longer."""
    for field, length_ns in _FIRST_NS.items():
        if selection.exact_values(field):
            return length_ns
    return _FIRST_OPEN_NS
