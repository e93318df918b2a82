"""Kubernetes quantities: `250m`, `12345678n`, `71680Ki`, `1.5Gi`, `1e3`.

The grammar is apimachinery's `pkg/api/resource/quantity.go`: a decimal number, then one suffix, binary (Ki...Ei),
decimal (n u m k M G T P E) or a decimal exponent.
"""

from __future__ import annotations

import re

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?\d+))?")
_FACTORS = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def parse_quantity(text: str) -> float:
    """Return the quantity in its base unit (cores, bytes, pieces). Raises ValueError naming the text."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a Kubernetes quantity")
    number, suffix, exponent = match.groups()
    if exponent:
        return float(f"{number}e{exponent}")
    return float(number) * _FACTORS[suffix] if suffix else float(number)
