"""Texts as Java has them: a length counts UTF-16 units, and each unit is encoded by itself.

A character beyond the BMP is two units of three bytes (CESU-8). The four bytes of true UTF-8, which callers in other
languages write, are understood as two units.
"""

from __future__ import annotations

import re

from deploy.dubbo.hessian.values import HessianError

_CONTINUATION = bytes(range(0x80, 0xC0))
_FOUR_BYTES = bytes(set(range(256)) - set(range(0xF0, 0xF8)))
_SURROGATE = re.compile("[\ud800-\udfff]")
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")


def end_of_units(data: bytes, start: int, units: int) -> int:
    """Return where that many units end. Raises HessianError.

    Counts whole pieces, not bytes one by one: a piece of n bytes has at most n units, so it never takes too much.
    """
    position, missing, longest = start, units, start + 3 * units
    while missing > 0:
        piece = data[position : position + missing]
        if not piece:
            raise HessianError("the message ends within a string")
        if position > longest:
            raise HessianError("a string is not UTF-8: no character begins in it")
        position += len(piece)
        missing -= len(piece) if piece.isascii() else _units_in(piece)
    return min(len(data), _end_of_character(data, start, position))


def decoded(raw: bytes) -> str:
    """Return the text of these bytes. Raises HessianError."""
    try:
        if raw.isascii():
            return raw.decode("ascii")
        text = raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise HessianError(f"a string is not UTF-8: {error.reason}") from error
    if _SURROGATE.search(text) is None:
        return text
    # Half a pair alone is no character; JSON could not carry it.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def units_of(text: str) -> str:
    """Return the text with one Python character for each unit; half a pair becomes U+FFFD."""
    return text if text.isascii() else _BEYOND_BMP.sub(_pair, _SURROGATE.sub("\ufffd", text))


def _units_in(piece: bytes) -> int:
    return len(piece.translate(None, _CONTINUATION)) + len(piece.translate(None, _FOUR_BYTES))


def _end_of_character(data: bytes, start: int, position: int) -> int:
    """Return where the character ends that begins last before `position`; the byte after it may look like its part."""
    lead = position
    while lead > start:
        lead -= 1
        byte = data[lead]
        if not 0x80 <= byte < 0xC0:
            return lead + (1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
    return position


def _pair(match: re.Match[str]) -> str:
    beyond = ord(match[0]) - 0x10000
    return chr(0xD800 | beyond >> 10) + chr(0xDC00 | beyond & 0x3FF)
