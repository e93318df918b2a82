"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass

from logserver.api.access import Gate
from logserver.follow.hub import Hub
from logserver.metrics import Metrics
from logserver.read.reader import Reader


@dataclass(frozen=True, slots=True)
class Reading:
    """The open parts of the read side."""

    reader: Reader
    hub: Hub
    gate: Gate
    metrics: Metrics
