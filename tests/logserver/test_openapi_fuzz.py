"""The OpenAPI document is true: whatever it allows is answered as it says, and nothing at all gives a 500.

Endless answers (tails and `follow`) are left out: `tests/logserver/test_api.py` holds them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from logserver.engines.embedded import EmbeddedStore
from logserver.store import Store
from tests.logserver.api_server import api_server
from tests.logserver.rows import BASE_NS, line_rows

CHECKS = {
    GenerationMode.POSITIVE: [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ],
    # What the document forbids is refused, as a problem.
    GenerationMode.NEGATIVE: [not_a_server_error, content_type_conformance, negative_data_rejection],
}


@contextmanager
def served(store: Store) -> Iterator[str]:
    """Serve the API from a thread with its own event loop."""
    loop, ready, stop, url = asyncio.new_event_loop(), threading.Event(), asyncio.Event(), []

    async def run() -> None:
        async with api_server(store) as server:
            url.append(server.url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert ready.wait(20)
    try:
        yield url[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", CHECKS)
def test_every_request_the_document_allows_or_forbids_is_answered_as_it_says(
    lines_store: EmbeddedStore, mode: GenerationMode
) -> None:
    lines_store.insert("lines", line_rows({"ts": BASE_NS + number, "level": "error"} for number in range(50)))
    with served(lines_store) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json").exclude(path_regex="tail$")
        operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
        if mode is GenerationMode.NEGATIVE:
            operations = [operation for operation in operations if list(operation.query)]
        assert len(operations) >= 9
        for operation in operations:

            @settings(
                max_examples=12,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: schemathesis.Case[Any]) -> None:
                if isinstance(case.query, dict) and "follow" in case.query:
                    del case.query["follow"]
                response = case.call(timeout=20)
                case.validate_response(response, checks=CHECKS[mode])

            check()
