"""The command `milepost dubbo`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from pathlib import Path

import click

from deploy.dubbo.app import Settings, load_services, run
from deploy.dubbo.described import described
from deploy.dubbo.settings import GROUPS
from milepost.settings import SettingsError, add_options, load

log = logging.getLogger(__name__)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--check", type=click.Path(path_type=str), metavar="FILE", help="Show what a services file serves, and end."
)
@add_options(GROUPS)
def dubbo(config: Path | None, check: str | None, **flags: str | None) -> None:
    """Serve models to callers that speak Dubbo.

    Requests in the protocol dubbo2 with Hessian become HTTP requests to models, as a services file describes; with
    ZooKeeper, callers find this provider as they find any other.
    """
    try:
        if check is not None:
            for line in described(load_services(check)):
                click.echo(line)
            return
        settings = Settings(**load(GROUPS, flags=flags, env=os.environ, file=config))
        logging.basicConfig(
            level=settings.dubbo.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        # What is imported lives as long as the process: the collector need not look at it ever again.
        gc.freeze()
        asyncio.run(run(settings, listening=log.info))
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
