"""Judgement on a real Prometheus, filled with the exporter's families, and on the exporter's own answers."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from deploy import rollout
from deploy.cli.session import figures_of
from deploy.errors import Unavailable
from deploy.operate.exporter_figures import ExporterFigures
from deploy.operate.figures import QUERIES, Judge, PrometheusFigures
from deploy.record import Record, Thresholds, edits
from deploy.record.journal import Deed
from deploy.rollout import canary
from deploy.rollout.judge import Verdict, judge
from deploy.spec import ModelSpec
from exporter.page.families import AT_MODEL
from exporter.views import Answer, ModelView, PredictorView, WindowView
from milepost.settings import SettingsError
from tests.parts.prometheus import Prometheus

LIMITS = Thresholds(error_ratio_max=0.05, error_ratio_worse=0.01, p99_max_s=2.0, p99_worse=1.5, requests_min=50)
EVERY_S, BEFORE_S, AFTER_S = 5, 600, 1800
BOUNDS = ("0.1", "0.5", "1", "+Inf")


@dataclass(frozen=True)
class Traffic:
    """What one predictor's counters do: requests a second, share of 5xx, where durations fall, when it began anew."""

    per_s: float = 10.0
    errors: float = 0.0
    shares: tuple[float, ...] = (0.5, 1.0, 1.0, 1.0)
    reset_s: float | None = None


STABLE = Traffic()
CASES: dict[str, tuple[Traffic | None, str, str]] = {
    "good": (Traffic(), "pass", "error ratio 0.0000"),
    "errors": (Traffic(errors=0.1), "fail", "error_ratio_max"),
    "slightly-worse": (Traffic(errors=0.03), "fail", "error_ratio_worse"),
    "slow": (Traffic(shares=(0.1, 0.2, 1.0, 1.0)), "fail", "p99_worse"),
    "quiet": (Traffic(per_s=0.1), "unknown", "requests_min 50"),
    "missing": (None, "unknown", "no figures"),
    "restarted": (Traffic(reset_s=-20.0), "pass", "error ratio 0.0000"),
}


def lines(model: str, predictor: str, traffic: Traffic, now: float) -> Iterator[str]:
    """Yield the samples of one predictor, oldest first."""
    labels = f'namespace="models",model="{model}",predictor="{predictor}"'
    requests, duration = AT_MODEL.requests.name, AT_MODEL.duration.name
    for at in range(-BEFORE_S, AFTER_S, EVERY_S):
        begun = traffic.reset_s if traffic.reset_s is not None and at >= traffic.reset_s else -BEFORE_S
        count, stamp = (at - begun) * traffic.per_s, f"{now + at:.3f}"
        for code, share in (("2xx", 1 - traffic.errors), ("5xx", traffic.errors)):
            yield f'{requests}{{{labels},code_class="{code}"}} {count * share} {stamp}'
        for bound, share in zip(BOUNDS, traffic.shares, strict=True):
            yield f'{duration}_bucket{{{labels},le="{bound}"}} {count * share} {stamp}'
        yield f"{duration}_count{{{labels}}} {count} {stamp}"
        yield f"{duration}_sum{{{labels}}} {count * 0.1} {stamp}"


def openmetrics(now: float) -> str:
    """Return the samples of every case as one text."""
    written = []
    for model, (traffic, _, _) in CASES.items():
        written += [*lines(model, "default", STABLE, now)]
        written += [*lines(model, "r2", traffic, now)] if traffic else []
    total = AT_MODEL.requests.name
    counted = [line for line in written if line.startswith(total)]
    timed = [line for line in written if not line.startswith(total)]
    heads = f"# TYPE {total.removesuffix('_total')} counter", f"# TYPE {AT_MODEL.duration.name} histogram"
    return "\n".join([heads[0], *counted, heads[1], *timed, "# EOF", ""])


@pytest.fixture(scope="module")
def prometheus(prometheus_programs: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus whose past (and next half hour) is already written."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "samples").write_text(openmetrics(time.time()))
    argv = [prometheus_programs["promtool"], "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run([*argv, str(folder / "samples"), str(folder / "data")], check=True, capture_output=True, timeout=120)
    server = Prometheus(folder, "global: {scrape_interval: 15s}\n").start()
    yield server
    server.stop()


async def verdict_of(url: str, model: str) -> Verdict:
    async with aiohttp.ClientSession() as session:
        figures = PrometheusFigures(session, Judge(prometheus=url))
        window = {"window_s": LIMITS.window_s}
        stable = await figures.sample("models", model, "default", **window)
        return judge(LIMITS, stable=stable, candidate=await figures.sample("models", model, "r2", **window))


@pytest.mark.parametrize("model", CASES)
async def test_a_real_prometheus_gives_the_verdict(prometheus: Prometheus, model: str) -> None:
    _, result, reason = CASES[model]
    verdict = await verdict_of(prometheus.url, model)
    assert (verdict.result, reason in verdict.reason) == (result, True), verdict


async def test_a_counter_that_began_anew_counts_what_came_after_and_before(prometheus: Prometheus) -> None:
    async with aiohttp.ClientSession() as session:
        figures = PrometheusFigures(session, Judge(prometheus=prometheus.url))
        found = await figures.sample("models", "restarted", "r2", window_s=120)
    assert found is not None
    assert 1000 <= found.requests <= 1300
    assert found.errors == 0


async def test_too_little_traffic_holds_a_rollout_and_then_pauses_it(prometheus: Prometheus) -> None:
    spec = ModelSpec(name="quiet", namespace="models", image="registry.example/m:1")
    record = edits.apply(Record("models", "quiet"), spec, Deed("ada", 0.0))
    plan = canary((10, 100), 60.0)
    record = edits.start_rollout(record, msgspec.structs.replace(spec, replicas=2), plan, Deed("ada", 1.0))
    record = rollout.advance(rollout.advance(record, now=10.0), now=11.0)
    verdict = await verdict_of(prometheus.url, "quiet")
    waiting = rollout.advance(record, now=100.0, verdict=verdict)
    assert waiting.rollout is not None
    assert (waiting.rollout.phase, waiting.rollout.step) == ("progressing", 0)
    paused = rollout.advance(waiting, now=11.0 + 60.0 + plan.unknown_s_max, verdict=verdict)
    assert paused.rollout is not None
    assert paused.rollout.phase == "paused"
    assert "cannot be judged" in paused.rollout.note


async def test_a_prometheus_that_is_away_is_unavailable_and_never_a_verdict() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        await verdict_of("http://127.0.0.1:1", "good")


def test_the_queries_ask_for_families_that_the_exporter_has() -> None:
    asked = QUERIES["milepost"]
    assert AT_MODEL.requests.name in asked.requests
    assert AT_MODEL.requests.name in asked.errors
    assert f"{AT_MODEL.duration.name}_bucket" in asked.p99_s


@contextlib.asynccontextmanager
async def exporter(*predictors: PredictorView) -> AsyncIterator[tuple[str, list[dict[str, str]]]]:
    """An HTTP server that answers as the exporter does, in the exporter's own types, to whoever has the token."""
    asked: list[dict[str, str]] = []

    async def models(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer let-me-in":
            return web.json_response({"title": "Unauthorized"}, status=401)
        asked.append(dict(request.query))
        model = ModelView(
            namespace="models", model="m", state="Available", description="", pods=2, pods_not_ready={}, ingresses=(),
            predictors=predictors, now={}, window=None, history=None,
        )  # fmt: skip
        body = msgspec.json.encode(Answer(at=1.0, interval_s=15.0, times=(), items=(model,), next=""))
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/api/v1/models", models)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def predictor(name: str, window: WindowView | None) -> PredictorView:
    return PredictorView(
        name=name, replicas_wanted=1, replicas_available=1, traffic_weight=None, now={}, window=window, history=None
    )


def window(requests: float, errors: float, p99_s: float | None, seconds: float = 60.0) -> WindowView:
    ratio = errors / requests if requests else None
    return WindowView(
        seconds=seconds, requests=requests, errors=errors, requests_per_second=requests / 60, error_ratio=ratio,
        mean_s=None, p50_s=None, p95_s=None, p99_s=p99_s,
    )  # fmt: skip


async def test_the_exporters_own_answers_are_judged_in_place_of_prometheus(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("let-me-in\n")
    views = (predictor("default", window(600, 0, 0.1)), predictor("r2", window(600, 60, 0.1)), predictor("r3", None))
    unheard = predictor("r4", window(0, 0, None, seconds=0.0))
    async with exporter(*views, unheard) as (url, asked), aiohttp.ClientSession() as session:
        with pytest.raises(Unavailable, match="answered 401"):
            await ExporterFigures(session, Judge(exporter=url)).sample("models", "m", "r2", window_s=60)
        figures = ExporterFigures(session, Judge(exporter=url, token_file=str(token)))
        stable = await figures.sample("models", "m", "default", window_s=60)
        candidate = await figures.sample("models", "m", "r2", window_s=60)
        verdict = judge(LIMITS, stable=stable, candidate=candidate)
        assert (verdict.result, "error ratio 0.1000" in verdict.reason) == ("fail", True)
        assert asked[-1] == {"namespace": "models", "model": "m", "window": "60", "history": "false"}
        for unknown in ("r3", "r4", "r5"):
            assert await figures.sample("models", "m", unknown, window_s=60) is None


async def test_only_one_source_of_figures_may_be_set() -> None:
    async with aiohttp.ClientSession() as session:
        assert figures_of(Judge(), session) is None
        assert isinstance(figures_of(Judge(exporter="http://x"), session), ExporterFigures)
        with pytest.raises(SettingsError, match="both set"):
            figures_of(Judge(exporter="http://x", prometheus="http://y"), session)
