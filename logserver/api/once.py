"""A parameter that takes one value is given once: of two values one would be dropped, and nobody would say which.

FastAPI hands the last one to the model of the parameters, so it is the route that looks at the query as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from typing import Any, get_origin

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams

from logserver.api.faults import given_repeatedly
from logserver.api.params import Params


class OnceRoute(APIRoute):
    """A route that refuses a parameter given several times unless it is a list."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with the look at the query before it."""
        answer, single = super().get_route_handler(), single_names(self)

        async def checked(request: Request) -> Response:
            refuse_repeated(request.query_params, single)
            return await answer(request)

        return checked


def single_names(route: APIRoute) -> frozenset[str]:
    """Return the query parameters of a route that take one value."""
    models = [field.field_info.annotation for field in route.dependant.query_params]
    fields = [
        item for model in models if isinstance(model, type) and issubclass(model, Params)
        for item in model.model_fields.items()
    ]  # fmt: skip
    return frozenset(name for name, field in fields if get_origin(field.annotation) is not list)


def refuse_repeated(query: QueryParams, single: Collection[str]) -> None:
    """Raise Problem when one of these was given several times."""
    repeated = {name: values for name in query if name in single and len(values := query.getlist(name)) > 1}
    if repeated:
        raise given_repeatedly(repeated)
