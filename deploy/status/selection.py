"""Which rows of a list are wanted, and one page of them: pure.

Label selectors have Kubernetes' own grammar: `a=b`, `a==b`, `a!=b`, `a`, `!a`, `a in (x,y)`, `a notin (x,y)`, joined by
commas (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors). As there, `a!=b` and
`notin` also match what has no label `a`. A page ends at a row and the next begins after that row's key, so rows that
come or go between two pages are never told twice, and none that stays is left out.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.errors import Refusal, Refused
from deploy.status import STATES
from deploy.status.row import Row

Labels = Mapping[str, str]

_WORD = r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_SET = re.compile(rf"({_WORD})\s+(in|notin)\s*\(([^()]*)\)")
_EQUAL = re.compile(rf"({_WORD})\s*(==|=|!=)\s*({_VALUE})")
_EXISTS = re.compile(rf"(!?)\s*({_WORD})")
SELECTOR_CHARS_MAX = 4096


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for: rows of a namespace ("" = all), of one name, in these states, with these labels."""

    namespace: str = ""
    name: str = ""
    states: frozenset[str] = frozenset()
    labels: tuple[Callable[[Labels], bool], ...] = ()

    def has(self, row: Row) -> bool:
        """Return whether this row is asked for."""
        return (
            (not self.namespace or row.namespace == self.namespace)
            and (not self.name or row.name == self.name)
            and (not self.states or row.state in self.states)
            and all(match(row.labels) for match in self.labels)
        )


def selection(*, namespace: str = "", name: str = "", states: Sequence[str] = (), selector: str = "") -> Selection:
    """Return what to select. Raises Refused for an unknown state or a selector that is none."""
    unknown = [state for state in states if state not in STATES]
    if unknown:
        raise Refused([Refusal("state", unknown[0], f"a state is one of {', '.join(STATES)}")])
    return Selection(namespace, name, frozenset(states), matchers(selector))


def matchers(selector: str) -> tuple[Callable[[Labels], bool], ...]:
    """Return one test per requirement of a label selector. Raises Refused."""
    if len(selector) > SELECTOR_CHARS_MAX:
        rule = f"a selector has at most {SELECTOR_CHARS_MAX} characters"
        raise Refused([Refusal("selector", f"{len(selector)} characters", rule)])
    # A comma inside brackets belongs to a set.
    parts = [part.strip() for part in re.split(r",(?![^(]*\))", selector)] if selector.strip() else []
    return tuple(_matcher(part, selector) for part in parts)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, the token of the next page ("" = this is the last), and how many rows are left after this page."""

    rows: tuple[Row, ...]
    next: str
    remaining: int


def page(rows: Iterable[Row], wanted: Selection, *, limit: int, after: str = "") -> Page:
    """Return the page that begins after the token `after`. Rows come sorted. Raises Refused for a token of no list."""
    last = _key(after) if after else ("", "")
    found = [row for row in rows if (row.namespace, row.name) > last and wanted.has(row)]
    shown = found[:limit]
    left = len(found) - len(shown)
    return Page(tuple(shown), _token(shown[-1]) if left and shown else "", left)


def _matcher(part: str, selector: str) -> Callable[[Labels], bool]:
    if found := _SET.fullmatch(part):
        key, word, inside = found.groups()
        values = frozenset(value.strip() for value in inside.split(","))
        if word == "in":
            return lambda labels: key in labels and labels[key] in values
        return lambda labels: key not in labels or labels[key] not in values
    if found := _EQUAL.fullmatch(part):
        key, sign, value = found.groups()
        if sign == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.fullmatch(part):
        absent, key = bool(found.group(1)), found.group(2)
        return lambda labels: (key not in labels) is absent
    rule = f"{part!r} is no requirement; there are a=b, a!=b, a, !a, a in (x,y) and a notin (x,y)"
    raise Refused([Refusal("selector", selector, rule)])


def _token(row: Row) -> str:
    return base64.urlsafe_b64encode(f"{row.namespace}/{row.name}".encode()).decode()


def _key(token: str) -> tuple[str, str]:
    try:
        namespace, slash, name = base64.urlsafe_b64decode(token.encode()).decode().partition("/")
    except ValueError:
        slash = ""
    if not slash:
        raise Refused([Refusal("continue", token, "it is no token of a page before")])
    return namespace, name
