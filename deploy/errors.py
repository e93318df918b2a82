"""What can go wrong on the platform, drawn as a tree and split by who must act.

PlatformError
├── Refused        the spec or the request is at fault: its author changes it (carries every Refusal found)
├── Denied         the caller lacks a right: an administrator grants it
├── Absent         the model, revision or object does not exist
├── Conflict       somebody changed the object in between: read it again and retry
├── Busy           another operation holds the model's lock: wait, or abort that operation
├── Unavailable    the API server or a metrics source does not answer: retry later
└── Broken         an invariant of this program does not hold: fix the program
"""

# ruff: noqa: N818 - the names say what happened; the common root says that they are errors
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why a spec, a patch or a request is refused: the field, the value it has, and the rule it breaks."""

    field: str
    value: Any
    rule: str

    def __str__(self) -> str:
        return f"{self.field} is {self.value!r}: {self.rule}"


class PlatformError(Exception):
    """The root of the tree."""


class Refused(PlatformError):
    """The input is at fault; `refusals` holds every reason, never only the first."""

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("; ".join(map(str, self.refusals)))


class Denied(PlatformError):
    """The caller may not do this."""


class Absent(PlatformError):
    """There is no such model, revision or object."""


class Conflict(PlatformError):
    """The object changed since it was read."""


class Busy(PlatformError):
    """Another operation holds the model's lock."""


class Unavailable(PlatformError):
    """A server that is needed does not answer."""


class Broken(PlatformError):
    """The program contradicts itself."""
