"""The command as a pod runs it: arguments, environment, exit code, output and termination message."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from deploy.hdfs.cli import hdfs_initializer

BEFORE = {"MILEPOST_HDFS_USER": "root", "MILEPOST_HDFS_PATIENCE": "5s"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of the command ended."""

    code: int
    output: str
    message: str


def run(*pairs: object, log: Path, **settings: object) -> Ended:
    """Run it in this process; `settings` are those of group `hdfs`, and `log` is the termination log."""
    log.write_text("")
    arguments = ["--termination-log", str(log), *map(str, pairs)]
    done = CliRunner().invoke(hdfs_initializer, arguments, env=environment(settings))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(done.exit_code, done.output, log.read_text())


def start(*pairs: object, **settings: object) -> subprocess.Popen[str]:
    """Start it as a process of its own."""
    arguments = [sys.executable, "-m", "milepost.cli", "hdfs-initializer", *map(str, pairs)]
    return subprocess.Popen(
        arguments,
        env={**os.environ, **environment(settings)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Return the variables of these settings."""
    return BEFORE | {f"MILEPOST_HDFS_{name.upper()}": str(value) for name, value in settings.items()}


def content(folder: Path) -> dict[str, bytes]:
    """Return {path: bytes} of what a model server finds, without the marker."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".milepost-model")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
