"""Parts that are jars: copied by Maven, with all that they need, into `libs` of the part's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.parts.install import Part, Say, run, tool


def jars(name: str, version: str, artifacts: Sequence[str], *, told: str) -> Part:
    """Return the part of these artifacts, `group:name:version[:type]`; `told` says how much it is."""

    def fill(folder: Path, say: Say) -> None:
        maven = tool("mvn", name)
        tool("java", name)
        say(f"{name} {version}: copying {told} with Maven")
        dependencies = "".join(map(_dependency, artifacts))
        (folder / "pom.xml").write_text(
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            f"<groupId>milepost.test</groupId><artifactId>{name}</artifactId><version>1</version>"
            f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>\n"
        )
        run([maven, "-B", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'libs'}"], cwd=folder)

    return Part(name, version, fill)


def _dependency(artifact: str) -> str:
    group, name, version, kind = [*artifact.split(":"), "jar"][:4]
    inner = f"<groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version><type>{kind}</type>"
    return f"<dependency>{inner}</dependency>"
