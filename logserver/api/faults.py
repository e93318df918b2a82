"""Requests that are not as they should be: which parameter, with which value, and what is allowed.

Unlike a body, a query holds no secret here (tokens come in a header), so the rejected value is told.
"""

from __future__ import annotations

from typing import Any

from fastapi.exceptions import RequestValidationError

from milepost.problem import Problem
from milepost.query import of_faults, shown


def bad_parameter(parameter: str, detail: str) -> Problem:
    """Return the problem of a parameter that cannot be used."""
    return Problem(422, f"{parameter}: {detail}", slug="invalid-request", parameter=parameter)


def from_validation(error: RequestValidationError) -> Problem:
    """Return the problem of parameters whose types or bounds were not met; `faults` names each of them."""
    return of_faults([_fault(found) for found in error.errors()])


def _fault(found: dict[str, Any]) -> dict[str, Any]:
    parameter = str(next(iter(found["loc"][1:]), "query"))
    if found["type"] == "missing":
        return {"parameter": parameter, "what": found["msg"]}
    value = shown(str(found["input"]))
    return {"parameter": parameter, "value": value, "what": f"{value!r}: {found['msg']}"}
