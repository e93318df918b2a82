"""Query parameters are taken at their word: one that a route does not know, or that is given twice, is refused.

FastAPI drops both without a word: of two values the first one, and a parameter with a typing error whole, so that a
list is not filtered and a change is not the one that was meant. The route looks at the query as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, get_args, get_origin

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.datastructures import QueryParams

from milepost.problem import Problem

SHOWN_CHARS_MAX = 60
_SHOWN_VALUES_MAX = 5


class StrictRoute(APIRoute):
    """A route whose query holds nothing but its parameters, each of them once unless it is a list."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with the look at the query before it."""
        answer, known = super().get_route_handler(), parameters_of(self)

        async def checked(request: Request) -> Response:
            refuse_unmeant(request.query_params, known)
            return await answer(request)

        return checked


def parameters_of(route: APIRoute) -> dict[str, bool]:
    """Return {query parameter of a route: whether it takes several values}."""
    return dict(_parameters(route.dependant))


def refuse_unmeant(query: QueryParams, known: Mapping[str, bool]) -> None:
    """Raise Problem when the query has a parameter that is not known, or several values of one that takes one."""
    faults = []
    for name in dict.fromkeys(query):
        values = query.getlist(name)
        if name not in known:
            faults.append({"parameter": shown(name), "what": f"this is no parameter here; {_listed(known)}"})
        elif len(values) > 1 and not known[name]:
            faults.append(_repeated(name, values))
    if faults:
        raise of_faults(faults)


def of_faults(faults: list[dict[str, Any]]) -> Problem:
    """Return the problem of parameters; each fault has `parameter` and `what`."""
    detail = "; ".join(f"{fault['parameter']}: {fault['what']}" for fault in faults)
    return Problem(422, detail, slug="invalid-request", parameter=faults[0]["parameter"], faults=faults)


def shown(value: str) -> str:
    """Return the beginning of a text that somebody sent."""
    return value if len(value) <= SHOWN_CHARS_MAX else f"{value[:SHOWN_CHARS_MAX]}…"


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from ((item.alias or name, _many(item.annotation)) for name, item in kind.model_fields.items())
        else:
            yield field.alias, _many(kind)


def _many(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(get_origin(one) is list for one in get_args(annotation))


def _listed(known: Mapping[str, bool]) -> str:
    return f"there are {', '.join(sorted(known))}" if known else "there is none"


def _repeated(parameter: str, values: list[str]) -> dict[str, Any]:
    first = [shown(value) for value in values[:_SHOWN_VALUES_MAX]]
    listed = ", ".join([*map(repr, first), *(["…"] if len(values) > len(first) else [])])
    what = f"given {len(values)} times ({listed}); it may be given once"
    return {"parameter": parameter, "values": first, "what": what}
