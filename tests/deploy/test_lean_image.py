"""The lean image: what its programs import is what `deploy/images/lean.txt` brings, and nothing heavy."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEAN = ROOT / "deploy" / "images" / "lean.txt"
PROGRAMS = [
    "milepost.cli",
    "milepost.preflight",
    "exporter.cli",
    "deploy.install.cli",
    "deploy.hdfs.cli",
    "deploy.dubbo.cli",
    "logserver.client.cli",
]
IMPORTED = """
import importlib, sys
sys.modules["sniffio"] = None  # anyio takes it where a tool of the tests has brought it
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print("\\n".join(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def test_the_programs_of_the_lean_image_import_nothing_it_lacks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *PROGRAMS], capture_output=True, text=True, check=True, cwd=ROOT
    )
    owners = importlib.metadata.packages_distributions()
    needed = {_normal(owner) for module in done.stdout.split() for owner in owners.get(module, [])[:1]}
    assert needed - _closure(_listed()) - {"milepost"} == set()


def test_every_package_of_the_lean_image_is_locked() -> None:
    locked = {_normal(line.partition("==")[0]) for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert _listed() <= locked


def _listed() -> set[str]:
    lines = LEAN.read_text().splitlines()
    return {_normal(line) for line in lines if line and not line.startswith("#")}


def _closure(names: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        for requirement in importlib.metadata.requires(name) or []:
            wanted, _, marker = requirement.partition(";")
            bare = _normal(re.split(r"[\s\[<>=!~(]", wanted.strip(), maxsplit=1)[0])
            if "extra" not in marker and bare not in found and _installed(bare):
                waiting.add(bare)
    return found


def _installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
