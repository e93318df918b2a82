"""Requests that are not as they should be: which parameter, with which value, and what is allowed.

Unlike a body, a query holds no secret here (tokens come in a header), so the rejected value is told.
"""

from __future__ import annotations

from typing import Any

from fastapi.exceptions import RequestValidationError

from milepost.problem import Problem

_SHOWN_CHARS_MAX = 60


def bad_parameter(parameter: str, detail: str) -> Problem:
    """Return the problem of a parameter that cannot be used."""
    return Problem(422, f"{parameter}: {detail}", slug="invalid-request", parameter=parameter)


def from_validation(error: RequestValidationError) -> Problem:
    """Return the problem of parameters whose types or bounds were not met; `faults` names each of them."""
    faults = [_fault(found) for found in error.errors()]
    detail = "; ".join(f"{fault['parameter']}: {fault['what']}" for fault in faults)
    return Problem(422, detail, slug="invalid-request", parameter=faults[0]["parameter"], faults=faults)


def _fault(found: dict[str, Any]) -> dict[str, Any]:
    context = found.get("ctx", {})
    # An unknown parameter is found by its model as a whole, which has no place of its own.
    parameter = str(context.get("parameter") or next(iter(found["loc"][1:]), "query"))
    if found["type"] in ("missing", "unknown_parameter"):
        return {"parameter": parameter, "what": found["msg"]}
    value = str(found["input"])
    shown = value if len(value) <= _SHOWN_CHARS_MAX else f"{value[:_SHOWN_CHARS_MAX]}…"
    return {"parameter": parameter, "value": shown, "what": f"{shown!r}: {found['msg']}"}
