"""Error ratio and p99 of a predictor, from Prometheus: what the automatic judgement of a rollout reads.

The queries are data: one set over the exporter's families (every server is normalised there), one over the Seldon
orchestrator's own, for a cluster that scrapes Seldon alone. A label value is quoted by PromQL's own rules, so a name
cannot become part of a query.

Prometheus HTTP API: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries. An instant query that
matches nothing gives an empty vector, which is *unknown* here, never zero.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import msgspec

from deploy.errors import Unavailable
from deploy.rollout.judge import Sample
from milepost.settings import setting
from milepost.units import Bytes, Seconds


@dataclass(frozen=True, slots=True)
class Judge:
    """Where the figures of automatic judgement come from."""

    prometheus: str = setting("", "URL of Prometheus; with neither this nor judge.exporter nothing is judged")
    exporter: str = setting("", "URL of the exporter, asked in place of Prometheus")
    token_file: str = setting("", "File with the bearer token for the exporter, such as the service account's")
    metrics: str = setting(
        "milepost", "Whose metrics are asked: the exporter's, or the orchestrator's own", choices=("milepost", "seldon")
    )
    timeout: Seconds = setting(Seconds(10), "Longest wait for an answer of Prometheus or the exporter")
    body_max: Bytes = setting(Bytes(1 << 20), "Largest answer of either accepted")


@dataclass(frozen=True, slots=True)
class Queries:
    """PromQL with `{labels}`, `{errors}` (labels of failed requests) and `{window}` to fill in."""

    requests: str
    errors: str
    p99_s: str
    labels: Mapping[str, str]
    """Our word for the namespace, model and predictor → the label of these metrics."""


QUERIES: Mapping[str, Queries] = {
    "milepost": Queries(
        requests="sum(increase(milepost_model_requests_total{{{labels}}}[{window}s]))",
        errors='sum(increase(milepost_model_requests_total{{{labels},code_class="5xx"}}[{window}s]))',
        p99_s="histogram_quantile(0.99, sum by (le) "
        "(rate(milepost_model_request_duration_seconds_bucket{{{labels}}}[{window}s])))",
        labels={"namespace": "namespace", "model": "model", "predictor": "predictor"},
    ),
    "seldon": Queries(
        requests="sum(increase(seldon_api_executor_server_requests_seconds_count{{{labels}}}[{window}s]))",
        errors='sum(increase(seldon_api_executor_server_requests_seconds_count{{{labels},code=~"5.."}}[{window}s]))',
        p99_s="histogram_quantile(0.99, sum by (le) "
        "(rate(seldon_api_executor_server_requests_seconds_bucket{{{labels}}}[{window}s])))",
        labels={"namespace": "namespace", "model": "deployment_name", "predictor": "predictor_name"},
    ),
}


class _Vector(msgspec.Struct, frozen=True):
    value: tuple[float, str]


class _Data(msgspec.Struct, frozen=True):
    result: list[_Vector] = []


class _Answer(msgspec.Struct, frozen=True):
    status: str = ""
    data: _Data = _Data()
    error: str = ""


class PrometheusFigures:
    """Samples by instant queries. The session is the caller's, who closes it."""

    def __init__(self, session: aiohttp.ClientSession, settings: Judge) -> None:
        self._session = session
        self._settings = settings
        self._queries = QUERIES[settings.metrics]

    async def sample(self, namespace: str, model: str, predictor: str, *, window_s: float) -> Sample | None:
        """Return what a predictor did in the last `window_s`; None when it has no series. Raises Unavailable."""
        names = {"namespace": namespace, "model": model, "predictor": predictor}
        labels = ",".join(f"{self._queries.labels[word]}={quoted(name)}" for word, name in names.items())
        texts = (self._queries.requests, self._queries.errors, self._queries.p99_s)
        filled = [text.format(labels=labels, window=max(1, round(window_s))) for text in texts]
        requests, errors, p99_s = await asyncio.gather(*map(self._value, filled))
        if requests is None:
            return None
        return Sample(requests, errors or 0.0, p99_s)

    async def _value(self, query: str) -> float | None:
        url = self._settings.prometheus.rstrip("/") + "/api/v1/query"
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout)
        try:
            async with self._session.post(url, data={"query": query}, timeout=timeout) as answer:
                raw = await answer.content.read(self._settings.body_max + 1)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"Prometheus at {url} does not answer: {error or type(error).__name__}") from error
        if len(raw) > self._settings.body_max:
            raise Unavailable(f"Prometheus answered with more than {self._settings.body_max} bytes (judge.body_max)")
        try:
            parsed = msgspec.json.decode(raw, type=_Answer)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"{url} answered {answer.status} and is no Prometheus: {raw[:120]!r}") from error
        if parsed.status != "success":
            raise Unavailable(f"Prometheus refused a query: {parsed.error or answer.status}")
        if not parsed.data.result:
            return None
        value = float(parsed.data.result[0].value[1])
        return None if math.isnan(value) or math.isinf(value) else value


def quoted(value: str) -> str:
    """Return a PromQL string literal (https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals)."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
