"""Error ratio and p99 of a predictor from the exporter itself: a cluster needs no Prometheus to judge a rollout.

`GET /api/v1/models?window=` of the exporter adds up what all servers of a predictor counted in the window
(docs/exporter.md): requests, those answered with 5xx, and the p99 of the summed buckets. `null` there is *unknown*
here, never zero. A window that was heard only in part counts for what was heard; too few requests are unknown anyway.
"""

from __future__ import annotations

from pathlib import Path

import aiohttp
import msgspec

from deploy.errors import Unavailable
from deploy.operate.figures import Judge
from deploy.rollout.judge import Sample


class _Window(msgspec.Struct, frozen=True):
    seconds: float
    requests: float
    errors: float
    p99_s: float | None = None


class _Predictor(msgspec.Struct, frozen=True):
    name: str
    window: _Window | None = None


class _Model(msgspec.Struct, frozen=True):
    predictors: list[_Predictor]


class _Answer(msgspec.Struct, frozen=True):
    items: list[_Model]


class ExporterFigures:
    """Samples by one request each. The session is the caller's, who closes it."""

    def __init__(self, session: aiohttp.ClientSession, settings: Judge) -> None:
        self._session = session
        self._settings = settings

    async def sample(self, namespace: str, model: str, predictor: str, *, window_s: float) -> Sample | None:
        """Return what a predictor did in the last `window_s`; None when nobody counted. Raises Unavailable."""
        asked = {"namespace": namespace, "model": model, "window": f"{window_s:g}", "history": "false"}
        answer = await self._ask(asked)
        for found in (one for item in answer.items for one in item.predictors if one.name == predictor):
            if found.window is not None and found.window.seconds > 0:
                return Sample(found.window.requests, found.window.errors, found.window.p99_s)
        return None

    async def _ask(self, asked: dict[str, str]) -> _Answer:
        url = self._settings.exporter.rstrip("/") + "/api/v1/models"
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout)
        try:
            headers = self._headers()
            async with self._session.get(url, params=asked, headers=headers, timeout=timeout) as answer:
                status, raw = answer.status, await answer.content.read(self._settings.body_max + 1)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"the exporter at {url} does not answer: {error or type(error).__name__}") from error
        if len(raw) > self._settings.body_max:
            raise Unavailable(f"the exporter answered with more than {self._settings.body_max} bytes (judge.body_max)")
        try:
            if status == 200:
                return msgspec.json.decode(raw, type=_Answer)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"{url} is no exporter: {error}") from error
        raise Unavailable(f"the exporter at {url} answered {status}: {raw[:200].decode(errors='replace')}")

    def _headers(self) -> dict[str, str]:
        # Read each time: the token of a service account is renewed in its file.
        file = self._settings.token_file
        return {"Authorization": f"Bearer {Path(file).read_text().strip()}"} if file else {}
