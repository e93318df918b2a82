"""The brake on bad documents: too many of them means the topic is not what we think, so consumption stops."""

from __future__ import annotations

from collections import deque

from logserver.errors import TooManyRejects


class RejectBrake:
    """Measures the part of bad documents over a sliding window of whole batches."""

    def __init__(self, *, ratio_max: float, window: int) -> None:
        self._ratio_max = ratio_max
        self._window = window
        self._batches: deque[tuple[int, int]] = deque()
        self._documents = 0
        self._bad = 0

    def restart(self, documents: int, bad: int) -> None:
        """Begin anew behind documents that were stored before, so that no restart opens a new window for rubbish."""
        self._batches = deque([(documents, bad)])
        self._documents, self._bad = documents, bad

    def check(self, documents: int, bad: int) -> None:
        """Count one batch; raises TooManyRejects when the window is full and more than the ratio of it is bad.

        A batch that is good enough itself passes, whatever came before it.
        """
        self._batches.append((documents, bad))
        self._documents += documents
        self._bad += bad
        while self._documents - self._batches[0][0] >= self._window:
            oldest = self._batches.popleft()
            self._documents -= oldest[0]
            self._bad -= oldest[1]
        full = self._documents >= self._window
        if full and self._is_bad(documents, bad) and self._is_bad(self._documents, self._bad):
            raise TooManyRejects(
                f"{self._bad} of the last {self._documents} documents are bad, more than "
                f"ingest.reject_ratio={self._ratio_max:g} allows: is this a topic of Filebeat documents? The last "
                "batch was not stored; see the table rejects for the reasons of those before"
            )

    def _is_bad(self, documents: int, bad: int) -> bool:
        return bad > self._ratio_max * documents
