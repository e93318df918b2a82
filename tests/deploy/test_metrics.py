"""What the platform tells Prometheus of itself, read from its own page."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.api import Job, Jobs, create_app
from deploy.cluster.cache import ModelCache
from deploy.cluster.worklist import Worklist
from deploy.errors import Conflict, Unavailable
from deploy.metrics import PREFIX, TABLE, Metrics
from milepost.auth import AllowAll
from tests.parts.asgi import serve

DOCS = Path(__file__).parents[2] / "docs" / "platform.md"
Page = dict[tuple[str, tuple[str, ...]], float]


async def page_after(jobs: Jobs, metrics: Metrics, *paths: str) -> Page:
    """The samples of the page after these requests, by name without prefix and the values of the sorted labels."""

    def nobody(*_: object) -> Any:
        raise AssertionError("no request of this test reaches a model")

    app = create_app(AllowAll(), nobody, ModelCache(), jobs, metrics=metrics)
    async with serve(app) as base, aiohttp.ClientSession() as session:
        for path in paths:
            await (await session.get(base + path)).read()
        page = await (await session.get(base + "/metrics")).text()
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {(s.name.removeprefix(PREFIX), tuple(dict(sorted(s.labels.items())).values())): s.value for s in samples}


async def test_requests_are_counted_by_route_and_wrong_urls_together() -> None:
    page = await page_after(Jobs(), Metrics(), "/healthz", "/readyz", "/readyz", "/nowhere/1", "/nowhere/2")
    assert page["requests_total", ("200", "GET", "/healthz")] == 1
    assert page["requests_total", ("503", "GET", "/readyz")] == 2
    assert page["requests_total", ("404", "GET", "none")] == 2
    assert page["request_duration_seconds_count", ("GET", "/readyz")] == 2
    assert (page["cache_listed", ()], page["models", ()], page["streams", ()]) == (0, 0, 0)


class Worked(SimpleNamespace):
    """Stands for a platform whose operation ends as told."""

    async def converge(self, namespace: str, name: str) -> Any:
        if self.error is not None:
            raise self.error
        return SimpleNamespace(operation=SimpleNamespace(state=self.state))


async def test_jobs_are_counted_by_how_they_ended() -> None:
    metrics = Metrics()
    worklist = cast("Worklist", SimpleNamespace())
    jobs = Jobs(10, worklist, metrics)

    async def removed(job_id: str) -> None: ...

    cast("Any", worklist).remove = removed
    ended = [("create", "done", None), ("rollout", "paused", None), ("apply", "", Conflict("somebody else changed it"))]
    for number, (verb, state, error) in enumerate([*ended, ("scale", "", Unavailable("no API server"))]):
        platform = cast("Any", Worked(state=state, error=error))
        await jobs.start(Job(str(number), "risk", "iris", verb), platform)
    page = await page_after(jobs, metrics)
    counted = {labels: value for (name, labels), value in page.items() if name == "jobs_total"}
    assert counted == {("done", "create"): 1, ("paused", "rollout"): 1, ("failed", "apply"): 1, ("again", "scale"): 1}
    assert page["jobs_running", ()] == 0


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_documentation_names_every_metric(row: Any) -> None:
    shown = ", ".join(f"`{label}`" for label in row.labels)
    assert f"| `{PREFIX}{row.name}` | {row.kind.__name__.lower()} | {shown} | {row.help} |" in DOCS.read_text()
