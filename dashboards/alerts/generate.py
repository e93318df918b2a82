"""Turn the rules into files: `python -m dashboards.alerts.generate` writes them, `--check` only compares.

`dashboards/rules/<group>.yaml` is what `rule_files:` of a Prometheus reads; `prometheusrule.yaml` is the same as one
object for the Prometheus operator.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import yaml

from dashboards.alerts import burnrate, dubbo, models, pipeline, resources
from dashboards.alerts.rule import Group

FOLDER = Path(__file__).parents[1] / "rules"
GROUPS: tuple[Group, ...] = (*burnrate.GROUPS, *models.GROUPS, *resources.GROUPS, *pipeline.GROUPS, *dubbo.GROUPS)
HEADING = "# Made by `python -m dashboards.alerts.generate`; edit dashboards/alerts/.\n"


def files() -> dict[str, str]:
    """Return the text of every file by its name."""
    made = {f"{group.name}.yaml": _text({"groups": [group.entry()]}) for group in GROUPS}
    made["prometheusrule.yaml"] = _text(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "milepost", "labels": {"app.kubernetes.io/part-of": "milepost"}},
            "spec": {"groups": [group.entry() for group in GROUPS]},
        }
    )
    return made


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the files of the folder that are missing, extra, or not what the code makes."""
    wanted = files()
    present = {path.name: path.read_text() for path in folder.glob("*.yaml")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def _text(content: dict[str, object]) -> str:
    return HEADING + yaml.safe_dump(content, sort_keys=False, width=118)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when the files are not what the code makes.")
def main(check: bool) -> None:
    """Write dashboards/rules/*.yaml."""
    different = stale()
    if check and different:
        click.echo(f"Not in step: {', '.join(different)}. Run: python -m dashboards.alerts.generate", err=True)
        sys.exit(1)
    if not check:
        FOLDER.mkdir(exist_ok=True)
        for name, text in files().items():
            (FOLDER / name).write_text(text)
    click.echo(f"{sum(len(group.alerts()) for group in GROUPS)} alerts in {len(GROUPS)} groups")


if __name__ == "__main__":
    main()
