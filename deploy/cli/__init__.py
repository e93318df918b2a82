"""`milepost model …`: deploy, roll out, roll back and explain models from a terminal or a pipeline.

Every verb writes its wish into the model's record and then, with `--wait` (the default), carries it out and prints
each step; `--no-wait` leaves that to whoever runs `milepost model converge` next. Data goes to stdout, progress to
stderr. A new verb is a `command` in the module of its group and an entry in the list here.

Exit codes: 0 done · 1 failed, refused or denied · 2 wrong usage · 3 there is no such model · 4 busy, or the API server
does not answer: try again · 5 `diff` found changes · 6 `watch --until` waited in vain · 7 a rollout was paused on its
way, by somebody or because it cannot be judged.
"""

from __future__ import annotations

import click

from deploy.cli.approval import approve, promote_to, proposal, propose, propose_delete, reject
from deploy.cli.change import apply, converge, create, delete, migrate, restart, rollback, scale
from deploy.cli.listing import get, list_command, watch
from deploy.cli.look import diff, history, status, why_command
from deploy.cli.rendering import render_command
from deploy.cli.rollout import rollout
from deploy.cli.sources import adopt, rebuild, shadow

model = click.Group(
    "model",
    help="Deploy, roll out, roll back and explain models.",
    context_settings={"help_option_names": ["-h", "--help"]},
    commands=[
        render_command, create, apply, diff, delete, scale, restart, rollback, converge, migrate, rollout,
        adopt, rebuild, shadow,
        list_command, get, watch, history, status, why_command,
        promote_to, propose, propose_delete, proposal, approve, reject,
    ],
)  # fmt: skip
