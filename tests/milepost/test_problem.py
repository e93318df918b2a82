"""Every error of an HTTP server is a problem object, and none tells more than it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import pytest
from fastapi import FastAPI

from milepost.auth import AuthUnavailable, Unauthenticated
from milepost.kube import KubeError
from milepost.problem import MEDIA_TYPE, Problem, install
from tests.parts.asgi import serve


class LateError(Exception):
    """An error of some program."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.text)
        return decoded


async def get(error: Callable[[], Exception], path: str = "/x") -> Answer:
    """Return the answer of an application whose one route raises this error."""
    app = FastAPI()
    install(app, {LateError: lambda late: Problem(504, str(late), slug="late", after_s=3)})

    @app.get("/x")
    async def route(size: int = 1) -> None:
        raise error()

    async with serve(app) as url, aiohttp.ClientSession() as session, session.get(url + path) as answer:
        return Answer(answer.status, answer.headers, await answer.text())


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (lambda: Problem(416, "too far", slug="range"), 416, "too far"),
        (lambda: LateError("slow"), 504, "slow"),
        (lambda: Unauthenticated("no token"), 401, "no token"),
        (lambda: AuthUnavailable("down"), 503, "down"),
        (lambda: KubeError(404, "NotFound", "no such pod"), 404, "no such pod"),
        (lambda: KubeError(0, "Unreachable", "refused"), 503, "Kubernetes API: Unreachable: refused"),
        (lambda: KubeError(401, "Unauthorized", "ours"), 502, "Kubernetes API: 401 Unauthorized: ours"),
    ],
)
async def test_the_table_of_errors(error: Callable[[], Exception], status: int, detail: str) -> None:
    answer = await get(error, "/x")
    assert (answer.status, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    assert {"status": status, "detail": detail, "instance": "/x"}.items() <= answer.json().items()


async def test_members_of_a_problem_and_its_headers() -> None:
    answer = (await get(lambda: LateError("slow"), "/x")).json()
    assert (answer["type"], answer["title"], answer["after_s"]) == (
        "urn:milepost:problem:late",
        "Gateway Timeout",
        3,
    )
    assert (await get(lambda: Unauthenticated(""), "/x")).headers["www-authenticate"] == "Bearer"
    assert (await get(lambda: AuthUnavailable(""), "/x")).headers["retry-after"] == "5"


async def test_an_unexpected_error_names_no_internals_but_where_to_look(caplog: pytest.LogCaptureFixture) -> None:
    answer = await get(lambda: RuntimeError("password=hunter2"), "/x")
    assert answer.status == 500
    assert "hunter2" not in answer.text
    assert answer.json()["instance"] in caplog.text


async def test_a_rejected_value_is_named_but_not_repeated() -> None:
    answer = await get(LateError, "/x?size=hunter2")
    assert answer.status == 422
    assert answer.json()["faults"][0]["where"] == "query.size"
    assert "hunter2" not in answer.text


async def test_an_unknown_path_is_a_problem_too() -> None:
    assert (await get(LateError, "/y")).json()["title"] == "Not Found"
