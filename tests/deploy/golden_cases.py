"""The golden cases: `golden/<case>.in.yaml` (cluster settings, release, observed Services) and what it renders to.

`python -m tests.deploy.golden_cases` writes the outputs again; the change then shows in the diff.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from deploy.objects import KubeObject, to_yaml
from deploy.render import render
from deploy.settings import Cluster
from deploy.spec.release import Release

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    cluster: Cluster
    release: Release
    services: dict[str, str]

    def render(self) -> tuple[KubeObject, ...]:
        return render(self.release, self.cluster, self.services)

    @property
    def golden(self) -> Path:
        return GOLDEN / f"{self.name}.out.yaml"


def cases() -> list[Case]:
    return [_read(path) for path in sorted(GOLDEN.glob("*.in.yaml"))]


def cluster_of(values: dict[str, Any]) -> Cluster:
    plain: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return Cluster(**plain)


def _read(path: Path) -> Case:
    document = yaml.safe_load(path.read_text())
    return Case(
        name=path.name.removesuffix(".in.yaml"),
        cluster=cluster_of(document.get("cluster", {})),
        release=msgspec.convert(document["release"], Release),
        services=document.get("services", {}),
    )


if __name__ == "__main__":
    for case in cases():
        case.golden.write_text(to_yaml(case.render()))
