"""Turn the dashboards into JSON: `python -m dashboards.generate` writes them, `--check` only compares.

The JSON is committed, so nobody who installs Milepost needs the generator.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.dubbo import dubbo
from dashboards.fleet import fleet
from dashboards.gpu import gpu
from dashboards.model import model
from dashboards.pipeline import pipeline
from dashboards.rollout import rollout

FOLDER = Path(__file__).parent / "json"
DASHBOARDS: dict[str, Callable[[], Dashboard]] = {
    "fleet": fleet,
    "model": model,
    "gpu": gpu,
    "pipeline": pipeline,
    "rollout": rollout,
    "dubbo": dubbo,
}


def render(name: str) -> str:
    """Return the JSON text of one dashboard."""
    built = DASHBOARDS[name]().build()
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the files of the folder that are missing, extra, or not what the code makes."""
    wanted = {f"{name}.json": render(name) for name in DASHBOARDS}
    present = {path.name: path.read_text() for path in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when the files are not what the code makes.")
def main(check: bool) -> None:
    """Write dashboards/json/*.json."""
    different = stale()
    if check and different:
        click.echo(f"Not in step: {', '.join(different)}. Run: python -m dashboards.generate", err=True)
        sys.exit(1)
    if not check:
        FOLDER.mkdir(exist_ok=True)
        for name in DASHBOARDS:
            (FOLDER / f"{name}.json").write_text(render(name))
    click.echo(f"{len(DASHBOARDS)} dashboards, {len(different)} of {'them differ' if check else 'them changed'}")


if __name__ == "__main__":
    main()
