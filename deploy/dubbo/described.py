"""The services as text, for `milepost dubbo --check`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from deploy.dubbo.services import Method, Reference, Services


def described(services: Services) -> Iterator[str]:
    """Yield lines that tell what would be served, one for each method under its service."""
    for service in services.values():
        yield service.key
        for method in service.methods.values():
            arguments = ", ".join(method.arguments)
            yield f"  {method.name}({arguments}) -> {method.verb} {method.url}"
            yield f"    model: {_described_model(method)}"
            yield f"    body: {_described_body(method)}"
            yield f"    returns: {'.'.join(method.returns) or 'the whole answer'}"


def _described_model(method: Method) -> str:
    if isinstance(method.model, Reference):
        return f"{_written(method.model, method)}, one of {', '.join(method.models)}"
    return method.model or "the address alone says it"


def _described_body(method: Method) -> str:
    def default(value: Reference) -> str:
        return _written(value, method)

    return "none" if method.body is None else json.dumps(method.body, default=default, ensure_ascii=False)


def _written(reference: Reference, method: Method) -> str:
    return "$" + ".".join((method.arguments[reference.argument], *reference.path))
