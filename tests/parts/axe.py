"""axe-core, the accessibility checker that runs inside a page (Deque, MPL-2.0), as published for npm."""

from __future__ import annotations

import tarfile
from pathlib import Path

from tests.parts.install import Part, Say, install, run, tool

_VERSION = "4.14.1"


def _fill(folder: Path, say: Say) -> None:
    npm = tool("npm", "axe-core")
    say(f"axe-core {_VERSION}: fetching")
    run([npm, "pack", f"axe-core@{_VERSION}", "--silent"], cwd=folder)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        script = packed.extractfile("package/axe.min.js")
        assert script is not None
        (folder / "axe.min.js").write_bytes(script.read())
    archive.unlink()


PART = Part("axe-core", _VERSION, _fill)


def axe_script(say: Say = lambda _: None) -> str:
    """Return the script that gives a page `axe.run()`; raises Unavailable."""
    return (install(PART, say) / "axe.min.js").read_text()
