"""The command `milepost exporter`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import click

from exporter.app import run
from exporter.settings import GROUPS, Settings
from milepost.kube import KubeConfigError, KubeError
from milepost.settings import SettingsError, add_options, load

log = logging.getLogger(__name__)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@add_options(GROUPS)
def exporter(config: Path | None, **flags: str | None) -> None:
    """Run the Prometheus exporter.

    In mode `node` (a DaemonSet) it tells what this node's containers use of CPU, memory and GPUs; in mode `cluster` (a
    Deployment) the state of models and pods, their traffic and latency, and their Ingresses.
    """
    try:
        settings = Settings(**load(GROUPS, flags=flags, env=os.environ, file=config))
        logging.basicConfig(
            level=settings.exporter.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        # What is imported lives as long as the process: the collector need not look at it ever again.
        gc.freeze()
        asyncio.run(run(settings, listening=lambda url: log.info("listening on %s", url)))
    except (SettingsError, KubeConfigError) as error:
        raise click.ClickException(str(error)) from error
    except BaseExceptionGroup as group:
        refused, rest = group.split(KubeError)
        if refused is None or rest is not None:
            raise
        raise click.ClickException("; ".join(map(str, _leaves(refused)))) from group


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
