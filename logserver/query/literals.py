r"""What a text must contain to match an RE2 expression: literals that the store can look for before it runs RE2.

A *clause* is a set of literals of which a matching text has at least one; a *requirement* is a list of clauses that all
hold. `Predict (failed|timed out) after \d+ ms` requires `Predict `, one of `failed` and `timed out`, ` after ` and
` ms`. The requirement follows from the expression and never the other way round: it may be weaker, also empty, never
stronger. What this parser does not surely understand (`\Q…\E`, octal escapes) it gives up on.

Syntax: https://github.com/google/re2/wiki/Syntax. The expression has been compiled by RE2 before it comes here, so
errors need no detection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LITERAL_CHARS_MIN = 3
"""Shorter literals are in nearly every line."""
ALTERNATIVES_MAX = 50

_REPEAT = re.compile(r"\{(\d+)(?:,\d*)?\}")
_GROUP = re.compile(r"\?(?:P?<\w+>|([imsU]*(?:-[imsU]+)?)([:)]))")
_HEX = re.compile(r"x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))")
_PROPERTY = re.compile(r"[pP](?:\{\^?\w+\}|[A-Z])")
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_CLASSES = frozenset("dDsSwWbBAzC")
# Letters that fold to a letter beyond ASCII (the Kelvin sign, the long s), which a search for ASCII letters misses.
_ASCII_FOLDED = re.compile(r"[^kKsS\u0080-\U0010ffff]+")

Clause = frozenset[str]


@dataclass(frozen=True, slots=True)
class Requirement:
    """Clauses that all hold; `fold_case` when only the ASCII letters' case may differ from the text's."""

    clauses: tuple[Clause, ...] = ()
    fold_case: bool = False

    @property
    def strongest(self) -> Clause:
        """The clause that fewest texts will have, by the length of its shortest literal; empty when there is none."""
        useful = [clause for clause in self.clauses if _shortest(clause) >= LITERAL_CHARS_MIN]
        return max(useful, key=_shortest, default=frozenset())

    @property
    def certain(self) -> tuple[str, ...]:
        """The literals that every matching text has, byte for byte."""
        return (
            ()
            if self.fold_case
            else tuple(literal for clause in self.clauses if len(clause) == 1 for literal in clause)
        )


def requirement(expression: str, *, ignore_case: bool = False) -> Requirement:
    """Return what a text must contain to match this RE2 expression."""
    parser = _Parser(expression)
    try:
        clauses = parser.alternation()
    except _UnclearError:
        return Requirement()
    fold_case = ignore_case or parser.folds_case
    if fold_case:
        clauses = [folded for clause in clauses if (folded := _ascii_folded(clause))]
    return Requirement(tuple(dict.fromkeys(clauses)), fold_case)


class _UnclearError(Exception):
    """The expression has something that this parser does not follow."""


class _Parser:
    """Walks an expression once; every method returns the clauses of what it has walked over."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.folds_case = False

    def alternation(self) -> list[Clause]:
        """Walk to the end of the group."""
        branches = [self._sequence()]
        while self._next("|"):
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        # A matching text matches one of the branches: it has a literal of that branch's best clause.
        best = [max(clauses, key=_shortest, default=frozenset[str]()) for clauses in branches]
        together = frozenset[str]().union(*best)
        return [together] if all(best) and len(together) <= ALTERNATIVES_MAX else []

    def _sequence(self) -> list[Clause]:
        clauses: list[Clause] = []
        run = ""
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            piece = self._piece()
            times_min = self._times_min()
            if isinstance(piece, str):
                if times_min is None:
                    run += piece
                    continue
                run += piece if times_min else ""
                piece = []
            clauses += _run(run)
            run = ""
            clauses += piece if times_min != 0 else []
        return clauses + _run(run)

    def _piece(self) -> str | list[Clause]:
        """Walk over one character, class, anchor or group; a literal character is returned as such."""
        char = self._text[self._at]
        self._at += 1
        if char == "(":
            return self._group()
        if char == "[":
            self._skip_class()
            return []
        if char == "\\":
            return self._escape()
        return [] if char in ".^$" else char

    def _group(self) -> list[Clause]:
        if self._text.startswith("?", self._at):
            match = _GROUP.match(self._text, self._at)
            if not match:
                raise _UnclearError
            self._at = match.end()
            # Case folding that ends with its group is taken for the whole expression: that requires less.
            self.folds_case |= "i" in (match[1] or "").partition("-")[0]
            if match[2] == ")":
                return []
        clauses = self.alternation()
        if not self._next(")"):
            raise _UnclearError
        return clauses

    def _skip_class(self) -> None:
        start = self._at + self._text.startswith("^", self._at)
        self._at = start
        while self._at == start or not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise _UnclearError
            named_end = self._text.find(":]", self._at + 2) if self._text.startswith("[:", self._at) else -1
            if named_end >= 0:
                self._at = named_end + 2
            elif self._text.startswith("\\Q", self._at):
                raise _UnclearError
            else:
                self._at += 2 if self._text[self._at] == "\\" else 1
        self._at += 1

    def _escape(self) -> str | list[Clause]:
        char = self._text[self._at : self._at + 1]
        if char in _CLASSES and char:
            self._at += 1
            return []
        if match := _PROPERTY.match(self._text, self._at):
            self._at = match.end()
            return []
        if match := _HEX.match(self._text, self._at):
            self._at = match.end()
            code = int(match[1] or match[2], 16)
            if code == 0 or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
                raise _UnclearError
            return chr(code)
        self._at += 1
        if char in _CONTROLS:
            return _CONTROLS[char]
        if not char.isascii() or char.isalnum() or not char:
            raise _UnclearError
        return char

    def _times_min(self) -> int | None:
        """Walk over what repeats the piece before and return how often it comes at least; None for once, exactly."""
        times_min: int | None = None
        while self._at < len(self._text):
            if match := _REPEAT.match(self._text, self._at):
                self._at, least = match.end(), int(match[1])
            elif self._text[self._at] in "*+?":
                least = int(self._text[self._at] == "+")
                self._at += 1
            else:
                break
            self._next("?")  # prefers fewer: matches the same texts
            times_min = least if times_min is None else min(times_min, least)
        return times_min

    def _next(self, char: str) -> bool:
        found = self._text.startswith(char, self._at)
        self._at += found
        return found


def _run(literal: str) -> list[Clause]:
    return [frozenset((literal,))] if literal else []


def _shortest(clause: Clause) -> int:
    return min(map(len, clause), default=0)


def _ascii_folded(clause: Clause) -> Clause:
    """Return the longest part of each literal that is found whatever its case; empty when a literal has none."""
    parts = [max(_ASCII_FOLDED.findall(literal), key=len, default="") for literal in clause]
    return frozenset(part.lower() for part in parts) if all(parts) else frozenset()
