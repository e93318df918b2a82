"""`python -m tests.e2e.tour --pictures DIR`: run the tour with parts of its own and keep its pictures."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import click

from tests.e2e.tour.stage import stage
from tests.e2e.tour.story import tell
from tests.parts.chromium import chromium
from tests.parts.kafka import KafkaBroker
from tests.parts.kubernetes import ControlPlane
from tests.ui.browser import driving

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"


@click.command()
@click.option("--pictures", type=click.Path(path_type=Path), default=PICTURES, show_default=True, help="The folder.")
@click.option("--namespace", default="models", show_default=True, help="The model's namespace.")
def main(pictures: Path, namespace: str) -> None:
    """A model starts to fail, on real parts; says what can be seen where, and when."""
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(_run(Path(scratch), pictures, namespace))


async def _run(folder: Path, pictures: Path, namespace: str) -> None:
    (folder / "kafka").mkdir()
    kafka, cluster = KafkaBroker(folder / "kafka"), ControlPlane(folder / "cluster")
    try:
        await asyncio.gather(asyncio.to_thread(kafka.start), asyncio.to_thread(cluster.start))
        with driving(chromium(click.echo), folder / "profile") as driver:
            async with stage(folder, kafka, cluster, namespace) as on:
                await tell(on, driver, pictures, click.echo)
    finally:
        cluster.stop()
        kafka.stop()


if __name__ == "__main__":
    main()
