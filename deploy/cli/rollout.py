"""`milepost model rollout …`: a new version beside the old one, requests moved to it in steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from deploy.cli.command import Body, command, doing, doing_spec, named, spec_file, verb_options
from deploy.errors import Refusal, Refused
from deploy.record import Record, RolloutPlan, Thresholds, edits
from deploy.record.journal import Deed
from deploy.rollout import canary
from deploy.spec import ModelSpec
from deploy.spec.file import read_spec
from deploy.spec.release import Split


def plan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `plan_of` makes a plan of."""
    options = (
        click.option("--steps", default="10,25,50,100", help="Percent of requests, step by step; '' = none."),
        click.option("--hold", type=float, default=60, help="Seconds that each step is held."),
        click.option("--header", default=None, help="Requests with this header (always/never, or its value) go first."),
        click.option("--header-value", default=None, help="The value that the header must have."),
        click.option("--cookie", default=None, help="Requests with this cookie (always/never) go first."),
        click.option("--judged/--unjudged", default=True, help="Judge error ratio and p99."),
        click.option("--auto-promote/--no-auto-promote", default=True, help="Promote after the last step."),
        click.option("--error-ratio-max", type=float, default=0.05, help="Largest ratio of failed requests."),
        click.option("--p99-worse", type=float, default=1.5, help="Factor over the stable track."),
        click.option("--requests-min", type=int, default=50, help="Fewer requests are not judged."),
        click.option("--keep", type=float, default=0, help="Seconds the old version is kept running after."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def plan_of(
    *, steps: str, hold: float, header: str | None, header_value: str | None, cookie: str | None, judged: bool,
    auto_promote: bool, error_ratio_max: float, p99_worse: float, requests_min: int, keep: float,
) -> RolloutPlan:  # fmt: skip
    """Return the plan that these options say. Raises Refused."""
    limits = Thresholds(error_ratio_max=error_ratio_max, p99_worse=p99_worse, requests_min=requests_min)
    options: dict[str, Any] = {
        "judged": judged, "auto_promote": auto_promote, "keep_s": keep, "thresholds": limits,
    }  # fmt: skip
    if not steps:
        return RolloutPlan(**options)
    split = Split(header=header, header_value=header_value, cookie=cookie)
    return canary(_percents(steps), hold, split=split, **options)


def _percents(steps: str) -> tuple[int, ...]:
    try:
        return tuple(int(step) for step in steps.split(","))
    except ValueError as error:
        raise Refused([Refusal("steps", steps, "percentages are whole numbers with commas between them")]) from error


@command("start")
@spec_file
@plan_options
@verb_options
def start(file: Any, reason: str, wait: bool, **options: Any) -> Body:
    """Start a canary; with --steps '' a blue/green switch."""
    spec, plan = read_spec(file.read()), plan_of(**options)

    def edit(record: Record, here: ModelSpec, deed: Deed) -> Record:
        return edits.start_rollout(record, here, plan, deed)

    return doing_spec(spec, edit, reason=reason, wait=wait)


def _simple(name: str, edit: Callable[[Record, Deed], Record], text: str) -> click.Command:
    @command(name)
    @named
    @verb_options
    def run(key: str, reason: str, wait: bool) -> Body:
        return doing(key, edit, reason=reason, wait=wait)

    run.help = text
    return run


rollout = click.Group(
    "rollout",
    help="Bring a new version up beside the old one and move requests to it in steps.",
    commands=[
        start,
        _simple("pause", edits.pause, "Hold the rollout where it is."),
        _simple("resume", edits.resume, "Let a paused rollout go on."),
        _simple("promote", edits.promote, "Make the candidate the stable track now."),
        _simple("abort", edits.abort, "Send everything back to the stable track and remove the candidate."),
    ],
)
