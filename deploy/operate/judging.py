"""Judging the candidate of a rollout now: both tracks' figures asked for, then compared by `deploy.rollout.judge`."""

from __future__ import annotations

import asyncio
from typing import Protocol

from deploy.errors import Unavailable
from deploy.record import Record
from deploy.rollout.judge import Sample, Verdict, judge


class Figures(Protocol):
    """Where error ratios and latencies come from."""

    async def sample(self, namespace: str, model: str, predictor: str, *, window_s: float) -> Sample | None:
        """Return what a predictor did in the last `window_s`; None when nothing is known. Raises Unavailable."""
        ...


async def verdict_now(figures: Figures | None, record: Record) -> Verdict:
    """Return the verdict on the candidate; unknown where no figures are to be had."""
    progress, stable = record.rollout, record.stable
    if figures is None or progress is None or stable is None:
        return Verdict("unknown", "no source of figures is configured (judge.prometheus or judge.exporter)")
    limits = progress.plan.thresholds
    predictors = (stable.predictor, progress.candidate.predictor)
    asked = (figures.sample(record.namespace, record.name, one, window_s=limits.window_s) for one in predictors)
    try:
        old, new = await asyncio.gather(*asked)
    except Unavailable as error:
        return Verdict("unknown", str(error))
    return judge(limits, stable=old, candidate=new)
