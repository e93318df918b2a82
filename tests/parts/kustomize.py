"""kustomize, built from its Go module."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.parts.go import go_install
from tests.parts.install import Part, Say, install

VERSION = "5.4.3"
BUILD_S = 60


def _fill(folder: Path, say: Say) -> None:
    say("kustomize: building")
    go_install("sigs.k8s.io/kustomize/kustomize/v5", f"v{VERSION}", folder)


PART = Part("kustomize", VERSION, _fill)


def build(overlay: Path) -> list[dict[str, Any]]:
    """Return the objects of an overlay; raises Unavailable, or AssertionError with kustomize's message."""
    program = install(PART) / "kustomize"
    argv = [str(program), "build", str(overlay)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]
