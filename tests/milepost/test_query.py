"""A query that says what the route cannot do is refused, whatever the route's parameters are declared as."""

from collections.abc import AsyncIterator
from typing import Annotated

import aiohttp
import pytest
import pytest_asyncio
from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel, Field

from milepost.problem import install
from milepost.query import StrictRoute
from tests.parts.asgi import serve


class Wanted(BaseModel):
    name: str = ""
    state: list[str] = Field(default_factory=list)
    shown: str = Field("", alias="as")


def shared(team: str = "") -> str:
    return team


@pytest_asyncio.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    app = FastAPI()
    install(app)

    @app.get("/open")
    async def open_() -> str:
        return "open"

    app.router.route_class = StrictRoute

    @app.get("/model")
    async def model(wanted: Annotated[Wanted, Query()]) -> Wanted:
        return wanted

    @app.get("/plain")
    async def plain(
        team: Annotated[str, Depends(shared)],
        state: Annotated[list[str] | None, Query()] = None,
        continue_: Annotated[str, Query(alias="continue")] = "",
        limit: int | None = None,
    ) -> list[object]:
        return [team, state, continue_, limit]

    @app.post("/none")
    async def none() -> str:
        return "done"

    async with serve(app) as url, aiohttp.ClientSession(url) as session:
        yield session


@pytest.mark.parametrize(
    "url",
    [
        "/open?x=1",
        "/model",
        "/model?name=a&state=b&state=c&as=d",
        "/plain?team=t&state=a&state=b&continue=c&limit=3",
    ],
)
async def test_what_a_route_takes_it_takes(client: aiohttp.ClientSession, url: str) -> None:
    async with client.get(url) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/model?nmae=a", "nmae: this is no parameter here; there are as, name, state"),
        ("/model?shown=a", "shown: this is no parameter here; there are as, name, state"),
        ("/model?name=a&name=b", "name: given 2 times ('a', 'b'); it may be given once"),
        ("/plain?limit=1&limit=2", "limit: given 2 times ('1', '2'); it may be given once"),
        ("/plain?continue_=a", "continue_: this is no parameter here; there are continue, limit, state, team"),
        ("/plain?team=a&team=a&sate=x&team=c&team=d&team=e&team=f", "team: given 6 times ('a', 'a', 'c', 'd', 'e', …)"),
        ("/plain?team=a&team=a&sate=x", "sate: this is no parameter here"),
        (f"/plain?{'x' * 100}=1", f"{'x' * 60}…: this is no parameter here"),
    ],
)
async def test_what_it_does_not_take_is_told_with_what_it_does(
    client: aiohttp.ClientSession, url: str, said: str
) -> None:
    async with client.get(url) as answer:
        problem = await answer.json(content_type="application/problem+json")
    assert answer.status == 422
    assert said in problem["detail"]
    assert problem["faults"][0]["parameter"] == problem["parameter"]


async def test_a_change_that_takes_nothing_is_not_made_with_something(client: aiohttp.ClientSession) -> None:
    async with client.post("/none?dryRun=true") as answer:
        assert answer.status == 422
        assert "dryRun: this is no parameter here; there is none" in await answer.text()
    async with client.post("/none") as answer:
        assert await answer.json() == "done"
