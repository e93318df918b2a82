"""Requests that are not as they should be: which parameter, with which value, and what is allowed.

Unlike a body, a query holds no secret here (tokens come in a header), so the rejected value is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError

from milepost.problem import Problem

_SHOWN_CHARS_MAX = 60
_SHOWN_VALUES_MAX = 5


def bad_parameter(parameter: str, detail: str) -> Problem:
    """Return the problem of a parameter that cannot be used."""
    return Problem(422, f"{parameter}: {detail}", slug="invalid-request", parameter=parameter)


def from_validation(error: RequestValidationError) -> Problem:
    """Return the problem of parameters whose types or bounds were not met; `faults` names each of them."""
    return _problem([_fault(found) for found in error.errors()])


def given_repeatedly(parameters: Mapping[str, list[str]]) -> Problem:
    """Return the problem of parameters that take one value and were given these."""
    return _problem([_repeated(parameter, values) for parameter, values in parameters.items()])


def _problem(faults: list[dict[str, Any]]) -> Problem:
    detail = "; ".join(f"{fault['parameter']}: {fault['what']}" for fault in faults)
    return Problem(422, detail, slug="invalid-request", parameter=faults[0]["parameter"], faults=faults)


def _fault(found: dict[str, Any]) -> dict[str, Any]:
    context = found.get("ctx", {})
    # An unknown parameter is found by its model as a whole, which has no place of its own.
    parameter = str(context.get("parameter") or next(iter(found["loc"][1:]), "query"))
    if found["type"] in ("missing", "unknown_parameter"):
        return {"parameter": parameter, "what": found["msg"]}
    shown = _shown(str(found["input"]))
    return {"parameter": parameter, "value": shown, "what": f"{shown!r}: {found['msg']}"}


def _repeated(parameter: str, values: list[str]) -> dict[str, Any]:
    shown = [_shown(value) for value in values[:_SHOWN_VALUES_MAX]]
    listed = ", ".join([*map(repr, shown), *(["…"] if len(values) > len(shown) else [])])
    what = f"given {len(values)} times ({listed}); it may be given once"
    return {"parameter": parameter, "values": shown, "what": what}


def _shown(value: str) -> str:
    return value if len(value) <= _SHOWN_CHARS_MAX else f"{value[:_SHOWN_CHARS_MAX]}…"
