"""Is the candidate good enough? A pure comparison of two samples with thresholds.

Three verdicts, never two: *unknown* is not *pass*. A sample that is missing or has too few requests decides nothing;
what then happens is the plan's `unknown` policy. A limit relative to the stable track needs a stable sample of the
same size, else only the absolute limits are applied, and the reason says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deploy.record import Thresholds


@dataclass(frozen=True, slots=True)
class Sample:
    """What a predictor did in the window: number of requests, how many failed (5xx), p99 in seconds (None: unknown)."""

    requests: float
    errors: float
    p99_s: float | None = None

    @property
    def error_ratio(self) -> float:
        """Failed requests over all, 0..1; 0 without requests."""
        return self.errors / self.requests if self.requests > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judgement came to, and the sentence that says why."""

    result: Literal["pass", "fail", "unknown"]
    reason: str


def judge(limits: Thresholds, *, stable: Sample | None, candidate: Sample | None) -> Verdict:
    """Compare the candidate with the limits and with the stable track."""
    if candidate is None:
        return Verdict("unknown", "there are no figures of the candidate")
    if candidate.requests < limits.requests_min:
        return Verdict(
            "unknown",
            f"the candidate has {candidate.requests:.0f} requests in {limits.window_s:.0f} s, "
            f"fewer than requests_min {limits.requests_min}",
        )
    compared = stable if stable is not None and stable.requests >= limits.requests_min else None
    reasons = [*_errors(limits, compared, candidate), *_latency(limits, compared, candidate)]
    if reasons:
        return Verdict("fail", "; ".join(reasons))
    told = f"error ratio {candidate.error_ratio:.4f}"
    told += f", p99 {candidate.p99_s * 1000:.0f} ms" if candidate.p99_s is not None else ", p99 unknown"
    against = "" if compared else "; the stable track has too few requests to compare with"
    return Verdict("pass", f"{told} of {candidate.requests:.0f} requests{against}")


def _errors(limits: Thresholds, stable: Sample | None, candidate: Sample) -> list[str]:
    ratio, reasons = candidate.error_ratio, []
    if limits.error_ratio_max and ratio > limits.error_ratio_max:
        reasons.append(f"error ratio {ratio:.4f} is above error_ratio_max {limits.error_ratio_max:g}")
    if limits.error_ratio_worse and stable and ratio > stable.error_ratio + limits.error_ratio_worse:
        reasons.append(
            f"error ratio {ratio:.4f} is more than error_ratio_worse {limits.error_ratio_worse:g} "
            f"above the stable {stable.error_ratio:.4f}"
        )
    return reasons


def _latency(limits: Thresholds, stable: Sample | None, candidate: Sample) -> list[str]:
    if candidate.p99_s is None:
        return []
    reasons, shown = [], f"p99 {candidate.p99_s * 1000:.0f} ms"
    if limits.p99_max_s and candidate.p99_s > limits.p99_max_s:
        reasons.append(f"{shown} is above p99_max_s {limits.p99_max_s * 1000:.0f} ms")
    if limits.p99_worse and stable and stable.p99_s and candidate.p99_s > stable.p99_s * limits.p99_worse:
        reasons.append(
            f"{shown} is more than p99_worse {limits.p99_worse:g} times the stable {stable.p99_s * 1000:.0f} ms"
        )
    return reasons
